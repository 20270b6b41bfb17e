"""Actions begin and end where they do, never overlap, and say which moments and joints tell."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from factories import COCO17, make_card, make_prediction
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.bundle import Card
from pipeline.segments import SegmentSettings, find_segments, smooth
from pipeline.values import Prediction, Segment

CARD = make_card(("idle", "wave", "squat"), silent_labels=("idle",), thresholds={"wave": 0.6, "squat": 0.8})
SHARP = SegmentSettings(smooth_s=0.0)
STRIDE_S = 0.25
Probabilities = Callable[[float], Sequence[float]]


def predict(probabilities: Probabilities, seconds: float, *, stride_s: float = STRIDE_S) -> list[Prediction]:
    return [make_prediction(float(moment), probabilities(float(moment))) for moment in np.arange(0, seconds, stride_s)]


def surely(label_id: int, score: float = 0.9) -> list[float]:
    return [score if place == label_id else (1 - score) / 2 for place in range(3)]


def while_between(start_s: float, end_s: float, label_id: int = 1, *, window_s: float = 0.0) -> Probabilities:
    """Answer as a perfect recogniser: by the share of the window that the action fills."""

    def probabilities(moment: float) -> list[float]:
        if not window_s:
            share = float(start_s <= moment <= end_s)
        else:
            low, high = max(moment - window_s / 2, start_s), min(moment + window_s / 2, end_s)
            share = max(high - low, 0) / window_s
        return [1 - share if place == 0 else share if place == label_id else 0.0 for place in range(3)]

    return probabilities


def find(
    predictions: Sequence[Prediction],
    options: SegmentSettings = SHARP,
    *,
    card: Card = CARD,
    seen_s: tuple[float, float] = (0.0, 1e9),
) -> tuple[Segment, ...]:
    return find_segments(predictions, card, seen_s=seen_s, settings=options)


def labels(segments: Sequence[Segment]) -> list[str]:
    return [segment.label for segment in segments]


def test_no_prediction_is_no_action() -> None:
    assert find([]) == ()


def test_an_action_is_found_from_start_to_end() -> None:
    (wave,) = find(predict(while_between(3, 6), 10))
    assert (wave.label, wave.label_id) == ("wave", 1)
    assert (wave.start_s, wave.end_s) == pytest.approx((3, 6), abs=STRIDE_S)


@pytest.mark.parametrize("start_s", [3.0, 3.07, 3.11, 3.2])
@pytest.mark.parametrize("seconds", [2.5, 4.03])
def test_boundaries_are_finer_than_the_stride(start_s: float, seconds: float) -> None:
    answers = predict(while_between(start_s, start_s + seconds, window_s=2.0), 12)
    (wave,) = find(answers, SegmentSettings())
    assert (wave.start_s, wave.end_s) == pytest.approx((start_s, start_s + seconds), abs=STRIDE_S / 4)


def test_an_action_that_fills_the_sight_lasts_as_long_as_the_sight() -> None:
    (wave,) = find(predict(lambda _: surely(1), 5), seen_s=(-0.1, 4.8))
    assert (wave.start_s, wave.end_s) == (-0.1, 4.8)


def test_an_action_reaches_no_further_than_what_was_judged() -> None:
    predictions = [make_prediction(float(moment), surely(1)) for moment in np.arange(20, 25, STRIDE_S)]
    (wave,) = find(predictions, seen_s=(0, 60))
    assert (wave.start_s, wave.end_s) == pytest.approx((20, 25), abs=1.0)


def test_somebody_who_could_not_be_judged_for_long_did_nothing_then() -> None:
    predictions = [make_prediction(moment, surely(1)) for moment in [*np.arange(0, 5, 0.25), *np.arange(60, 65, 0.25)]]
    found = find(predictions, seen_s=(0, 65))
    assert [(round(wave.start_s), round(wave.end_s)) for wave in found] == [(0, 5), (60, 65)]


def test_windows_far_apart_by_choice_are_no_gaps() -> None:
    (wave,) = find(predict(lambda _: surely(1), 20, stride_s=2.0), seen_s=(0, 19))
    assert (wave.start_s, wave.end_s) == (0, 19)


@pytest.mark.parametrize(("dip", "num_found"), [(0.55, 1), (0.4, 1), (0.1, 1)])
def test_one_dip_does_not_cut_an_action(dip: float, num_found: int) -> None:
    dipping = predict(lambda moment: surely(1, dip) if moment == 2.0 else surely(1), 5)
    assert labels(find(dipping)) == ["wave"] * num_found


@pytest.mark.parametrize(("pause_s", "num_found"), [(0.6, 1), (0.9, 1), (1.6, 2), (3.0, 2)])
def test_a_pause_is_bridged_if_it_is_short(pause_s: float, num_found: int) -> None:
    paused = predict(lambda moment: surely(0 if 3 < moment < 3 + pause_s else 1), 9)
    assert labels(find(paused)) == ["wave"] * num_found


@pytest.mark.parametrize(("highest", "is_found"), [(0.5, False), (0.59, False), (0.61, True)])
def test_an_action_must_reach_its_threshold_once(highest: float, is_found: bool) -> None:
    answers = predict(lambda moment: [0.05, highest, 0.0] if moment == 2.0 else [0.05, 0.4, 0.0], 4)
    assert bool(find(answers)) == is_found


def test_each_label_has_its_own_threshold() -> None:
    assert labels(find(predict(lambda _: surely(1, 0.7), 4))) == ["wave"]
    assert labels(find(predict(lambda _: surely(2, 0.7), 4))) == []


def test_a_label_without_a_threshold_has_the_default() -> None:
    card = replace(CARD, thresholds={})
    assert [bool(find(predict(lambda _: surely(2, score), 4), card=card)) for score in (0.55, 0.65)] == [False, True]  # noqa: B023


@pytest.mark.parametrize(("threshold", "is_found"), [(0.0, True), (0.45, True), (0.55, False), (1.0, False)])
def test_a_threshold_that_is_asked_for_replaces_the_cards(threshold: float, is_found: bool) -> None:
    answers = predict(lambda _: surely(2, 0.5), 4)
    assert bool(find(answers, replace(SHARP, threshold=threshold))) == is_found


@pytest.mark.parametrize(("seconds", "is_found"), [(0.3, False), (0.5, False), (1.0, True)])
def test_an_action_shorter_than_the_minimum_is_dropped(seconds: float, is_found: bool) -> None:
    answers = predict(while_between(3, 3 + seconds, window_s=0.5), 8, stride_s=0.05)
    assert bool(find(answers)) == is_found


@pytest.mark.parametrize("label", [0, 2])
def test_silent_labels_are_never_reported(label: int) -> None:
    card = replace(CARD, silent_labels=("idle", "squat"))
    found = find(predict(lambda _: surely(label), 4), replace(SHARP, threshold=0.0), card=card)
    assert found == ()


def test_a_silent_label_that_wins_ends_an_action() -> None:
    answers = predict(lambda moment: [0.0, 0.9, 0.0] if moment < 3 else [0.55, 0.45, 0.0], 8)
    (wave,) = find(answers)
    assert wave.end_s == pytest.approx(2.9, abs=0.15)


def test_the_surest_run_has_the_moments_that_several_claim() -> None:
    """A squat within the pause between two waves, which would be bridged."""
    answers = predict(lambda moment: surely(2, 0.95) if 3 <= moment < 3.75 else surely(1), 7)
    assert labels(find(answers)) == ["wave"]
    answers = predict(lambda moment: surely(2, 0.95) if 0.75 <= moment < 1.5 else surely(1, 0.62), 2.0)
    assert labels(find(answers, seen_s=(0, 1.75))) == ["wave"]
    answers = predict(lambda moment: surely(2, 1.0) if 0.25 <= moment < 1.0 else surely(1, 0.62), 1.25)
    assert labels(find(answers, seen_s=(0, 1.2))) == ["squat"]


def test_where_one_action_follows_another_they_meet() -> None:
    wave, squat = find(predict(lambda moment: surely(1 if moment < 3 else 2, 0.99), 6))
    assert (wave.label, squat.label) == ("wave", "squat")
    assert wave.end_s == pytest.approx(squat.start_s)
    assert wave.end_s == pytest.approx(2.875)


def test_where_actions_blend_into_each_other_they_do_not_overlap() -> None:
    blend = predict(lambda moment: [0.0, 0.9 - 0.15 * moment, 0.1 + 0.15 * moment], 6)
    wave, squat = find(blend, seen_s=(0, 6))
    assert wave.end_s <= squat.start_s


predictions_of_anything = st.lists(
    st.tuples(st.floats(0.05, 2.0), st.integers(0, 2), st.floats(0.0, 1.0)), min_size=0, max_size=60
)


@given(
    answers=predictions_of_anything,
    threshold=st.none() | st.floats(0, 1),
    smooth_s=st.floats(0, 1.5),
    margin_s=st.floats(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_recognised_segments_are_sorted_apart_and_within_what_was_seen(
    answers: list[tuple[float, int, float]], threshold: float | None, smooth_s: float, margin_s: float
) -> None:
    moments = np.cumsum([step for step, _, _ in answers])
    predictions = [
        make_prediction(float(moment), surely(label, score))
        for moment, (_, label, score) in zip(moments, answers, strict=True)
    ]
    seen_s = (float(moments[0]) - margin_s, float(moments[-1]) + margin_s) if answers else (0.0, 0.0)
    options = SegmentSettings(threshold=threshold, smooth_s=smooth_s)
    found = find(predictions, options, seen_s=seen_s)
    for segment in found:
        assert seen_s[0] <= segment.start_s
        assert segment.end_s <= seen_s[1]
        assert segment.end_s - segment.start_s >= options.shortest_s
        assert segment.label in CARD.action_labels
        assert CARD.labels[segment.label_id] == segment.label
        assert 0 <= segment.score <= 1 + 1e-6
        assert all(segment.start_s <= moment <= segment.end_s for moment in segment.key_frames_s)
        assert all(later - earlier >= 0.4 - 1e-9 for earlier, later in pairwise(segment.key_frames_s))
        assert set(segment.key_joints) <= set(COCO17.joints)
        scores = [other.score for other in segment.top_k]
        assert scores == sorted(scores, reverse=True)
    assert all(before.end_s <= after.start_s + 1e-9 for before, after in pairwise(found))


def test_key_frames_are_where_the_windows_look() -> None:
    predictions = [make_prediction(float(moment), surely(1), attends_to_s=4.0) for moment in np.arange(3, 5.1, 0.25)]
    (wave,) = find(predictions, seen_s=(0, 10))
    assert any(moment == pytest.approx(4.0, abs=0.1) for moment in wave.key_frames_s)


def test_key_frames_of_windows_shorter_than_the_models_are_where_the_model_looks() -> None:
    """The model's frames span its own 2 s, of which these windows are the middle half."""
    predictions = [
        replace(make_prediction(float(moment), surely(1), attends_to_s=4.0), start_s=moment - 0.5, end_s=moment + 0.5)
        for moment in np.arange(3.0, 5.1, 0.25)
    ]
    (wave,) = find(predictions, seen_s=(3.0, 5.0))
    surest = [moment for moment in wave.key_frames_s if moment == pytest.approx(4.0, abs=0.1)]
    assert len(surest) == 1


