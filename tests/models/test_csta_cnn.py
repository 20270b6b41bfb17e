"""CSTA-CNN against slow loops written from the paper's equations, and every option of it."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.csta_cnn import CoupledAttention, CstaCnnConfig, max_pool, resample
from models.registry import build
from pipeline.layouts import LAYOUTS

PENN13 = LAYOUTS["penn13"]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("activation", ["balanced", "plain"])
@pytest.mark.parametrize("attention", [("spatial", "temporal"), ("spatial",), ("temporal",), ()], ids=str)
def test_coupled_attention_is_equations_1_to_3(attention: tuple[str, ...], activation: str) -> None:
    T, V, C = 6, 13, 3
    config = CstaCnnConfig(attention=attention, activation=activation, num_frames=T, num_joints=8, widths=(1,))
    module, X = CoupledAttention(V, C, config), torch.randn(2, T, V, C)
    for weigher in (module.spatial, module.temporal):
        if weigher:
            torch.nn.init.normal_(weigher.b)
    expected = torch.zeros_like(X)
    for clip in range(2):
        s, t = torch.ones(V), torch.ones(T)
        if module.spatial:  # Eq. (1)
            y = [torch.cat([X[clip, frame, i] for frame in range(T)]) for i in range(V)]
            s = torch.stack([torch.sigmoid(module.spatial.W.weight[0] @ y[i] + module.spatial.b[i]) for i in range(V)])
        if module.temporal:
            z = [torch.cat([X[clip, i, joint] for joint in range(V)]) for i in range(T)]
            t = torch.stack(
                [torch.sigmoid(module.temporal.W.weight[0] @ z[i] + module.temporal.b[i]) for i in range(T)]
            )
        if activation == "balanced":
            s, t = s / s.mean(), t / t.mean()
        for frame, joint in product(range(T), range(V)):
            M = t[frame] * s[joint]  # Eq. (2)
            expected[clip, frame, joint] = M * X[clip, frame, joint]  # Eq. (3)
    torch.testing.assert_close(module(X), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 9, 30, 47, 300])
def test_clips_of_any_length_are_resampled_linearly(num_frames: int) -> None:
    x = torch.randn(2, num_frames, 1, 2, 1)
    positions = np.linspace(0, num_frames - 1, 30)
    expected = [np.interp(positions, np.arange(num_frames), track) for track in x.flatten(2)[0].T.numpy()]
    torch.testing.assert_close(resample(x, 30)[0].flatten(1).T, torch.tensor(np.array(expected)).float())


def test_clips_of_the_right_length_stay_as_they_are() -> None:
    x = torch.randn(2, 30, 2, 13, 3)
    torch.testing.assert_close(resample(x, 30), x, atol=0, rtol=0)


@pytest.mark.parametrize("size", [(30, 30), (15, 7)])
def test_the_maximum_is_that_of_a_pooling_layer(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    assert torch.equal(max_pool(x), F.max_pool2d(x, 2))


def test_the_order_of_people_does_not_matter() -> None:
    model = build("csta_cnn", layout=PENN13, num_classes=4, num_people=2, options={"base_channels": 4})
    x = torch.randn(3, 30, 2, 13, 3)
    torch.testing.assert_close(model(x), model(x.flip(2)))


def test_a_score_has_no_motion() -> None:
    model = build("csta_cnn", layout=PENN13, num_classes=4, options={"base_channels": 4})
    seen: list[torch.Tensor] = []
    model.motion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 30, 1, 13, 3)
    model(x)
    torch.testing.assert_close(seen[0][0, :-1, :, :2], x[0, 1:, 0, :, :2] - x[0, :-1, 0, :, :2])
    assert torch.equal(seen[0][0, -1, :, :2], torch.zeros(13, 2))
    assert torch.equal(seen[0][0, ..., 2], x[0, :, 0, :, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"attention": ()},
        {"attention": ("temporal",)},
        {"attention": ("spatial",)},
        {"activation": "plain"},
        {"num_frames": 20, "num_joints": 17},
        {"widths": (1, 2), "hidden": (32,)},
        {"num_coordinates": 3},
        {"dropout": 0.5},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 4, **options}
    model = build("csta_cnn", layout=PENN13, num_classes=4, num_people=2, options=options)
    assert model(torch.randn(2, 12, 2, 13, 3)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"attention": ("joint",)}, "expected some of spatial, temporal"),
        ({"activation": "relu"}, "expected 'balanced' or 'plain'"),
        ({"num_frames": 7}, "7 frames, 30 joints: expected 8 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("csta_cnn", layout=PENN13, num_classes=4, options=options)
