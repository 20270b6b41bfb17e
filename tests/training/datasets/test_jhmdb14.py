"""JHMDB-14's splits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.datasets.jhmdb14 import read_jhmdb14
from training.datasets.skeleton_set import SkeletonSet

FLAT = np.ones((7, 13, 2), np.float32)


def test_1_in_a_split_says_train_as_seven_of_ten_are(shared: Path, read_real: Callable[[str], SkeletonSet]) -> None:
    with np.load(shared / "data" / "jhmdb14.npz") as file:
        splits = file["splits"]
    assert set(np.unique(splits)) == {0, 1}
    assert ((splits == 1).mean(axis=0) > 0.65).all()
    assert ((splits == 1).mean(axis=0) < 0.75).all()
    assert np.array_equal(read_real("jhmdb14").train, splits[:, 0] == 1)


def test_the_first_split_is_the_one_that_counts(write_set: Callable[..., Path], tmp_path: Path) -> None:
    path = write_set(tmp_path / "jhmdb14.npz", x=FLAT, splits=np.array([[1, 0, 0], [0, 1, 1]]))
    assert read_jhmdb14(path).train.tolist() == [True, False]


def test_splits_without_columns_are_refused(write_set: Callable[..., Path], tmp_path: Path) -> None:
    path = write_set(tmp_path / "jhmdb14.npz", x=FLAT, splits=np.array([1, 0]))
    with pytest.raises(DataError, match=r"expected a column for each official split in splits, got \(2,\)"):
        read_jhmdb14(path)