def test_key_joints_are_those_that_the_windows_look_at() -> None:
    wrist = COCO17.index("left_wrist")
    (wave,) = find([make_prediction(float(moment), surely(1), joint=wrist) for moment in np.arange(0, 3, 0.25)])
    assert wave.key_joints[0] == "left_wrist"
    assert len(wave.key_joints) == 3


def test_an_explanation_that_is_not_asked_for_is_not_given() -> None:
    (wave,) = find(predict(lambda _: surely(1), 4), replace(SHARP, explain=False))
    assert (wave.key_frames_s, wave.key_joints) == ((), ())


@pytest.mark.parametrize("top_k", [1, 2, 9])
def test_of_the_labels_that_can_be_reported_the_best_are_listed(top_k: int) -> None:
    (wave,) = find(predict(lambda _: [0.2, 0.7, 0.1], 4), replace(SHARP, top_k=top_k))
    assert [other.label for other in wave.top_k] == ["wave", "squat"][:top_k]
    assert [other.score for other in wave.top_k] == pytest.approx([0.7, 0.1][:top_k])
    assert wave.score == pytest.approx(0.7)


def test_smoothing_is_a_mean_that_weighs_the_near_more(rng: np.random.Generator) -> None:
    moments, values = np.cumsum(rng.uniform(0.05, 0.6, 40)), rng.random((40, 3), np.float32)
    weights = np.maximum(1 - np.abs(moments[:, None] - moments[None]) / 0.75, 0)
    expected = weights @ values / weights.sum(axis=1, keepdims=True)
    assert smooth(values, moments, width_s=0.75) == pytest.approx(expected, abs=1e-5)


def test_smoothing_over_nothing_changes_nothing(rng: np.random.Generator) -> None:
    values = rng.random((9, 3), np.float32)
    assert (smooth(values, np.arange(9.0), width_s=0.0) == values).all()


def test_smoothing_accepts_nothing() -> None:
    assert smooth(np.zeros((0, 3), np.float32), np.zeros(0), width_s=0.75).shape == (0, 3)


def test_a_long_action_is_described_in_moments() -> None:
    predictions = [make_prediction(moment * 0.25, surely(1), num_frames=48) for moment in range(4 * 1200)]
    started_s = time.process_time()
    (wave,) = find(predictions, SegmentSettings(), seen_s=(0, 1200))
    assert wave.end_s == pytest.approx(1200, abs=1)
    assert time.process_time() - started_s < 2
