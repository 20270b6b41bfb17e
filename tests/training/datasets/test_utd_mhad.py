"""The axes and the official split of utd_mhad."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.datasets.skeleton_set import SkeletonSet
from training.datasets.utd_mhad import read_utd_mhad


def test_x_and_y_are_turned_round(write_set: Callable[..., Path], tmp_path: Path) -> None:
    turned = read_utd_mhad(write_set(tmp_path / "utd_mhad.npz", subject=np.array([1, 2])))
    seen = turned.scores[0, 0] > 0
    assert turned.keypoints[0, 0, seen].tolist() == [[-1, -1, 1]] * seen.sum()


def test_odd_subjects_train(read_real: Callable[[str], SkeletonSet]) -> None:
    real = read_real("utd_mhad")
    assert np.array_equal(real.train, real.groups % 2 == 1)


def test_a_file_without_subjects_is_refused(write_set: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subject not found"):
        read_utd_mhad(write_set(tmp_path / "utd_mhad.npz"))
