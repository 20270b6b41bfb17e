"""STF-Net against slow loops written from the paper's equations, and every option of it."""

import math
from itertools import product
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import adjacency, parts
from models.registry import build
from models.stfnet import ContextFocus, MomentFocus, SpatialConv, StfNetConfig, settled_attention
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]
GRAINS = ("joint", "fine", "coarse")

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def features(channels: int = 8, *, num_frames: int = 5) -> Tensor:
    return torch.randn(2, channels, num_frames, 13)


def disturbed(module: M) -> M:
    """Give batch norm statistics and weights that are not those of a fresh one."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
    return module.eval()


@pytest.mark.parametrize("graph_mask", [True, False])
def test_spatial_convolution_is_equation_2_or_without_the_mask_equation_1(graph_mask: bool) -> None:
    scn, x = disturbed(SpatialConv(8, 8, PENN13, graph_mask=graph_mask)), features()
    G_a = torch.zeros(3, 13, 13)
    if scn.G_a is not None:
        G_a = nn.init.normal_(scn.G_a)
    W = scn.project.weight.view(8, 3, 8)  # [C2, P, C]
    G = torch.from_numpy(adjacency(PENN13))
    summed = torch.zeros(2, 8, 5, 13)
    for i, w in product(range(3), range(13)):
        neighbours = sum((G[i, v, w] + G_a[i, v, w]) * x[..., v] for v in range(13))  # Eq. (2), or Eq. (1)
        summed[..., w] += torch.einsum("oc,bct->bot", W[:, i], neighbours)
    torch.testing.assert_close(scn(x), F.relu(scn.norm(summed) + x), atol=1e-5, rtol=1e-5)


def test_the_learned_graph_begins_as_the_given_one() -> None:
    scn = SpatialConv(3, 8, PENN13, graph_mask=True)
    assert scn.G_a is not None
    assert torch.equal(scn.G_a, torch.from_numpy(adjacency(PENN13)))


def test_context_focus_is_equations_3_to_7() -> None:
    mcf, x = disturbed(ContextFocus(8, PENN13, grains=GRAINS, alpha=2)), features()
    nn.init.uniform_(mcf.omega, 0.2, 0.8)
    gamma, phi, theta = mcf.gamma_phi_theta(mcf.reduce(x)).chunk(3, dim=1)  # Eq. (4)
    y = torch.zeros_like(theta)
    for clip, (omega, grain) in product(range(2), zip(mcf.omega, GRAINS, strict=True)):
        groups = parts(PENN13, grain)
        p_phi = [phi[clip, :, :, group].mean(dim=2) for group in groups]
        p_theta = [theta[clip, :, :, group].mean(dim=2) for group in groups]
        for v in range(13):
            similarity = torch.stack([(gamma[clip, :, :, v] * part).sum() for part in p_phi])  # Eq. (5)
            shares = torch.exp(similarity / math.sqrt(4 * 5))
            shares = shares / shares.sum()  # Eq. (3)
            x_i = sum(share * part for share, part in zip(shares, p_theta, strict=True))  # Eq. (6)
            y[clip, :, :, v] += omega * x_i  # Eq. (7)
    torch.testing.assert_close(mcf(x), x + mcf.norm(mcf.restore(y)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("motion", [False, True])
def test_moment_focus_is_equations_8_and_9(motion: bool) -> None:
    tdf, y = disturbed(MomentFocus(8, reduction=4, kernel=3, motion=motion)), features()
    mean = sum(y[..., v] for v in range(13)) / 13  # Eq. (8)
    if motion:
        steps = [mean[..., t + 1] - mean[..., t] for t in range(4)]
        mean = torch.stack([*steps, torch.zeros_like(steps[0])], dim=2)

    def convolved(profile: Tensor, weight: Tensor) -> Tensor:
        padded = F.pad(profile, (1, 1))
        return torch.stack([torch.einsum("ock,bck->bo", weight, padded[..., t : t + 3]) for t in range(5)], dim=2)

    squeezed = F.relu(tdf.norm(convolved(mean, tdf.squeeze.weight)))
    weight = torch.sigmoid(convolved(squeezed, tdf.excite.weight) + tdf.excite.bias[:, None])  # Eq. (9)
    torch.testing.assert_close(tdf(y), y + y * weight[..., None], atol=1e-5, rtol=1e-5)


def test_a_stream_has_the_parameters_of_table_1() -> None:
    options = {"num_coordinates": 3}
    model = build("stfnet", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2, options=options)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(1.7e6, rel=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"streams": ("bone",)},
        {"streams": ("joint", "bone")},
        {"streams": ("joint", "bone", "joint_motion", "bone_motion")},
        {"mcf_blocks": ()},
        {"tdf": False},
        {"mcf_blocks": (), "tdf": False},
        {"mcf_blocks": (), "tdf": False, "graph_mask": False},
        {"grains": ("joint",)},
        {"grains": ("fine", "coarse")},
        {"tdf_motion": True, "tdf_kernel": 3},
        {"alpha": 2, "reduction": 2},
        {"temporal_kernel": 5, "group_width": 8},
        {"widths": (1, 2), "strides": (1, 2), "mcf_blocks": (1,)},
        {"dropout": 0.5},
        {"people": "present"},
        {"num_coordinates": 3},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 8, **options}
    model = build("stfnet", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"streams": ("face",)}, "expected one or more of joint"),
        ({"strides": (1, 2)}, "10 widths and 2 strides"),
        ({"people": "all"}, "expected 'mean' or 'present'"),
        ({"grains": ("hand",)}, "unknown grain 'hand'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("stfnet", layout=PENN13, num_classes=4, options=options)


@pytest.mark.parametrize(("people", "alike"), [("present", True), ("mean", False)])
def test_someone_absent_counts_only_in_the_plain_mean(people: str, alike: bool) -> None:
    model = build("stfnet", layout=PENN13, num_classes=4, options={"base_channels": 8, "people": people}).eval()
    alone = torch.randn(2, 12, 1, 13, 3)
    with_nobody = torch.cat([alone, torch.zeros_like(alone)], dim=2)
    assert torch.allclose(model(alone), model(with_nobody), atol=1e-5) == alike


def test_context_focus_begins_as_the_identity() -> None:
    model = build("stfnet", layout=PENN13, num_classes=4, options={"base_channels": 8})
    x = torch.randn(2, 32, 5, 13)
    focus = [module for module in model.modules() if isinstance(module, ContextFocus)]
    assert len(focus) == len(StfNetConfig().mcf_blocks)
    torch.testing.assert_close(focus[-1](x), x)


def slope_of(module: nn.Module, x: Tensor) -> Tensor:
    """Return how a fixed sum of a module's outputs changes with its input."""
    x = x.detach().requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad((y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum(), x)
    return slope


def test_settled_attention_of_moments_is_a_constant_weight() -> None:
    focus, y = disturbed(MomentFocus(8, reduction=4, kernel=3, motion=False)), features()
    weight = (focus(y) / y).detach()
    whole = slope_of(focus, y)
    with settled_attention(focus):
        settled = slope_of(focus, y)
    torch.testing.assert_close(settled, torch.linspace(-1, 1, y.numel()).view_as(y) * weight)
    assert (whole - settled).abs().max() > 1e-3
    torch.testing.assert_close(slope_of(focus, y), whole)


def test_settled_attention_of_joints_is_a_constant_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    focus, x = disturbed(ContextFocus(8, PENN13, grains=GRAINS, alpha=4)), features()
    whole = slope_of(focus, x)
    with settled_attention(focus):
        settled = slope_of(focus, x)
    gamma, phi, _ = focus.gamma_phi_theta(focus.reduce(x)).chunk(3, dim=1)
    matrix = focus.attention(gamma, phi).detach()
    monkeypatch.setattr(focus, "attention", lambda gamma, phi: matrix)
    torch.testing.assert_close(settled, slope_of(focus, x))
    assert (whole - settled).abs().max() > 1e-3


def test_an_explanation_settles_attention_and_training_does_not() -> None:
    model = build(
        "stfnet", layout=PENN13, num_classes=4, options={"base_channels": 8, "widths": (1, 2), "strides": (1, 2)}
    )
    model(torch.randn(4, 12, 1, 13, 3))
    before = slope_of(model.eval(), clips := torch.randn(2, 12, 1, 13, 3))
    model.explain(clips)
    torch.testing.assert_close(slope_of(model, clips), before)
