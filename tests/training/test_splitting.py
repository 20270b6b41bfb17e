"""A split goes by groups, and into the file without harm to it."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import PENN13
from training import splitting
from training.datasets.skeleton_set import read_arrays, read_converted
from training.splitting import add_split, of_ids, of_subjects, read_columns, share_of_groups

Write = Callable[..., Path]


@pytest.fixture
def converted(write_set: Write, tmp_path: Path) -> Path:
    """A file of two sequences as a conversion leaves it."""
    more = {"channels": np.array(["x", "y", "score"]), "fps": np.array([15.0, 15.0]), "subject": np.array([4, 9])}
    return write_set(tmp_path / "set.npz", train=None, **more)


def test_a_split_is_added_and_all_else_stays(converted: Path) -> None:
    before = read_arrays(converted)
    add_split(converted, "test", np.array([False, True]))
    after = read_arrays(converted)
    assert after.pop("split_test").tolist() == [1, 0]
    assert after.keys() == before.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert read_converted(converted, PENN13).train.tolist() == [True, False]


def test_the_first_split_stays_the_first(converted: Path) -> None:
    add_split(converted, "one", np.array([False, True]))
    add_split(converted, "another", np.array([True, False]))
    assert list(read_converted(converted, PENN13).splits) == ["one", "another"]


@pytest.mark.parametrize(
    ("name", "tested", "complaint"),
    [
        ("my split", [True, False], "expected letters, digits and _"),
        ("../x", [True, False], "expected letters, digits and _"),
        ("", [True, False], "expected letters, digits and _"),
        ("there", [True, False], "has a split 'there' already: choose another name"),
        ("test", [True, True], "would leave nothing to train on"),
        ("test", [False, False], "would leave nothing to test on"),
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_is_refused_and_the_file_stays(
    converted: Path, name: str, tested: list[bool], complaint: str
) -> None:
    add_split(converted, "there", np.array([False, True]))
    before = converted.read_bytes()
    with pytest.raises(ValueError, match=complaint):
        add_split(converted, name, np.array(tested))
    assert converted.read_bytes() == before


def test_a_full_disk_leaves_the_file_as_it_was(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = converted.read_bytes()
    monkeypatch.setattr(splitting, "copyfileobj", refuse)
    with pytest.raises(DataError, match="is full"):
        add_split(converted, "test", np.array([False, True]))
    assert converted.read_bytes() == before
    assert list(converted.parent.iterdir()) == [converted]


def test_columns_are_read_without_the_frames(converted: Path) -> None:
    columns = read_columns(converted)
    assert columns["subject"].tolist() == [4, 9]
    assert "x" not in columns


def test_another_file_has_no_columns(write_set: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file that marey data convert wrote; it lacks subject, channels"):
        read_columns(write_set(tmp_path / "plain.npz"))
    (tmp_path / "text.npz").write_text("Dear reader")
    with pytest.raises(DataError, match="expected a skeleton set"):
        read_columns(tmp_path / "text.npz")


def test_about_a_share_of_every_class_is_tested() -> None:
    labels = np.repeat([0, 1, 2], [20, 10, 2])
    tested = share_of_groups(labels, np.arange(32), 0.2, np.random.default_rng(0))
    assert [int(tested[labels == label].sum()) for label in range(3)] == [4, 2, 1]


def test_the_only_sequence_of_a_class_trains() -> None:
    labels = np.array([0, 0, 0, 0, 1])
    assert not share_of_groups(labels, np.arange(5), 0.5, np.random.default_rng(0))[4]


def test_a_group_is_on_one_side() -> None:
    labels, groups = np.tile(np.arange(6), 10), np.repeat(np.arange(10), 6)
    tested = share_of_groups(labels, groups, 0.3, np.random.default_rng(0))
    assert not set(groups[tested]) & set(groups[~tested])
    assert len(set(groups[tested])) == 3


def test_groups_that_are_larger_than_the_share_are_tested_one_at_least() -> None:
    groups = np.array([0, 0, 0, 1, 1, 1])
    tested = share_of_groups(np.zeros(6, np.int64), groups, 0.1, np.random.default_rng(0))
    assert tested.sum() == 3


def test_a_seed_chooses() -> None:
    def choose(seed: int) -> list[bool]:
        chosen: list[bool] = share_of_groups(
            np.zeros(30, np.int64), np.arange(30), 0.3, np.random.default_rng(seed)
        ).tolist()
        return chosen

    assert choose(1) == choose(1) != choose(2)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, float("nan")])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="expected a share between 0 and 1"):
        share_of_groups(np.zeros(3, np.int64), np.arange(3), share, np.random.default_rng(0))


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="all sequences belong to one subject"):
        share_of_groups(np.zeros(3, np.int64), np.zeros(3, np.int64), 0.5, np.random.default_rng(0))


def test_subjects_and_ids_are_found_or_missed_by_name() -> None:
    assert of_subjects(np.array([1, 2, 1, 3]), [1, 3]).tolist() == [True, False, True, True]
    assert of_ids(["a", "b", "c"], ["c"]).tolist() == [False, False, True]
    with pytest.raises(ValueError, match="no sequence is of subject 7, 9: expected some of 1, 2"):
        of_subjects(np.array([1, 2]), [9, 1, 7])
    with pytest.raises(ValueError, match="no sequence is called d: see the file's array ids"):
        of_ids(["a", "b", "c"], ["c", "d"])
