"""KARD's world coordinates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import KINECT20
from training.datasets.kard import read_kard


def test_world_millimetres_become_metres_with_y_down(data: Path) -> None:
    kard = read_kard(data / "kard.npz")
    first = kard.clip(0).keypoints[0, 0]
    assert first.shape == (20, 3)
    assert first[KINECT20.index("left_ankle")] == pytest.approx(
        [0.088, 0.7, 2.5]
    )  # from its left_foot, 1.75 torsos low
    assert first[KINECT20.index("head"), 1] < 0


def test_odd_subjects_train(data: Path) -> None:
    kard = read_kard(data / "kard.npz")
    assert np.array_equal(kard.train, kard.groups % 2 == 1)


def test_a_file_with_three_channels_is_refused(write_set: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="6 channels"):
        read_kard(write_set(tmp_path / "kard.npz", subject=np.array([1, 2])))
