"""The sides, the axes and the official split of msr_action3d."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import KINECT20
from training.datasets.msr_action3d import read_msr_action3d
from training.datasets.skeleton_set import SkeletonSet

ONE_HANDED = ("high_arm_wave", "hammer", "forward_punch", "draw_x", "tennis_swing")


def test_actions_of_one_hand_are_done_with_the_right_one(read_real: Callable[[str], SkeletonSet]) -> None:
    real = read_real("msr_action3d")
    clips = [real.clip(index) for index in range(len(real)) if real.label(index) in ONE_HANDED]
    reach = [
        [np.ptp(clip.keypoints[:, 0, KINECT20.index(f"{side}_wrist")], axis=0).sum() for side in ("left", "right")]
        for clip in clips
    ]
    assert np.mean([right > left for left, right in reach]) > 0.9


def test_x_and_y_are_turned_round_what_is_missing_is_not_seen_and_what_nobody_uses_is_left_out(
    write_set: Callable[..., Path], tmp_path: Path
) -> None:
    x = np.ones((7, 2, 4), np.float32)
    x[3, 0, :3] = 0
    joints, used = np.array(["wrist_b", "waist"]), np.array([0, 1])
    path = write_set(tmp_path / "msr.npz", x=x, joints=joints, subject=np.array([1, 2]), used557=used)
    read = read_msr_action3d(path)
    assert (len(read), read.train.tolist()) == (1, [False])
    wrist = KINECT20.index("right_wrist")
    assert read.scores[:, 0, wrist].tolist() == [0, 1, 1, 1]
    assert read.keypoints[1, 0, wrist].tolist() == [-1, -1, 1]


def test_odd_subjects_train(read_real: Callable[[str], SkeletonSet]) -> None:
    real = read_real("msr_action3d")
    assert np.array_equal(real.train, real.groups % 2 == 1)


def test_a_file_that_does_not_say_what_is_used_is_refused(write_set: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="used557 not found"):
        read_msr_action3d(write_set(tmp_path / "msr.npz", x=np.ones((7, 13, 4), np.float32), subject=np.array([1, 2])))
