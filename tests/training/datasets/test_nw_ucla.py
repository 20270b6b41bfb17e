"""The axes and the official split of nw_ucla."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.datasets.nw_ucla import read_nw_ucla
from training.datasets.skeleton_set import SkeletonSet


def test_x_and_y_are_turned_round(write_set: Callable[..., Path], tmp_path: Path) -> None:
    path = write_set(tmp_path / "nw_ucla.npz", subject=np.array([1, 2]), camera=np.array([1, 3]))
    turned = read_nw_ucla(path)
    seen = turned.scores[0, 0] > 0
    assert turned.keypoints[0, 0, seen].tolist() == [[-1, -1, 1]] * seen.sum()


def test_the_third_camera_tests(shared: Path, read_real: Callable[[str], SkeletonSet]) -> None:
    with np.load(shared / "data" / "nw_ucla.npz") as file:
        camera = file["camera"]
    assert np.array_equal(read_real("nw_ucla").train, camera != 3)


def test_a_file_without_subjects_is_refused(write_set: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subject, camera not found"):
        read_nw_ucla(write_set(tmp_path / "nw_ucla.npz"))
