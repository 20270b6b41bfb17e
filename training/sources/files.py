"""The files of a published data set, one at a time: in a folder, in a zip, or in a folder with zips in it."""

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

import numpy as np

from pipeline.errors import DataError
from training.sources.registry import Dropped, LabelledSequence

# Far more than a minute of six people as text: what is larger is not a sequence, or a zip made to fill the memory.
LARGEST_BYTES = 64 * 2**20
READ_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file lies: at ``path``, or as ``member`` of the zip that is there."""

    path: Path
    member: str = ""


class Files:
    """The files whose names have given endings, by name without the folders that they are in.

    A file is read when it is asked for. A zip stays open from the first file that is read of it to the end of the
    ``with`` block. Of two files of one name the first counts; ``repeated`` names it.
    """

    def __init__(self, path: Path, *endings: str, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path = path
        self._largest_bytes = largest_bytes
        self._places: dict[str, Place] = {}
        self._zips: dict[Path, zipfile.ZipFile] = {}
        repeated: list[str] = []
        for place in _find(path):
            name = PurePosixPath(place.member or place.path.name).name
            if not name.endswith(endings) or name.startswith("."):  # archives of macOS hold a ._NAME for every NAME
                continue
            if name in self._places:
                repeated.append(name)
            self._places.setdefault(name, place)
        if not self._places:
            raise DataError(f"{path}: expected {' or '.join('*' + ending for ending in endings)} in it, found none")
        self.names = tuple(sorted(self._places))
        self.repeated = tuple(repeated)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __enter__(self) -> "Files":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._zips:
            self._zips.popitem()[1].close()

    def read(self, name: str) -> bytes:
        """Return what is in a file; ``DataError`` if it is broken or too large."""
        try:
            with self.open(name) as file:
                return file.read()
        except READ_ERRORS as error:
            raise DataError(f"{name} cannot be read: {error}") from error

    def open(self, name: str) -> IO[bytes]:
        """Open a file within the ``with`` block, to be read in parts, which may fail with any of ``READ_ERRORS``."""
        place = self._places[name]
        if not place.member:
            self._check_size(name, place.path.stat().st_size)
            return place.path.open("rb")
        archive = self._zips.get(place.path) or self._zips.setdefault(place.path, zipfile.ZipFile(place.path))
        self._check_size(name, archive.getinfo(place.member).file_size)
        return archive.open(place.member)

    def _check_size(self, name: str, num_bytes: int) -> None:
        if num_bytes > self._largest_bytes:
            raise DataError(f"{name} has {num_bytes} bytes: expected at most {self._largest_bytes}")


def _find(path: Path) -> list[Place]:
    if not path.exists():
        raise DataError(f"{path}: expected a folder or a file, found nothing there")
    found = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [place for file in found for place in (_members(file) if file.suffix == ".zip" else [Place(file)])]


def _members(path: Path) -> list[Place]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [Place(path, member.filename) for member in archive.infolist() if not member.is_dir()]
    except READ_ERRORS as error:
        raise DataError(f"{path}: expected a zip, but it is broken or cut off: {error}") from error


def read_or_drop(name: str, read: Callable[[], LabelledSequence]) -> LabelledSequence | Dropped:
    """Read a sequence; drop it if it is not as its form says, empty, or seen where nothing is finite."""
    try:
        with np.errstate(all="ignore"):  # numbers too large for float32 become infinite, and are found below
            sequence = read()
        _check(sequence)
    except DataError as error:
        return Dropped(name, str(error))
    return sequence


def _check(sequence: LabelledSequence) -> None:
    if not len(sequence.scores):
        raise DataError("it has no frames")
    finite = np.isfinite(sequence.keypoints).all(axis=-1) & np.isfinite(sequence.scores) | (sequence.scores == 0)
    if not finite.all():
        raise DataError(f"a coordinate or score in frame {int(finite.all(axis=(1, 2)).argmin())} is not finite")
    if not (sequence.scores > 0).any():
        raise DataError("nobody is seen in any of its frames")
