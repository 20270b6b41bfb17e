"""MS-G3D against slow loops written from the paper's equations, and every option of it."""

from itertools import product
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import scale_adjacency
from models.layers import Place
from models.msg3d import DILATIONS, ScaleConv, TemporalScales, WindowConv, windows
from models.registry import build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def features(channels: int = 4, *, num_frames: int = 7) -> Tensor:
    return torch.randn(2, channels, num_frames, 13)


def disturbed(module: M) -> M:
    """Give batch norm statistics and weights, and learned graphs, that are not those of fresh ones."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
        if isinstance(part, ScaleConv):
            nn.init.normal_(part.A_res, std=0.1)
    return module.eval()


def gathered(conv: ScaleConv, frame: Tensor, A: Tensor) -> Tensor:
    """Sum over scales and givers for one frame [C, W]: eqs. (4) and (7) before the norm."""
    K, W, _ = A.shape
    weight = conv.project.weight.view(-1, K, frame.shape[0])  # [C2, K, C]
    summed = conv.project.bias[:, None].repeat(1, W)
    for k, taker in product(range(K), range(W)):
        neighbours = sum((A[k, taker, giver] + conv.A_res[k, taker, giver]) * frame[:, giver] for giver in range(W))
        summed[:, taker] += weight[:, k] @ neighbours
    return summed


def test_graph_convolution_is_equation_4() -> None:
    conv, x = disturbed(ScaleConv(4, 8, PENN13, num_scales=3)), features(num_frames=3)
    A = torch.from_numpy(scale_adjacency(PENN13, 3))
    summed = torch.stack([torch.stack([gathered(conv, clip[:, t], A) for t in range(3)], dim=1) for clip in x])
    torch.testing.assert_close(conv(x), F.relu(conv.norm(summed)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_over_windows_is_equation_7_and_a_collapse(stride: int) -> None:
    conv = disturbed(WindowConv(Place(1, 4, 8, stride), 4, PENN13, num_scales=2, window=3))
    x = features(num_frames=5)
    A = torch.from_numpy(scale_adjacency(PENN13, 2, window=3))
    zeros = torch.zeros(4, 13)
    frames = []
    for t in range(0, 5, stride):
        window = [x[0, :, u] if 0 <= u < 5 else zeros for u in (t - 1, t, t + 1)]
        y = gathered(conv.gather, torch.cat(window, dim=1), A)
        y = F.relu(conv.gather.norm(y[None, :, None]))[0, :, 0].view(4, 3, 13)
        frames.append(torch.einsum("oiw,iwv->ov", conv.collapse.weight[..., 0, :, 0], y) + conv.collapse.bias[:, None])
    expected = conv.norm(torch.stack(frames, dim=1)[None])
    torch.testing.assert_close(conv(x)[:1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("channels", "stride"), [(12, 1), (6, 2)])
def test_looks_over_time_are_convolutions_of_several_lengths_a_maximum_and_the_frame(
    channels: int, stride: int
) -> None:
    temporal, x = disturbed(TemporalScales(channels, 12, stride=stride)), features(channels)
    looks = temporal.looks
    entered = F.relu(looks.enter(x)).split([2] * 5, dim=1)
    parts = []
    for part, layer, dilation in zip(entered, looks.windows, DILATIONS, strict=False):
        padded = F.pad(part, (0, 0, dilation, dilation))
        taps = [
            torch.stack([layer.weight[:, :, i, 0] @ padded[:, :, t + dilation * i] for i in range(3)]).sum(dim=0)
            for t in range(0, 7, stride)
        ]
        parts.append(torch.stack(taps, dim=2) + layer.bias[:, None, None])
    parts.append(F.max_pool2d(entered[4], (3, 1), stride=(stride, 1), padding=(1, 0)))
    parts.append(looks.alone(x))
    around = x if channels == 12 else temporal.shortcut(x)
    expected = F.relu(looks.norm(torch.cat(parts, dim=1)) + around)
    torch.testing.assert_close(temporal(x), expected, atol=1e-5, rtol=1e-5)


def test_windows_are_padded_with_zeros_at_both_ends() -> None:
    x = torch.arange(1.0, 6.0).view(1, 1, 5, 1)
    around = windows(x, 3, before=1)[0, 0, :, :, 0]
    assert around.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 0]]
    assert windows(x, 3, stride=2)[0, 0, :, :, 0].tolist() == [[1, 2, 3], [3, 4, 5], [5, 0, 0]]


def test_it_has_the_parameters_of_the_authors_network() -> None:
    model = build("msg3d", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_194_595


@pytest.mark.parametrize(
    "options",
    [
        {"streams": ("bone",)},
        {"streams": ("joint", "bone")},
        {"gcn_scales": 1},
        {"gcn_scales": 8, "g3d_scales": 8},
        {"g3d_scales": 1},
        {"windows": (3,)},
        {"temporal_kernel": 5},
        {"widths": (1, 2), "strides": (1, 2)},
        {"num_coordinates": 3},
        {"dropout": 0.5},
        {"people": "present"},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 6, **options}
    model = build("msg3d", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 8, 2, 13, 3)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"windows": (3, 4)}, "expected odd numbers"),
        ({"gcn_scales": 0}, "0 and 6 scales: expected at least one of each"),
        ({"streams": ("face",)}, "expected one or more of joint"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("msg3d", layout=PENN13, num_classes=4, options=options)
