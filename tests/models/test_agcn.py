"""2s-AGCN and AAGCN against slow loops written from the papers' formulas, and every option of them."""

from itertools import product
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.agcn import AdaptiveConv, AgcnConfig, StcAttention
from models.am_stgcn import NonLocal
from models.graph import directed_adjacency
from models.registry import build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]
A = torch.from_numpy(directed_adjacency(PENN13))
AAGCN: dict[str, object] = {"graphs": ("learned", "sample"), "adapt": "tanh", "attention": True}

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def features(channels: int = 8) -> Tensor:
    return torch.randn(2, channels, 5, 13)


def disturbed(module: M) -> M:
    """Give weights that are not those of a fresh one."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def similarities(conv: AdaptiveConv, x: Tensor, subset: int) -> Tensor:
    """Compare joints v and w in the eyes of a subset: [B, V, V]."""
    assert conv.C is not None
    theta, phi = conv.C.theta_phi(x).unflatten(1, (2, 3, -1))[:, :, subset].unbind(dim=1)  # [B, c, T, V] each
    similarity = torch.zeros(2, 13, 13)
    for v, w in product(range(13), range(13)):
        similarity[:, v, w] = (theta[..., v] * phi[..., w]).mean(dim=(1, 2))
    return similarity


@pytest.mark.parametrize("adapt", ["softmax", "tanh"])
@pytest.mark.parametrize("out_channels", [8, 16])
def test_adaptive_convolution_adds_up_the_three_graphs(adapt: str, out_channels: int) -> None:
    conv = disturbed(AdaptiveConv(8, out_channels, PENN13, AgcnConfig(adapt=adapt, embedding=2)))
    assert conv.B is not None
    assert conv.C is not None
    x = features()
    W = conv.project.weight.view(out_channels, 3, 8)  # [C2, P, C]
    summed = torch.zeros(2, out_channels, 5, 13) + conv.project.bias[:, None, None]
    for k in range(3):
        similarity = similarities(conv, x, k)
        if conv.C.alpha is None:
            C = similarity.exp() / similarity.exp().sum(dim=1, keepdim=True)
        else:
            C = conv.C.alpha * similarity.tanh()
        for w in range(13):
            neighbours = sum(x[..., v] * (A[k, v, w] + conv.B[k, v, w] + C[:, v, w])[:, None, None] for v in range(13))
            summed[..., w] += torch.einsum("oc,bct->bot", W[:, k], neighbours)
    torch.testing.assert_close(conv(x), F.relu(conv.norm(summed) + conv.shortcut(x)), atol=1e-5, rtol=1e-5)


def test_attention_excites_joints_then_frames_then_channels() -> None:
    attention, x = disturbed(StcAttention(8, num_joints=13)), features()
    y = x + x * torch.sigmoid(attention.joints(x.mean(dim=2)))[:, :, None, :]
    y = y + y * torch.sigmoid(attention.frames(y.mean(dim=3)))[:, :, :, None]
    y = y + y * torch.sigmoid(attention.excite(F.relu(attention.squeeze(y.mean(dim=3).mean(dim=2)))))[:, :, None, None]
    torch.testing.assert_close(attention(x), y)


@pytest.mark.parametrize("num_joints", [13, 18])
def test_attention_knows_each_number_of_joints(num_joints: int) -> None:
    x = torch.randn(2, 8, 5, num_joints)
    assert StcAttention(8, num_joints=num_joints)(x).shape == x.shape


def test_the_learned_graph_begins_as_the_given_one_or_next_to_it_at_nothing() -> None:
    alone, beside = (
        AdaptiveConv(3, 8, PENN13, AgcnConfig(graphs=graphs)).B for graphs in (("learned",), ("given", "learned"))
    )
    assert alone is not None
    assert beside is not None
    assert torch.equal(alone, A)
    assert beside.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 3_466_694), (AAGCN, 3_778_852), ({**AAGCN, "attention": False}, 3_466_704)],
    ids=["2s-agcn", "aagcn", "aagcn without attention"],
)
def test_a_stream_has_the_parameters_of_the_reference(options: dict[str, object], parameters: int) -> None:
    model = build("agcn", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2, options=options)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(
    "options",
    [
        {"graphs": ("learned", "sample")},
        {"graphs": ("given", "sample")},
        {"graphs": ("given", "learned")},
        {"graphs": ("given",)},
        {"streams": ("joint", "bone")},
        AAGCN,
        {**AAGCN, "attention": False},
        {"attention": True},
        {"embedding": 2, "temporal_kernel": 5},
        {"non_local": ((2, 3),)},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2), **options}
    model = build("agcn", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()


def test_attention_of_am_stgcn_follows_the_temporal_convolution_of_its_layer() -> None:
    options = {"base_channels": 8, "widths": (1, 1, 1), "strides": (1, 1, 1), "non_local": ((3, 3),)}
    model = build("agcn", layout=PENN13, num_classes=4, options=options)
    added = [name for name, module in model.named_modules() if isinstance(module, NonLocal)]
    assert added == [f"backbones.0.blocks.2.temporal.{place}" for place in (2, 3, 4)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"graphs": ()}, "expected one or more of given, learned, sample"),
        ({"graphs": ("drawn",)}, "expected one or more of given, learned, sample"),
        ({"adapt": "relu"}, "expected one of softmax, tanh"),
        ({"non_local": ((11, 1),)}, r"non_local \(11, 1\): expected a layer from 1 to 10"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("agcn", layout=PENN13, num_classes=4, options=options)
