"""Weights of members are those that held-out examples ask for."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.registry import Recogniser, build
from pipeline.layouts import LAYOUTS
from training.fusion import fit_ensemble, fit_streams, fit_weights, fused, member_logits


def member(rng: np.random.Generator, truth: np.ndarray, *, skill: float) -> np.ndarray:
    """Return the probabilities of somebody who knows so much of the truth."""
    logits = rng.normal(size=(len(truth), 4))
    logits[np.arange(len(truth)), truth] += skill
    raised = np.exp(logits)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def loss(scores: list[np.ndarray], weights: tuple[float, ...], truth: np.ndarray) -> float:
    return float(-np.log(fused(scores, weights)[np.arange(len(truth)), truth]).mean())


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).integers(4, size=200)


@pytest.mark.parametrize("seed", range(5))
def test_no_weights_of_a_fine_grid_are_better(seed: int, truth: np.ndarray) -> None:
    rng = np.random.default_rng(seed)
    scores = [member(rng, truth, skill=skill) for skill in rng.uniform(0, 3, size=2)]
    grid = [(first, 1 - first) for first in np.linspace(0, 1, 1001)]
    best = min(grid, key=lambda weights: loss(scores, weights, truth))
    found = fit_weights(scores, truth)
    assert found[0] == pytest.approx(best[0], abs=5e-3)
    assert loss(scores, found, truth) <= loss(scores, best, truth) + 1e-5


def test_three_members_are_at_least_as_good_as_any_grid_of_them(truth: np.ndarray) -> None:
    rng = np.random.default_rng(6)
    scores = [member(rng, truth, skill=skill) for skill in (2.0, 1.8, 1.0)]
    steps = range(21)
    grid = [(i / 20, j / 20, 1 - (i + j) / 20) for i in steps for j in steps if i + j <= 20]
    found = fit_weights(scores, truth)
    assert sum(found) == pytest.approx(1)
    assert loss(scores, found, truth) <= min(loss(scores, weights, truth) for weights in grid)


def test_equal_members_have_equal_weights(truth: np.ndarray) -> None:
    scores = [member(np.random.default_rng(1), truth, skill=1)] * 3
    assert fit_weights(scores, truth) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_useless_member_has_no_weight(truth: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    scores = [member(rng, truth, skill=3), member(rng, (truth + 1) % 4, skill=3)]
    assert fit_weights(scores, truth) == (1.0, 0.0)


def test_an_example_that_nobody_thought_possible_changes_nothing(truth: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    scores = [member(rng, truth, skill=2), member(rng, truth, skill=1)]
    impossible = [np.concatenate([one, np.float32([[0, 0, 0, 1]])]) for one in scores]
    assert fit_weights(impossible, np.append(truth, 0)) == pytest.approx(fit_weights(scores, truth), abs=1e-2)


def test_without_examples_all_count_alike() -> None:
    assert fit_weights([np.zeros((0, 4), np.float32)] * 2, np.zeros(0, np.int64)) == (0.5, 0.5)


class Repeating(Recogniser):
    """Says of each clip what its first channel says, times a factor."""

    def __init__(self, factor: float, shift: int = 0) -> None:
        super().__init__()
        self.factor, self.shift = nn.Parameter(torch.tensor(factor)), shift

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, 0, 0, :, 0] * self.factor).roll(self.shift, dims=1)


def test_an_ensemble_is_calibrated_and_keeps_only_who_helps(truth: np.ndarray) -> None:
    clips = np.log(member(np.random.default_rng(3), truth, skill=3.0))[:, None, None, :, None]
    batches = np.array_split(clips, 3)
    ensemble = fit_ensemble([Repeating(4.0), Repeating(4.0, shift=1)], batches, truth)
    assert len(ensemble.members) == 1
    # Noise of variance 1 about a lead of 3: three times these logits would be calibrated, four times are too sure.
    assert ensemble.temperatures.tolist() == pytest.approx([4 / 3], rel=0.25)


def test_the_streams_of_one_recogniser_are_weighed_in_the_same_way() -> None:
    torch.manual_seed(0)
    options = {"base_channels": 8, "widths": (1,), "strides": (1,), "streams": ("joint", "bone")}
    model = build("ctrgcn", layout=LAYOUTS["penn13"], num_classes=4, options=options).eval()
    nn.init.normal_(model.get_parameter("backbones.0.classify.weight"))
    clips = torch.randn(30, 6, 1, 13, 3)
    # What the joints' backbone says is true, and the other one knows nothing.
    truth = model.member_logits(clips)[0].argmax(dim=1).numpy()
    batches = np.array_split(clips.numpy(), 4)
    assert member_logits(model, batches).shape == (2, 30, 4)
    weights = fit_streams(model, batches, truth)
    model.weigh(weights)
    assert model.weights.tolist() == pytest.approx(weights)
    assert weights[0] > 0.95
