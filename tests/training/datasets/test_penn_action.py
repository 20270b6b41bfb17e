"""Penn Action with its faults mended."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import PENN13
from training.datasets.penn_action import CLIPS_A_BLOCK, HIDDEN_SCORE, read_penn_action
from training.datasets.skeleton_set import SkeletonSet, name_joints

Write = Callable[..., Path]


def left_of_right(keypoints: np.ndarray, joints: tuple[str, ...], offsets: np.ndarray) -> np.ndarray:
    """Say, a sequence, whether the left shoulder is at the larger x."""
    apart = keypoints[:, joints.index("left_shoulder"), 0] - keypoints[:, joints.index("right_shoulder"), 0]
    return np.array([np.median(part) > 0 for part in np.split(apart, offsets[1:-1])])


def test_sides_are_exchanged_in_the_file_and_right_once_loaded(
    shared: Path, read_real: Callable[[str], SkeletonSet]
) -> None:
    with np.load(shared / "data" / "penn_action.npz") as file:
        raw, view, joints = file["x"], file["view"], name_joints([str(joint) for joint in file["joints"]])
    loaded = read_real("penn_action")
    before = left_of_right(raw, joints, loaded.offsets)
    after = left_of_right(loaded.keypoints[:, 0], loaded.layout.joints, loaded.offsets)
    front, back = view == "front", view == "back"
    assert before[front].mean() < 0.15 < 0.85 < after[front].mean()
    assert after[back].mean() < 0.35 < 0.65 < before[back].mean()


def test_only_sides_are_exchanged(shared: Path, read_real: Callable[[str], SkeletonSet]) -> None:
    with np.load(shared / "data" / "penn_action.npz") as file:
        raw, joints = file["x"], [str(joint) for joint in file["joints"]]
    loaded = read_real("penn_action")
    for joint, spelled in (("head", "head"), ("left_wrist", "r_wrist"), ("right_knee", "l_knee")):
        seen = loaded.scores[:, 0, PENN13.index(joint)] > 0
        there = loaded.keypoints[seen, 0, PENN13.index(joint)]
        assert np.array_equal(there, raw[seen, joints.index(spelled), :2])


def test_a_joint_in_the_corner_is_not_seen_and_a_hidden_one_is_a_guess(write_set: Write, tmp_path: Path) -> None:
    x = np.full((7, 13, 3), [200, 100, 1], np.float32)
    x[0, 0] = (1, 1, 0)  # the annotators' mark for a joint that is out of the picture
    x[1, 0] = (1, 1, 1)
    x[2, 0] = (200, 100, 0)
    x[3, 0] = (1, 100, 1)  # at the edge, not in the corner
    scores = read_penn_action(write_set(tmp_path / "penn_action.npz", x=x)).scores[:, 0, 0]
    assert scores[:4].tolist() == [0, 0, np.float32(HIDDEN_SCORE), 1]


def test_hidden_joints_keep_a_low_score_on_the_real_set(read_real: Callable[[str], SkeletonSet]) -> None:
    scores = read_real("penn_action").scores
    shares = [(scores == np.float32(score)).mean() for score in (0.0, HIDDEN_SCORE, 1.0)]
    assert sum(shares) == pytest.approx(1)
    assert 0.05 < shares[0] < 0.15 < shares[2]


def test_neighbouring_clips_are_one_group(write_set: Write, tmp_path: Path) -> None:
    path = write_set(tmp_path / "penn_action.npz", ids=np.array([f"{CLIPS_A_BLOCK:04}", f"{2 * CLIPS_A_BLOCK - 1:04}"]))
    assert len(set(read_penn_action(path).groups.tolist())) == 1


def test_ids_that_are_no_clip_numbers_are_refused(write_set: Write, tmp_path: Path) -> None:
    path = write_set(tmp_path / "penn_action.npz", ids=np.array(["0001", "b2"]))
    with pytest.raises(DataError, match="expected clip numbers such as 0001 in ids, got 'b2'"):
        read_penn_action(path)
