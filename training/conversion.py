"""Write a data set as a skeleton set file: sequence by sequence, whole or not at all, with what it leaves out."""

import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.layouts import Layout
from pipeline.values import F32
from training.datasets.skeleton_set import NO_PART, SPLIT
from training.disk import whole_file, writing_to
from training.sources.registry import Dropped, LabelledSequence, Opened

SUFFIX = ".npz"
NOBODY_SEEN = "no joint is seen in it"
AXES = "xyz"
# The same arrays make the same file, byte for byte.
WRITTEN_AT = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion kept, and by reason the ids of what it dropped; ``facts`` say how it was made."""

    sequences: int
    frames: int
    dropped: Mapping[str, Sequence[str]]
    facts: Mapping[str, object]

    def to_json(self) -> str:
        """Write it as the file's array ``report`` has it."""
        dropped = {reason: list(ids) for reason, ids in self.dropped.items()}
        return json.dumps({**self.facts, "sequences": self.sequences, "frames": self.frames, "dropped": dropped})


def convert(
    opened: Opened,
    out: Path,
    *,
    people: int | None = None,
    labels: Sequence[str] = (),
    facts: Mapping[str, object] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Report:
    """Write all that is in a data set to ``out``, where it appears once it is whole, and return what was dropped.

    ``people`` is the M of the file; None for as many as the fullest sequence has. ``labels`` are other names for the
    classes. ``facts`` are kept in the file with the report; ``on_progress`` hears of the share done.

    Raises:
        DataError: a sequence is not as it should be, nothing is left, or the disk is full.
        ValueError: ``out`` is there already or not called ``.npz``, or there are not as many labels as classes.
    """
    check_target(out)
    if labels and len(labels) != len(opened.classes):
        raise ValueError(f"expected {len(opened.classes)} labels, one a class, got {len(labels)}")
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    with SetWriter(out.parent, opened.layout, opened.classes, people=people) as writer, _ended(opened.sequences):
        for number, found in enumerate(opened.sequences, start=1):
            if isinstance(found, Dropped):
                dropped[found.reason].append(found.id)
            elif not (found.scores > 0).any():
                dropped[NOBODY_SEEN].append(found.id)
            else:
                writer.add(found)
            if on_progress and opened.total:
                on_progress(number / opened.total)
        report = Report(len(writer), writer.num_frames, dict(dropped), facts or {})
        if not len(writer):
            raise DataError(f"no sequence is left for {out}: {_summary(report) or 'there was none'}")
        writer.write(out, report, labels=labels or opened.classes)
    return report


def check_target(out: Path) -> None:
    """Refuse (``ValueError``) to write to what is there already, or has another suffix than numpy's."""
    if out.suffix != SUFFIX:
        raise ValueError(f"{out}: expected a name that ends in {SUFFIX}")
    if out.exists():
        raise ValueError(f"{out} is there already: choose another name, or remove it first")


def _summary(report: Report) -> str:
    return "; ".join(f"{len(ids)} dropped, as {reason}" for reason, ids in report.dropped.items())


@contextmanager
def _ended(sequences: Iterator[LabelledSequence | Dropped]) -> Iterator[None]:
    """Let a reader end what it began, such as processes, also where it is not read to its end."""
    try:
        yield
    finally:
        if isinstance(sequences, Generator):
            sequences.close()


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a file says of one sequence beside its frames, of which it has T of M people, V joints and C channels."""

    id: str
    label: int
    shape: tuple[int, int, int, int]
    fps: float
    size_wh: tuple[int, int] | None
    subject: int
    splits: Mapping[str, bool]


class SetWriter:
    """Collects sequences in a nameless file beside the one to be, and then writes that in one go.

    However it ends, nothing of the nameless file is left: it belongs to the process alone.
    """

    def __init__(self, folder: Path, layout: Layout, classes: Sequence[str], *, people: int | None = None) -> None:
        self._folder, self._layout, self._people = folder, layout, people
        self._classes = {name: place for place, name in enumerate(classes)}
        self._entries: dict[str, _Entry] = {}
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._frames: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115 - closed on exit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with writing_to(self._folder):
            self._frames.close()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def num_frames(self) -> int:
        """The frames of all sequences together."""
        return sum(entry.shape[0] for entry in self._entries.values())

    def add(self, sequence: LabelledSequence) -> None:
        """Take the next sequence; a joint without a score or without finite coordinates is not seen.

        Raises:
            DataError: it is not of this set's classes, joints or axes, it has no frame, or its id was there before.
        """
        self._check(sequence)
        keypoints, scores = sequence.keypoints, sequence.scores
        if self._people is not None:
            best = np.sort(np.argsort(-scores.sum(axis=(0, 2)), kind="stable")[: self._people])
            keypoints, scores = keypoints[:, best], scores[:, best]
        seen = (scores > 0) & np.isfinite(keypoints).all(axis=-1)
        x = np.concatenate([keypoints, scores[..., None]], axis=-1, dtype=np.float32)
        x[~seen] = 0
        with writing_to(self._folder):
            self._frames.write(np.ascontiguousarray(x, "<f4").tobytes())
        num_frames, num_people, num_joints, num_channels = x.shape
        self._entries[sequence.id] = _Entry(
            sequence.id,
            self._classes[sequence.label],
            (num_frames, num_people, num_joints, num_channels),
            sequence.fps,
            sequence.size_wh,
            sequence.subject,
            sequence.splits,
        )

    def _check(self, sequence: LabelledSequence) -> None:
        shape = sequence.keypoints.shape
        num_axes = next(iter(self._entries.values())).shape[-1] - 1 if self._entries else shape[-1]
        faults = {
            f"one of the classes {', '.join(self._classes)}, got {sequence.label!r}": sequence.label
            not in self._classes,
            f"frames of people with {len(self._layout)} joints and {num_axes} axes, got {shape}": (
                len(shape) != 4 or not shape[0] or not shape[1] or shape[2:] != (len(self._layout), num_axes)
            ),
            f"a score a joint, got {sequence.scores.shape} for {shape}": sequence.scores.shape != shape[:3],
            f"a frame rate above 0, got {sequence.fps}": not 0 < sequence.fps < np.inf,
            "an id that no other sequence has": sequence.id in self._entries,
            "splits named by letters, digits and _": not all(map(is_split_name, sequence.splits)),
        }
        if fault := next((fault for fault, there in faults.items() if there), None):
            raise DataError(f"sequence {sequence.id}: expected {fault}")

    def write(self, out: Path, report: Report, *, labels: Sequence[str]) -> None:
        """Write the file, its classes under these names; ``DataError`` if the disk is full."""
        with whole_file(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in self._columns(labels).items():
                write_array(archive, name, array)
            write_array(archive, "report", np.array(report.to_json()))
            self._write_frames(archive)

    def _columns(self, labels: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        entries = list(self._entries.values())
        num_axes = entries[0].shape[-1] - 1
        columns: dict[str, NDArray[np.generic]] = {
            "offsets": np.cumsum([0, *(entry.shape[0] for entry in entries)]),
            "y": np.array([entry.label for entry in entries]),
            "classes": np.array(labels),
            "joints": np.array(self._layout.joints),
            "channels": np.array([*AXES[:num_axes], "score"]),
            "fps": np.array([entry.fps for entry in entries]),
            "subject": np.array([entry.subject for entry in entries]),
            "ids": np.array([entry.id for entry in entries]),
        }
        sizes = [entry.size_wh for entry in entries if entry.size_wh is not None]
        if len(sizes) == len(entries):
            columns["size_wh"] = np.array(sizes)
        for name in dict.fromkeys(name for entry in entries for name in entry.splits):
            sides = [entry.splits.get(name, NO_PART) for entry in entries]
            columns[f"{SPLIT}{name}"] = np.array(sides, np.int8)
        return columns

    def _write_frames(self, archive: zipfile.ZipFile) -> None:
        entries = list(self._entries.values())
        people = self._people or max(entry.shape[1] for entry in entries)
        shape = (self.num_frames, people, *entries[0].shape[2:])
        self._frames.seek(0)
        with archive.open(member_named("x"), "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for entry in entries:
                content = self._frames.read(4 * int(np.prod(entry.shape)))
                file.write(_with_people(np.frombuffer(content, "<f4").reshape(entry.shape), people).tobytes())


def _with_people(x: Float32[F32, "T M V C"], people: int) -> Float32[F32, "T M2 V C"]:
    return np.pad(x, ((0, 0), (0, people - x.shape[1]), (0, 0), (0, 0)))


def is_split_name(name: str) -> bool:
    """Tell whether a split may be called that: it becomes the name of an array.

    >>> is_split_name("cross_subject"), is_split_name("my split")
    (True, False)
    """
    return name.isascii() and name.replace("_", "a").isalnum()


def write_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    """Add an array to an ``.npz`` that is being written."""
    with archive.open(member_named(name), "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def member_named(name: str) -> zipfile.ZipInfo:
    """Return what an array's member of an ``.npz`` is called and when it was written: always the same."""
    member = zipfile.ZipInfo(f"{name}.npy", WRITTEN_AT)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
