"""ST-GCN against slow loops written from the papers' equations, its parameters, and every option of it."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import adjacency
from models.registry import build
from models.stgcn import BlockAttention, SpatialConv, SqueezeExcitation
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]
TINY: dict[str, object] = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def features(channels: int = 8) -> Tensor:
    return torch.randn(2, channels, 5, 13)


@pytest.mark.parametrize("edge_importance", [True, False])
def test_spatial_convolution_is_equation_2(edge_importance: bool) -> None:
    conv, x = SpatialConv(8, 16, PENN13, edge_importance=edge_importance).eval(), features()
    nn.init.normal_(conv.bias)
    if conv.M is not None:
        nn.init.uniform_(conv.M, -1, 1)
    A = torch.from_numpy(adjacency(PENN13)) * (1 if conv.M is None else conv.M)
    W = conv.project.weight.view(16, 3, 8)  # [C2, P, C]
    summed = torch.zeros(2, 16, 5, 13)
    for j, v, w in product(range(3), range(13), range(13)):
        mixed = torch.einsum("oc,bct->bot", W[:, j], x[..., v]) + conv.bias[j, :, None]
        summed[..., w] += mixed * A[j, v, w]  # Eq. (2)
    torch.testing.assert_close(conv(x), F.relu(conv.norm(summed)), atol=1e-5, rtol=1e-5)


def test_edge_importance_makes_no_edges() -> None:
    conv = SpatialConv(8, 8, PENN13, edge_importance=True).eval()
    x = features().requires_grad_()
    left_wrist, right_ankle = PENN13.index("left_wrist"), PENN13.index("right_ankle")
    (slope,) = torch.autograd.grad(conv(x)[..., left_wrist].sum(), x)
    assert slope[..., left_wrist].abs().sum() > 0
    assert slope[..., right_ankle].abs().sum() == 0


def test_squeeze_and_excitation_weighs_channels_by_their_means() -> None:
    attention, x = SqueezeExcitation(8, reduction=4), features()
    first, _, last = attention.excite
    for clip in range(2):
        squeezed = torch.stack([x[clip, channel].mean() for channel in range(8)])  # Eq. (2) of Hu et al.
        weight = torch.sigmoid(last(F.relu(first(squeezed))))  # Eq. (3)
        expected = torch.stack([x[clip, channel] * weight[channel] for channel in range(8)])  # Eq. (4)
        torch.testing.assert_close(attention(x)[clip], expected)


def test_cbam_weighs_channels_and_then_places() -> None:
    attention, x = BlockAttention(8, reduction=4).eval().requires_grad_(False), features()
    kernel = attention.place.weight[0]  # [2, 7, 7]
    for clip in range(2):
        means, maxima = x[clip].flatten(1).mean(dim=1), x[clip].flatten(1).max(dim=1).values
        weight = torch.sigmoid(attention.excite(means) + attention.excite(maxima))  # Eq. (2) of Woo et al.
        weighed = torch.stack([x[clip, channel] * weight[channel] for channel in range(8)])
        places = F.pad(torch.stack([weighed.mean(dim=0), weighed.max(dim=0).values]), (3, 3, 3, 3))
        seen = torch.tensor([[(places[:, t : t + 7, v : v + 7] * kernel).sum() for v in range(13)] for t in range(5)])
        expected = weighed * torch.sigmoid(attention.norm(seen[None, None])[0, 0])  # Eq. (3)
        torch.testing.assert_close(attention(x)[clip], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "num_classes", "parameters"), [("ntu25", 60, 3_098_832), ("openpose18", 400, 3_177_140)]
)
def test_it_has_the_parameters_of_the_reference(layout: str, num_classes: int, parameters: int) -> None:
    model = build("stgcn", layout=LAYOUTS[layout], num_classes=num_classes, num_people=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(
    "options",
    [
        {"channel_attention": "se"},
        {"channel_attention": "cbam"},
        {"channel_attention": "cbam", "reduction": 64},
        {"edge_importance": False},
        {"unit_dropout": 0.0},
        {"temporal_kernel": 5},
        {"streams": ("joint", "bone")},
        {"num_coordinates": 3},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    model = build("stgcn", layout=PENN13, num_classes=4, num_people=2, options={**TINY, **options})
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()


def test_an_unknown_channel_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="channel_attention 'eca': expected one of none, se, cbam"):
        build("stgcn", layout=PENN13, num_classes=4, options={"channel_attention": "eca"})
