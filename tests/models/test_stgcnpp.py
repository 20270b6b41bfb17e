"""ST-GCN++ against a slow loop, its parameters, and every option of it."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.graph import directed_adjacency
from models.registry import build
from models.stgcnpp import SpatialConv, branch_widths
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("way_around", [True, False])
@pytest.mark.parametrize("out_channels", [8, 16])
def test_spatial_convolution_mixes_channels_and_then_gathers(out_channels: int, way_around: bool) -> None:
    conv = SpatialConv(8, out_channels, PENN13, spatial_shortcut=way_around).eval()
    nn.init.normal_(conv.A)
    nn.init.normal_(conv.bias)
    x = torch.randn(2, 8, 5, 13)
    W = conv.project.weight.view(out_channels, 3, 8)  # [C2, P, C]
    summed = torch.zeros(2, out_channels, 5, 13)
    for k, v, w in product(range(3), range(13), range(13)):
        mixed = torch.einsum("oc,bct->bot", W[:, k], x[..., v]) + conv.bias[k, :, None]
        summed[..., w] += mixed * conv.A[k, v, w]
    y = conv.norm(summed)
    expected = F.relu(y + conv.shortcut(x) if conv.shortcut else y)
    torch.testing.assert_close(conv(x), expected, atol=1e-4, rtol=1e-4)


def test_the_learned_graph_begins_as_the_skeleton() -> None:
    A = SpatialConv(3, 8, PENN13, spatial_shortcut=True).A
    assert torch.equal(A, torch.from_numpy(directed_adjacency(PENN13)))


@pytest.mark.parametrize(("channels", "widths"), [(64, [14, 10, 10, 10, 10, 10]), (12, [2] * 6)])
def test_branches_share_the_channels_and_the_first_takes_the_rest(channels: int, widths: list[int]) -> None:
    assert branch_widths(channels, 6) == widths


def test_a_stream_has_the_parameters_of_the_reference() -> None:
    model = build("stgcnpp", layout=LAYOUTS["coco17"], num_classes=60, num_people=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_393_016


@pytest.mark.parametrize(
    "options",
    [
        {"streams": ("joint", "bone", "joint_motion", "bone_motion")},
        {"spatial_shortcut": False},
        {"temporal_kernel": 5, "dilations": (1, 2)},
        {"dilations": (1,)},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2), **options}
    model = build("stgcnpp", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()
