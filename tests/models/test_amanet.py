"""AMANet against slow loops written from the paper's equations, and every option of it."""

import math
from collections.abc import Mapping
from itertools import product
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.amanet import (
    FEATURES,
    AmaNetConfig,
    FrameAttention,
    JointAttention,
    Preprocessing,
    SpatialAttention,
    WindowAttention,
    part_axes,
)
from models.graph import links, parts
from models.layers import Place
from models.registry import Recogniser, build
from pipeline.layouts import LAYOUTS, Layout

PENN13 = LAYOUTS["penn13"]
NTU25 = LAYOUTS["ntu25"]
Options = Mapping[str, object]

BASELINE: Options = {"features": (), "spatial": ("gcn",), "temporal": ("tcn",), "unified": ("g3d",)}
FOUR: Options = {"streams": ("joint", "bone", "joint", "bone"), "grains": ("joint", "joint", "fine", "fine")}
SMALL: Options = {"base_channels": 6, "widths": (1, 2), "strides": (1, 2), "gcn_scales": 3, "g3d_scales": 2}

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def disturbed(module: M) -> M:
    """Give batch norm statistics and weights that are not those of a fresh one."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
    return module.eval()


def attended(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return softmax(Q K^T / sqrt(dm) + bias) V of rows, a similarity at a time."""
    taken = []
    for row, query in enumerate(queries):
        similarity = torch.stack([(query * key).sum() / math.sqrt(len(key)) for key in keys])
        shares = torch.exp(similarity if bias is None else similarity + bias[row])
        taken.append(sum(share * value for share, value in zip(shares / shares.sum(), values, strict=True)))
    return torch.stack(taken)


def a_hat() -> Tensor:
    A = links(PENN13)
    D = np.diag(A.sum(axis=1) ** -0.5)
    return torch.from_numpy(D @ A @ D)


@pytest.mark.parametrize("axis", ["bone", "constant"])
@pytest.mark.parametrize("num_coordinates", [2, 3])
def test_preprocessing_is_equations_3_to_8(num_coordinates: int, axis: str) -> None:
    config = AmaNetConfig(features=FEATURES, num_coordinates=num_coordinates, alien_axis=axis, scale=0.7)
    x = torch.randn(2, 6, 2, 25, num_coordinates + 1)
    made = Preprocessing(NTU25, config)(x)
    assert made.shape == (2, 6, 2, 25, 5 * num_coordinates + 1)
    assert torch.equal(made[..., -1], x[..., -1])
    x0 = x[1, :, 0, :, :num_coordinates].numpy()
    # Eq. (8): what is known of a joint, behind each other in its channels.
    joints, relative, alien, velocity, acceleration = np.split(made[1, :, 0, :, :-1].numpy(), 5, axis=-1)
    origins, ends = part_axes(NTU25)
    column = np.zeros((num_coordinates, 1))
    column[0] = 0.7
    for t, j in product(range(6), range(25)):
        np.testing.assert_array_equal(joints[t, j], x0[t, j])
        np.testing.assert_allclose(relative[t, j], x0[t, j] - x0[t, NTU25.index(NTU25.centre)], atol=1e-6)  # Eq. (5)
        R = x0[t, origins[j], :, None]
        Q = x0[t, ends[j], :, None] if axis == "bone" else column
        T = (Q - R) @ np.linalg.pinv(column)  # Eq. (7)
        np.testing.assert_allclose(alien[t, j], (T @ x0[t, j, :, None] + R)[:, 0], atol=1e-5)  # Eq. (6)
    for t in range(6):
        np.testing.assert_allclose(velocity[t], x0[t] - x0[t - 1] if t else x0[0], atol=1e-6)  # Eq. (3)
        expected = velocity[t] - velocity[t - 1] if t > 1 else velocity[t]  # Eq. (4)
        np.testing.assert_allclose(acceleration[t], expected, atol=1e-6)


