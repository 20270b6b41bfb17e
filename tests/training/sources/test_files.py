"""Finding files in folders, zips and folders of zips; what is broken is named."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.sources.files import Files, read_or_drop
from training.sources.registry import Dropped, LabelledSequence


def zip_up(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_sequence(keypoints: np.ndarray, scores: np.ndarray) -> LabelledSequence:
    return LabelledSequence(
        id="a", label="wave", keypoints=keypoints.astype(np.float32), scores=scores.astype(np.float32), fps=30.0
    )


def test_files_are_found_in_folders_and_in_zips_within_them(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.txt").write_bytes(b"plain")
    (tmp_path / "deep" / "c.csv").write_bytes(b"other")
    zip_up(tmp_path / "some.zip", {"in/a.txt": b"zipped", "__MACOSX/in/._a.txt": b"fork"})
    with Files(tmp_path, ".txt") as files:
        assert files.names == ("a.txt", "b.txt")
        assert [files.read(name) for name in files.names] == [b"zipped", b"plain"]


def test_of_two_files_of_one_name_the_first_counts_and_both_are_told(tmp_path: Path) -> None:
    with Files(zip_up(tmp_path / "some.zip", {"one/a.txt": b"1", "two/a.txt": b"2"}), ".txt") as files:
        assert (files.names, files.repeated, files.read("a.txt")) == (("a.txt",), ("a.txt",), b"1")


@pytest.mark.parametrize("size", [0, 30])
def test_a_zip_that_is_cut_off_is_a_fault_of_the_whole(tmp_path: Path, size: int) -> None:
    path = zip_up(tmp_path / "some.zip", {"a.txt": b"1" * 1000, "b.txt": b"2" * 1000})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="expected a zip, but it is broken or cut off"):
        Files(path, ".txt")


def test_a_broken_member_of_a_zip_is_named(tmp_path: Path) -> None:
    path = zip_up(tmp_path / "some.zip", {"a.txt": bytes(range(256))})
    content = bytearray(path.read_bytes())
    content[100] ^= 255
    path.write_bytes(content)
    with Files(path, ".txt") as files, pytest.raises(DataError, match=r"a\.txt cannot be read"):
        files.read("a.txt")


def test_what_is_too_large_is_not_unpacked(tmp_path: Path) -> None:
    path = zip_up(tmp_path / "some.zip", {"a.txt": b"0" * 1000})
    with (
        Files(path, ".txt", largest_bytes=999) as files,
        pytest.raises(DataError, match="1000 bytes: expected at most"),
    ):
        files.read("a.txt")


def test_nothing_there_and_nothing_of_its_kind_there_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing there"):
        Files(tmp_path / "absent", ".txt")
    with pytest.raises(DataError, match=r"expected \*\.txt or \*\.mat in it, found none"):
        Files(tmp_path, ".txt", ".mat")


@pytest.mark.parametrize(
    ("keypoints", "scores", "reason"),
    [
        (np.zeros((0, 1, 2, 2)), np.zeros((0, 1, 2)), "no frames"),
        (np.ones((3, 1, 2, 2)), np.zeros((3, 1, 2)), "nobody is seen"),
        (np.where(np.arange(12).reshape(3, 1, 2, 2) == 9, np.nan, 1), np.ones((3, 1, 2)), "frame 2 is not finite"),
        (np.where(np.arange(12).reshape(3, 1, 2, 2) == 5, np.inf, 1), np.ones((3, 1, 2)), "frame 1 is not finite"),
        (np.ones((3, 1, 2, 2)), np.full((3, 1, 2), np.nan), "frame 0 is not finite"),
    ],
    ids=["empty", "unseen", "nan", "inf", "nan score"],
)
def test_a_sequence_without_use_is_dropped(keypoints: np.ndarray, scores: np.ndarray, reason: str) -> None:
    dropped = read_or_drop("a", lambda: make_sequence(keypoints, scores))
    assert isinstance(dropped, Dropped)
    assert reason in dropped.reason


def test_a_joint_that_was_not_seen_may_hold_anything() -> None:
    keypoints, scores = np.ones((3, 1, 2, 2)), np.ones((3, 1, 2))
    keypoints[0, 0, 0], scores[0, 0, 0] = np.nan, 0
    assert isinstance(read_or_drop("a", lambda: make_sequence(keypoints, scores)), LabelledSequence)
