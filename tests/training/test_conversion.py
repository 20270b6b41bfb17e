"""Sequences become a skeleton set file, whole or not at all."""

import errno
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import COCO17, NTU25, PENN13
from training import conversion
from training.conversion import convert, is_split_name
from training.datasets.skeleton_set import read_arrays, read_converted
from training.sources.registry import Dropped, LabelledSequence, Opened

Parts = Sequence[LabelledSequence | Dropped]


def make_sequence(number: int = 0, *, label: str = "wave", num_frames: int = 4, people: int = 1, axes: int = 2) -> Any:
    """Return frames whose coordinates are all the sequence's number, and then some."""
    keypoints = np.full((num_frames, people, 17, axes), 10 * number, np.float32)
    keypoints += np.arange(num_frames, dtype=np.float32)[:, None, None, None]
    return LabelledSequence(
        id=f"{label}/{number}",
        label=label,
        keypoints=keypoints,
        scores=np.full((num_frames, people, 17), 0.5, np.float32),
        fps=15.0,
        size_wh=(320, 240),
        subject=number,
        splits={"first": number % 2 == 0},
    )


def opened(parts: Parts, *, classes: Sequence[str] = ("wave", "jump")) -> Opened:
    return Opened(COCO17, tuple(classes), iter(parts), len(parts))


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    first, second = make_sequence(1), make_sequence(2, label="jump", num_frames=7)
    report = convert(opened([first, second]), tmp_path / "set.npz")
    read = read_converted(tmp_path / "set.npz", COCO17)
    assert (report.sequences, report.frames, report.dropped) == (2, 11, {})
    assert [read.label(index) for index in range(2)] == ["wave", "jump"]
    for index, sequence in enumerate((first, second)):
        clip = read.clip(index)
        assert np.array_equal(clip.keypoints, sequence.keypoints)
        assert np.array_equal(clip.scores, sequence.scores)
        assert (clip.size_wh, 1 / np.diff(clip.times_s).mean()) == ((320, 240), pytest.approx(15.0))
    assert read.groups.tolist() == [1, 2]
    assert {name: sides.tolist() for name, sides in read.splits.items()} == {"first": [0, 1]}


def test_3d_is_written_with_its_third_axis(tmp_path: Path) -> None:
    sequence = make_sequence(axes=3)
    wide = replace(sequence, keypoints=np.ones((4, 1, 25, 3), np.float32), scores=np.ones((4, 1, 25), np.float32))
    convert(Opened(NTU25, ("wave",), iter([wide])), tmp_path / "set.npz")
    assert read_arrays(tmp_path / "set.npz")["channels"].tolist() == ["x", "y", "z", "score"]
    assert read_converted(tmp_path / "set.npz", PENN13).keypoints.shape == (4, 1, 13, 3)


def test_there_is_room_for_the_most_people_of_any_sequence(tmp_path: Path) -> None:
    convert(opened([make_sequence(1), make_sequence(2, people=3)]), tmp_path / "set.npz")
    read = read_converted(tmp_path / "set.npz", COCO17)
    assert read.keypoints.shape[1] == 3
    assert read.clip(0).scores.max(axis=(0, 2)).tolist() == [0.5, 0, 0]
    assert (read.clip(1).scores > 0).all()


def test_the_best_seen_people_are_kept_where_fewer_are_wanted(tmp_path: Path) -> None:
    sequence = make_sequence(people=3)
    scores = sequence.scores * np.array([[[0.5], [1.0], [0.8]]], np.float32)
    keypoints = sequence.keypoints + np.array([[[[0]], [[100]], [[200]]]], np.float32)
    convert(opened([replace(sequence, scores=scores, keypoints=keypoints)]), tmp_path / "set.npz", people=2)
    assert read_converted(tmp_path / "set.npz", COCO17).keypoints[0, :, 0, 0].tolist() == [100, 200]


def test_a_joint_that_is_not_finite_is_not_seen(tmp_path: Path) -> None:
    sequence = make_sequence(1)
    keypoints = sequence.keypoints.copy()
    keypoints[2, 0, 5, 1] = np.nan
    convert(opened([replace(sequence, keypoints=keypoints)]), tmp_path / "set.npz")
    x = read_arrays(tmp_path / "set.npz")["x"]
    assert x[2, 0, 5].tolist() == [0, 0, 0]
    assert (x[..., 2] > 0).sum() == 4 * 17 - 1


def test_a_sequence_without_a_part_in_a_split_is_marked(tmp_path: Path) -> None:
    second = replace(make_sequence(2), splits={"other": True})
    convert(opened([make_sequence(1), second]), tmp_path / "set.npz")
    arrays = read_arrays(tmp_path / "set.npz")
    assert (arrays["split_first"].tolist(), arrays["split_other"].tolist()) == ([0, -1], [-1, 1])


def test_what_is_dropped_is_reported_by_reason_and_kept_in_the_file(tmp_path: Path) -> None:
    blind = replace(make_sequence(3), scores=np.zeros((4, 1, 17), np.float32))
    parts = [Dropped("a", "too short"), make_sequence(1), Dropped("b", "too short"), blind]
    report = convert(opened(parts), tmp_path / "set.npz", facts={"pose": "fake"})
    assert report.dropped == {"too short": ["a", "b"], "no joint is seen in it": ["wave/3"]}
    kept = json.loads(str(read_arrays(tmp_path / "set.npz")["report"]))
    assert kept == {"pose": "fake", "sequences": 1, "frames": 4, "dropped": dict(report.dropped)}


