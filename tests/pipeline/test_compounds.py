"""Actions that are two others in a row, on timelines written by hand."""

import numpy as np
import pytest

from pipeline.compounds import TURN_S, join_compounds
from pipeline.values import F32

LABELS = ("idle", "sit_down", "stand_up", "squat")
SQUAT = {"squat": ("sit_down", "stand_up")}


def timeline(*rows: tuple[float, float, float]) -> F32:
    """Return probabilities of sitting down, standing up and squatting; the rest is idle."""
    return np.array([(1 - sum(row), *row) for row in rows], np.float32)


def joined(probabilities: F32, *, step_s: float = 0.5) -> F32:
    return join_compounds(probabilities, step_s * np.arange(len(probabilities)), LABELS, SQUAT)


def test_who_goes_down_and_comes_up_at_once_has_squatted() -> None:
    answer = joined(timeline((0.9, 0, 0), (0.3, 0.3, 0.3), (0, 0.8, 0)))
    assert answer[:, 3] == pytest.approx([0.8, 0.9, 0.8])
    assert answer[:, 1] == pytest.approx([0.1, 0, 0], abs=1e-6)
    assert answer[:, 2] == pytest.approx([0, 0, 0], abs=1e-6)


def test_who_stays_down_for_longer_has_sat() -> None:
    rest = [(0.0, 0.0, 0.0)] * round(TURN_S / 0.5)
    sat = timeline((0.9, 0, 0), *rest, (0, 0.9, 0))
    assert joined(sat) == pytest.approx(sat)
    assert joined(sat[np.r_[0, 2 : len(sat)]])[0, 3] == pytest.approx(0.9)


def test_who_stands_up_and_sits_down_has_done_both() -> None:
    both = timeline((0, 0.9, 0), (0.9, 0, 0))
    assert joined(both) == pytest.approx(both)


def test_no_more_is_passed_on_than_the_other_half_and_the_compound_have() -> None:
    answer = joined(timeline((0.9, 0, 0), (0, 0.2, 0.3)))
    assert answer[0] == pytest.approx([0.1, 0.4, 0, 0.5])
    assert answer[1] == pytest.approx([0.5, 0, 0, 0.5])


def test_moments_may_be_apart_by_any_step_and_each_keeps_its_sum() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 40).astype(np.float32)
    moments_s = np.cumsum(rng.uniform(0.05, 1.5, 40))
    answer = join_compounds(probabilities, moments_s, LABELS, SQUAT)
    assert answer.sum(axis=1) == pytest.approx(np.ones(40))
    for now, moment_s in enumerate(moments_s):
        after = (moments_s > moment_s) & (moments_s <= moment_s + TURN_S)
        before = (moments_s < moment_s) & (moments_s >= moment_s - TURN_S)
        down = min(probabilities[now, 1], (probabilities[:, 2] + probabilities[:, 3])[after].max(initial=0))
        up = min(probabilities[now, 2], (probabilities[:, 1] + probabilities[:, 3])[before].max(initial=0))
        assert answer[now, 3] == pytest.approx(probabilities[now, 3] + down + up, abs=1e-6)


@pytest.mark.parametrize("num_moments", [0, 1])
def test_a_moment_alone_stays_as_it_is(num_moments: int) -> None:
    alone = timeline(*[(0.5, 0.2, 0.1)] * num_moments).reshape(-1, 4)
    assert joined(alone) == pytest.approx(alone)


def test_without_compounds_nothing_is_copied() -> None:
    probabilities = timeline((0.5, 0.2, 0.1))
    assert join_compounds(probabilities, np.zeros(1), LABELS, {}) is probabilities