@pytest.mark.parametrize("num_frames", [1, 2])
def test_preprocessing_takes_clips_too_short_for_an_acceleration(num_frames: int) -> None:
    made = Preprocessing(PENN13, AmaNetConfig())(torch.randn(1, num_frames, 1, 13, 3))
    assert made.shape == (1, num_frames, 1, 13, 9)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_each_part_has_an_origin_and_an_axis_along_a_bone(layout: Layout) -> None:
    origins, ends = part_axes(layout)
    assert len(origins) == len(ends) == len(layout)
    for part in parts(layout, "coarse"):
        assert len({origins[joint] for joint in part}) == 1
        assert origins[part[0]] in part
    for origin, end in zip(origins, ends, strict=True):
        assert (origin, end) in layout.bone_indices or (end, origin) in layout.bone_indices


def test_the_axis_of_the_left_arm_is_the_bone_from_shoulder_to_neck() -> None:
    origins, ends = part_axes(NTU25)
    wrist = NTU25.index("left_wrist")
    assert NTU25.joints[origins[wrist]] == "left_shoulder"
    assert NTU25.joints[ends[wrist]] == "spine_shoulder"


def test_spatial_attention_is_equation_10() -> None:
    sfem, x = disturbed(SpatialAttention(4, 6, PENN13, alpha=0.8)), torch.randn(2, 4, 3, 13)
    Q, K = sfem.query_key(x).chunk(2, dim=1)
    V = sfem.value(x)
    expected = torch.zeros_like(V)
    for clip, t in product(range(2), range(3)):
        expected[clip, :, t] = attended(Q[clip, :, t].T, K[clip, :, t].T, V[clip, :, t].T, 0.8 * a_hat()).T  # Eq. (10)
    expected = F.relu(sfem.norm(torch.einsum("oc,bctv->botv", sfem.mix.weight[:, :, 0, 0], expected) + V))
    torch.testing.assert_close(sfem(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_frames", [6, 7, 8])
def test_attention_of_frames_in_groups_is_equation_12(num_frames: int) -> None:
    ff, x = disturbed(FrameAttention(4, group=3)), torch.randn(2, 4, num_frames, 13)
    Q, K, V = ff.query_key_value(x).chunk(3, dim=1)
    expected = torch.zeros_like(V)
    for clip, begin in product(range(2), range(0, num_frames, 3)):
        group = slice(begin, begin + 3)  # the last one has only the frames that there are
        rows = [part[clip, :, group].transpose(0, 1).flatten(1) for part in (Q, K, V)]
        expected[clip, :, group] = attended(*rows).unflatten(1, (4, 13)).transpose(0, 1)  # Eq. (12)
    convolved = F.conv2d(expected, ff.mix.weight, padding=(1, 0))
    torch.testing.assert_close(ff(x), F.relu(ff.norm(convolved) + x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("out_channels", "stride"), [(4, 1), (8, 2)])
def test_attention_of_joints_over_time_is_equation_11(out_channels: int, stride: int) -> None:
    jf, x = disturbed(JointAttention(4, out_channels, stride=stride)), torch.randn(2, 4, 5, 13)
    Q, K, V = jf.query_key_value(x).chunk(3, dim=1)
    taken = torch.zeros_like(V)
    for clip, j in product(range(2), range(13)):
        taken[clip, :, :, j] = attended(Q[clip, :, :, j].T, K[clip, :, :, j].T, V[clip, :, :, j].T).T  # Eq. (11)
    mixed = F.conv2d(taken, jf.mix.weight, stride=(stride, 1))
    torch.testing.assert_close(jf(x), F.relu(jf.norm(mixed) + jf.shortcut(x)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("out_channels", "stride"), [(4, 1), (8, 2)])
def test_attention_over_windows_is_equation_14(out_channels: int, stride: int) -> None:
    place = Place(1, 4, out_channels, stride)
    stfem, x = disturbed(WindowAttention(place, PENN13, window=2, beta=0.8)), torch.randn(2, 4, 5, 13)
    A_tau = torch.cat([torch.cat([a_hat(), a_hat()], dim=1)] * 2)  # Eq. (13)
    Q, K, V = stfem.query_key_value(F.pad(x, (0, 0, 0, 1))).chunk(3, dim=1)  # frames beyond the last are zeros
    frames = []
    for t in range(0, 5, stride):
        rows = [part[:, :, t : t + 2].flatten(2).transpose(1, 2) for part in (Q, K, V)]  # [B, 2*V, C] each
        taken = torch.stack([attended(*(part[clip] for part in rows), 0.8 * A_tau) for clip in range(2)])  # Eq. (14)
        frames.append(((taken[:, :13] + taken[:, 13:]) / 2).transpose(1, 2))
    mixed = F.conv2d(torch.stack(frames, dim=2), stfem.mix.weight)
    expected = F.relu(stfem.norm(mixed) + stfem.shortcut(x))
    torch.testing.assert_close(stfem(x), expected, atol=1e-5, rtol=1e-5)


def ntu(options: Options) -> Recogniser:
    options = {"num_coordinates": 3, **options}
    return build("amanet", layout=NTU25, num_classes=60, num_people=2, options=options)


def test_without_its_modules_it_is_msg3d() -> None:
    model = ntu(BASELINE)
    other = build("msg3d", layout=NTU25, num_classes=60, num_people=2)
    other.load_state_dict({key.replace(".backbone.", "."): value for key, value in model.state_dict().items()})
    assert model.backbones[0].backbone.blocks[1](torch.ones(1, 96, 4, 25)).shape == (1, 192, 2, 25)


@pytest.mark.parametrize(
    "options",
    [
        BASELINE,
        FOUR,
        {**BASELINE, "features": FEATURES},
        {"spatial": ("sfem",)},
        {"temporal": ("ff",)},
        {"temporal": ("jf",), "group": 3},
        {"unified": ("stfem",)},
        {"temporal_first": True},
        {"streams": ("joint", "bone"), "grains": ("fine", "fine")},
        *({"alpha": alpha} for alpha in (0.1, 1.5)),
        *({"beta": beta} for beta in (0.1, 1.5)),
        {"scale": 0.8},
        {"alien_axis": "constant"},
        {"window": 5},
        {"num_coordinates": 3},
        {**FOUR, "weights": (0.6, 0.6, 0.4, 0.4)},
        {"streams": ("joint_motion",), "grains": ("coarse",)},
        {"people": "present", "dropout": 0.5},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: Options) -> None:
    model = build("amanet", layout=PENN13, num_classes=4, num_people=2, options={**SMALL, **options})
    assert model(torch.randn(2, 9, 2, 13, 3)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"features": ("speed",)}, "features .* expected some of relative, alien, velocity, acceleration"),
        ({"spatial": ()}, "expected some of sfem, gcn"),
        ({"temporal": ("lstm",)}, "expected some of ff, jf, tcn"),
        ({"unified": ()}, "expected some of stfem, g3d"),
        ({"grains": ("fine", "joint")}, "expected none, or one for each of"),
        ({"weights": (0.5, 0.5)}, "expected none, or one for each of"),
        ({"grains": ("hand",)}, "expected some of joint, fine, coarse"),
        ({"group": 4}, "expected an odd number"),
        ({"alien_axis": "z"}, "expected some of bone, constant"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Options, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("amanet", layout=PENN13, num_classes=4, options=options)


def test_streams_are_fused_by_their_weights() -> None:
    options = {**SMALL, "streams": ("joint", "bone"), "weights": (3.0, 1.0)}
    model = build("amanet", layout=PENN13, num_classes=4, num_people=2, options=options).eval()
    x = torch.randn(3, 8, 2, 13, 3)
    joint, bone = (stream(x, torch.full((3, 2), 0.5)).softmax(dim=1) for stream in model.backbones)
    torch.testing.assert_close(model(x).softmax(dim=1), 0.75 * joint + 0.25 * bone)


def test_a_fused_joint_is_the_mean_of_its_part() -> None:
    options = {**SMALL, "streams": ("joint",), "grains": ("fine",)}
    model = build("amanet", layout=PENN13, num_classes=4, num_people=2, options=options).eval()
    x = torch.randn(2, 8, 2, 13, 3)
    swayed = x.clone()
    thigh = next(part for part in parts(PENN13, "fine") if PENN13.index("left_knee") in part)
    swayed[..., thigh[0], :] += 1
    swayed[..., thigh[1], :] -= 1
    torch.testing.assert_close(model(swayed), model(x))
