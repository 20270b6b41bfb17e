"""CTR-GCN against slow loops written from the paper's formulas, its parameters, and every option of it."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.ctrgcn import CtrGcnConfig, RefinedConv, branch_widths
from models.graph import directed_adjacency
from models.registry import build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("channels", "out_channels"), [(3, 8), (24, 24)])
def test_refined_convolution_gathers_by_a_graph_a_channel(channels: int, out_channels: int) -> None:
    conv = RefinedConv(channels, out_channels, PENN13, CtrGcnConfig()).eval()
    topology = conv.topology
    assert topology.psi_phi is not None
    assert topology.xi is not None
    for parameter in conv.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, channels, 5, 13)
    psi, phi = topology.psi_phi(x).mean(dim=2).unflatten(1, (2, 3, -1)).unbind(dim=1)  # [B, P, c, V] each
    xi = topology.xi.weight.view(3, out_channels, -1)
    transformed = conv.transform(x).unflatten(1, (3, -1))
    summed = torch.zeros(2, out_channels, 5, 13)
    for k, v, w in product(range(3), range(13), range(13)):
        M = torch.tanh(psi[:, k, :, v] - phi[:, k, :, w])
        Q = M @ xi[k].t() + topology.xi.bias.view(3, -1)[k]
        R = topology.A[k, v, w] + topology.alpha * Q  # [B, C2]
        summed[..., w] += R[:, :, None] * transformed[:, k, :, :, v]
    torch.testing.assert_close(conv(x), F.relu(conv.norm(summed) + conv.shortcut(x)), atol=1e-4, rtol=1e-4)


def test_all_channels_begin_with_the_skeleton() -> None:
    topology = RefinedConv(8, 8, PENN13, CtrGcnConfig()).topology
    A = torch.from_numpy(directed_adjacency(PENN13))
    torch.testing.assert_close(topology(torch.randn(2, 8, 5, 13)), A[:, None].expand(2, -1, 8, -1, -1))


@pytest.mark.parametrize(("channels", "widths"), [(64, [16] * 4), (10, [2, 2, 2, 4])])
def test_branches_share_the_channels_and_the_last_takes_the_rest(channels: int, widths: list[int]) -> None:
    assert branch_widths(channels, 4) == widths


def test_a_stream_has_the_parameters_of_the_reference() -> None:
    model = build("ctrgcn", layout=LAYOUTS["coco17"], num_classes=60, num_people=2)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_436_496


@pytest.mark.parametrize(
    "options",
    [
        {"streams": ("joint", "bone", "joint_motion", "bone_motion")},
        {"refine": False},
        {"rectify": False},
        {"reduction": 4},
        {"temporal_kernel": 3, "dilations": (1, 2, 3, 4)},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 24, "widths": (1, 2), "strides": (1, 2), **options}
    model = build("ctrgcn", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()
