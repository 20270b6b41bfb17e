"""What holds of every data set, on the real files."""

from collections.abc import Callable

import numpy as np
import pytest

from training.datasets.registry import reader_names
from training.datasets.skeleton_set import SkeletonSet

# sequences, classes, official train, official test
SIZES = {
    "penn_action": (2326, 15, 1258, 1068),
    "nw_ucla": (1484, 10, 1020, 464),
    "utd_mhad": (861, 27, 431, 430),
    "jhmdb14": (609, 14, 433, 176),
    "kard": (486, 18, 270, 216),
    "msr_action3d": (557, 20, 284, 273),
}
# How fast people walk, m/s, where they walk from place to place: Bohannon 1997 has 1.3 to 1.5 m/s out of doors.
WALKS = {"nw_ucla": "walk_around", "kard": "walk"}
# Strides a second (two steps) of people who walk or jog, also on the spot.
STRIDES = {"utd_mhad": ("walk", "jog"), "nw_ucla": ("walk_around",), "jhmdb14": ("walk", "run")}

Reader = Callable[[str], SkeletonSet]


def medians(real_set: SkeletonSet, joint: str, axis: int) -> np.ndarray:
    """Return, a sequence, where a joint is in the middle of its frames."""
    place = real_set.layout.index(joint)
    return np.array([np.median(real_set.clip(index).keypoints[:, 0, place, axis]) for index in range(len(real_set))])


@pytest.mark.parametrize("name", list(SIZES))
def test_a_set_has_as_many_sequences_classes_and_official_parts_as_its_authors_say(
    name: str, read_real: Reader
) -> None:
    real = read_real(name)
    assert (len(real), len(real.classes), int(real.train.sum()), int((~real.train).sum())) == SIZES[name]
    assert set(np.unique(real.labels)) == set(range(len(real.classes)))


def test_all_known_sets_are_held_to_their_sizes() -> None:
    assert set(SIZES) == set(reader_names())


def test_arrays_are_finite_float32_with_scores_up_to_1(real_set: SkeletonSet) -> None:
    assert real_set.keypoints.dtype == real_set.scores.dtype == np.float32
    assert np.isfinite(real_set.keypoints).all()
    assert real_set.scores.min() >= 0
    assert real_set.scores.max() == 1


def test_most_people_face_the_camera_and_have_the_left_shoulder_at_the_larger_x(real_set: SkeletonSet) -> None:
    apart = medians(real_set, "left_shoulder", 0) - medians(real_set, "right_shoulder", 0)
    # Penn Action films as many backs as faces: tests/training/datasets/test_penn_action.py looks at the views.
    assert (apart > 0).mean() > (0.6 if real_set.name == "penn_action" else 0.69)


def test_heads_are_above_hips_as_y_points_down(real_set: SkeletonSet) -> None:
    above = medians(real_set, "head", 1) < medians(real_set, "left_hip", 1)
    assert above.mean() > (0.8 if real_set.name == "penn_action" else 0.95)  # Penn Action has people who lie


@pytest.mark.parametrize("name", ["nw_ucla", "utd_mhad", "kard"])
def test_a_set_in_3d_is_in_metres(name: str, read_real: Reader) -> None:
    real = read_real(name)
    shoulders, hips = (
        np.mean([real.keypoints[:, 0, real.layout.index(f"{side}_{joint}")] for side in ("left", "right")], axis=0)
        for joint in ("shoulder", "hip")
    )
    assert real.keypoints.shape[-1] == 3
    assert 0.3 < np.median(np.linalg.norm(shoulders - hips, axis=-1)) < 0.6
    assert 1.2 < np.median(np.ptp(real.keypoints[:, 0, :, 1], axis=1)) < 1.9


@pytest.mark.parametrize("name", list(WALKS))
def test_people_walk_at_a_walking_speed(name: str, read_real: Reader) -> None:
    real, speeds = read_real(name), []
    for index in np.flatnonzero(real.labels == real.classes.index(WALKS[name])):
        clip = real.clip(index)
        hips = clip.keypoints[::5, 0, real.layout.index("left_hip")][:, [0, 2]]  # five frames apart: jitter is no way
        speeds.append(np.median(np.linalg.norm(np.diff(hips, axis=0), axis=-1)) * real.fps[0] / 5)
    assert 0.4 < np.median(speeds) < 2.0


@pytest.mark.parametrize(
    ("name", "action"), [(name, action) for name, actions in STRIDES.items() for action in actions]
)
def test_people_take_one_or_two_strides_a_second(name: str, action: str, read_real: Reader) -> None:
    real, rates = read_real(name), []
    for index in np.flatnonzero(real.labels == real.classes.index(action)):
        body = real.clip(index).keypoints[:, 0]
        lifted = body[:, real.layout.index("left_knee"), 1] - body[:, real.layout.index("right_knee"), 1]
        spectrum = np.abs(np.fft.rfft((lifted - lifted.mean()) * np.hanning(len(lifted)), 2048))
        frequencies = np.fft.rfftfreq(2048, 1 / real.fps[0])
        rates.append(frequencies[np.where(frequencies > 0.3, spectrum, 0).argmax()])
    assert 0.7 < np.median(rates) < 2.2
