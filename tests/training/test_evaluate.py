"""Figures mean what they are called."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.layouts import KINECT20
from pipeline.recognise import calibrate
from pipeline.values import SkeletonClip
from training.evaluate import (
    NOISE_MISSING,
    Classifier,
    add_test_noise,
    as_seen,
    calibrated_temperature,
    each_noisy_window,
    fit_temperature,
    judge_noisy,
    judge_sequences,
    judge_still,
)
from training.examples import Example, divide, read_sets
from training.recipe import WindowRecipe
from training.recipes.everyday import everyday

LABELS = ("squat", "wave", "idle", "other")
F32 = NDArray[np.float32]
MakeClip = Callable[..., SkeletonClip]


def always(label: str, labels: Sequence[str]) -> Classifier:
    """Return a classifier that is sure of one label, whatever it sees."""
    row = np.where(np.array(labels) == label, 20, 0).astype(np.float32)
    return lambda clips: np.tile(row, (len(clips), 1))


def in_turn(rows: Sequence[Sequence[float]]) -> Classifier:
    """Return a classifier that gives these logits, window by window."""
    return lambda clips: np.array(rows[: len(clips)], np.float32)


@pytest.fixture(scope="module")
def tested(tiny: WindowRecipe, data: Path) -> tuple[Example, ...]:
    return divide(tiny, read_sets(tiny, data)).test


def test_a_sequence_is_the_mean_of_its_windows(tested: tuple[Example, ...], tiny: WindowRecipe) -> None:
    long, short = tested[:2]  # two seconds each: one window of 2 s, or three of 1 s
    rows = [[3.0, 0, 0, 0], [0, 9.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 5.0, 0], [0, 0, 5.0, 0], [0, 0, 5.0, 0]]
    judged = judge_sequences(in_turn(rows), (long, short), LABELS, window_s=1.0)
    expected = calibrate(np.array(rows, np.float32), 1.0)
    np.testing.assert_allclose(judged.probabilities, [expected[:3].mean(axis=0), expected[3]], rtol=1e-5)
    assert judged.truth == (long.label, short.label)
    assert judged.labels == LABELS


def test_a_temperature_softens_what_is_judged(tested: tuple[Example, ...]) -> None:
    warm, cold = (
        judge_sequences(always("wave", LABELS), tested, LABELS, window_s=2.0, temperature=temperature)
        for temperature in (10.0, 1.0)
    )
    assert warm.probabilities.max() < cold.probabilities.max()
    assert warm.top1() == cold.top1()


def test_a_judge_who_always_says_the_same_is_right_as_often_as_that_is_true(tested: tuple[Example, ...]) -> None:
    share = np.mean([example.label == "squat" for example in tested])
    assert judge_sequences(always("squat", LABELS), tested, LABELS, window_s=2.0).top1() == share
    assert judge_noisy(always("squat", LABELS), tested, LABELS).top1() == share
    assert each_noisy_window(always("squat", LABELS), tested, LABELS).top1() == pytest.approx(share, abs=0.05)


def test_noisy_windows_are_judged_one_by_one(tested: tuple[Example, ...]) -> None:
    windows = each_noisy_window(always("squat", LABELS), tested, LABELS)
    assert len(windows.truth) == len(windows.probabilities) >= len(tested)


def test_noise_is_drawn_by_the_seed(tested: tuple[Example, ...]) -> None:
    seen: list[F32] = []

    def remember(clips: Sequence[SkeletonClip]) -> F32:
        seen.append(clips[0].keypoints)
        return np.zeros((len(clips), 4), np.float32)

    for seed in (1, 1, 2):
        judge_noisy(remember, tested, LABELS, seed=seed)
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize("noisy", [False, True], ids=["calm", "with pose noise"])
def test_still_windows_are_idle_by_the_rule_of_motion_whatever_the_model_says(
    tested: tuple[Example, ...], tiny: WindowRecipe, noisy: bool
) -> None:
    judged = judge_still(always("squat", tiny.class_labels), tested, tiny, noisy=noisy)
    assert judged.top1() >= (0.6 if noisy else 0.95)
    assert set(judged.truth) == {"idle"}


def test_without_the_rule_of_motion_the_model_has_the_say(tested: tuple[Example, ...], tiny: WindowRecipe) -> None:
    unruled = replace(tiny, still_motion=0.0)
    assert judge_still(always("squat", tiny.class_labels), tested, unruled).top1() == 0
    assert judge_still(always("idle", tiny.class_labels), tested, unruled).top1() == 1


def test_real_people_who_hold_a_pose_are_idle(shared: Path) -> None:
    recipe = replace(everyday(), labels={"penn_action": everyday().labels["penn_action"]})
    official = divide(recipe, read_sets(recipe, shared / "data")).test[::10]
    assert judge_still(always("squat", recipe.class_labels), official, recipe).top1() > 0.9


def draw_logits(num: int = 4000) -> tuple[F32, NDArray[np.int64]]:
    """Return logits whose softmax is right about how often each label is true."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (num, 5)).astype(np.float32)
    truth = np.array([rng.choice(5, p=row / row.sum()) for row in calibrate(logits, 1.0).astype(float)])
    return logits, truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_logits_were_spoilt_by_is_found(temperature: float) -> None:
    logits, truth = draw_logits()
    assert fit_temperature(logits * np.float32(temperature), truth) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_of_a_classifier_is_found_on_held_out_sequences_and_still_windows(
    tiny: WindowRecipe, data: Path
) -> None:
    calibration = divide(tiny, read_sets(tiny, data)).calibration
    said: list[int] = []

    def unsure(clips: Sequence[SkeletonClip]) -> F32:
        said.append(len(clips))
        return np.zeros((len(clips), len(tiny.class_labels)), np.float32)

    assert calibrated_temperature(unsure, calibration, tiny) > 0
    assert said == [len(calibration) + len(calibration[::4])]
    # Wrong whatever the temperature: the softest there is fits best.
    assert calibrated_temperature(always("golf_swing", tiny.class_labels), calibration[:1], tiny) == pytest.approx(4.0)


def test_test_noise_loses_some_joints_and_shakes_the_rest_a_little(
    make_clip: MakeClip, rng: np.random.Generator
) -> None:
    clip = make_clip("nothing", num_frames=300)
    noisy = add_test_noise(clip, rng)
    assert (noisy.scores == 0).mean() == pytest.approx(NOISE_MISSING, abs=0.02)
    torso = 80.0
    assert np.std(noisy.keypoints - clip.keypoints) == pytest.approx(0.03 * torso, rel=0.05)
    assert noisy.keypoints.dtype == noisy.scores.dtype == np.float32


def test_people_are_seen_from_the_front_half(make_clip: MakeClip, rng: np.random.Generator) -> None:
    flat = make_clip()
    assert as_seen(flat, rng) is flat
    seen = as_seen(make_clip(layout=KINECT20, num_axes=3), rng).keypoints[:, 0]
    assert seen.shape[-1] == 2
    left, right = KINECT20.index("left_shoulder"), KINECT20.index("right_shoulder")
    assert (seen[:, left, 0] > seen[:, right, 0]).all()