def test_classes_can_be_given_other_names(tmp_path: Path) -> None:
    convert(opened([make_sequence(label="jump")]), tmp_path / "set.npz", labels=("hello", "hop"))
    assert read_converted(tmp_path / "set.npz", COCO17).label(0) == "hop"


def test_progress_counts_what_is_dropped_too(tmp_path: Path) -> None:
    shares: list[float] = []
    parts = [Dropped("a", "too short"), make_sequence()]
    convert(opened(parts), tmp_path / "set.npz", on_progress=shares.append)
    assert shares == [0.5, 1.0]


def test_the_same_sequences_make_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(opened([make_sequence(1), make_sequence(2)]), tmp_path / f"{name}.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_no_more_than_one_sequence_is_held(tmp_path: Path) -> None:
    live: set[int] = set()

    class Watched(np.ndarray):
        def __del__(self) -> None:
            live.discard(id(self))

    def sequences() -> Iterator[LabelledSequence]:
        for number in range(20):
            sequence = make_sequence(number)
            watched = sequence.keypoints.view(Watched)
            live.add(id(watched))
            assert len(live) <= 2  # the one at hand, and the one before that is about to go
            yield replace(sequence, keypoints=watched)
            del sequence, watched

    convert(Opened(COCO17, ("wave",), sequences()), tmp_path / "set.npz")


@pytest.mark.parametrize(
    ("sequence", "complaint"),
    [
        (make_sequence(label="bow"), "expected one of the classes wave, jump, got 'bow'"),
        (replace(make_sequence(), fps=0.0), "expected a frame rate above 0, got 0.0"),
        (make_sequence(axes=3), r"joints and 2 axes, got \(4, 1, 17, 3\)"),
        (replace(make_sequence(), keypoints=np.ones((4, 1, 13, 2), np.float32)), "people with 17 joints"),
        (replace(make_sequence(), scores=np.ones((4, 17), np.float32)), r"a score a joint, got \(4, 17\)"),
        (replace(make_sequence(), id="wave/9"), "an id that no other sequence has"),
        (replace(make_sequence(), splits={"my split": True}), "splits named by letters, digits and _"),
    ],
)  # fmt: skip
def test_a_sequence_that_is_not_as_it_should_be_is_named_and_nothing_is_left(
    tmp_path: Path, sequence: LabelledSequence, complaint: str
) -> None:
    with pytest.raises(DataError, match=rf"sequence \w+/\d: .*{complaint}"):
        convert(opened([make_sequence(9), sequence]), tmp_path / "set.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_which_nothing_is_left_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no sequence is left for .*: 2 dropped, as nobody was found in it"):
        convert(opened([Dropped(name, "nobody was found in it") for name in "ab"]), tmp_path / "set.npz")
    with pytest.raises(DataError, match=r"no sequence is left for .*: there was none"):
        convert(opened([]), tmp_path / "set.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"mine")
    with pytest.raises(ValueError, match="is there already"):
        convert(opened([make_sequence()]), tmp_path / "set.npz")
    with pytest.raises(ValueError, match=r"expected a name that ends in \.npz"):
        convert(opened([make_sequence()]), tmp_path / "set.zip")
    with pytest.raises(ValueError, match="expected 2 labels, one a class, got 1"):
        convert(opened([make_sequence()]), tmp_path / "new.npz", labels=("hello",))
    assert (tmp_path / "set.npz").read_bytes() == b"mine"


class FullDisk:
    """A file on a disk with so much room, which it gives out on request."""

    def __init__(self, file: Any, room: list[int]) -> None:
        self._file, self._room = file, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: bytes) -> int:
        self._room[0] -= len(content)
        if self._room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(content))


@pytest.mark.parametrize("room", [0, 3000], ids=["at once", "later on"])
def test_a_disk_that_fills_up_while_sequences_come_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    make = conversion.TemporaryFile
    monkeypatch.setattr(conversion, "TemporaryFile", lambda **where: FullDisk(make(**where), [room]))
    ended = []

    def sequences() -> Iterator[LabelledSequence]:
        try:
            yield from map(make_sequence, range(9))
        finally:
            ended.append(True)

    with pytest.raises(DataError, match=f"the disk of {tmp_path} is full"):
        convert(Opened(COCO17, ("wave",), sequences(), 9), tmp_path / "set.npz")
    assert list(tmp_path.iterdir()) == []
    assert ended  # so that whatever makes the sequences stops


def test_a_disk_that_fills_up_while_the_file_is_written_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", refuse)
    with pytest.raises(DataError, match="is full"):
        convert(opened([make_sequence()]), tmp_path / "set.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fits"), [("1", True), ("cross_subject", True), ("", False), ("a b", False), ("../x", False), ("é", False)]
)
def test_a_split_is_named_as_an_array_may_be(name: str, fits: bool) -> None:
    assert is_split_name(name) == fits
