"""The weights that backends need and do not carry: where they lie, and whether they are the right ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from pipeline.errors import WeightsMissing


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One ONNX file in the cache.

    ``url`` is a zip archive that holds it as ``member``; without one the file is brought by hand. ``sha256`` is that
    of the ONNX file itself, not of the archive; None only for files that everybody converts for themselves.
    """

    name: str
    licence: str
    url: str | None = None
    sha256: str | None = None
    member: str = "end2end.onnx"

    def is_intact(self, path: Path) -> bool:
        """Tell whether the file is there, and is the one that was pinned."""
        return path.is_file() and self.sha256 in (None, pooch.file_hash(str(path)))


def default_cache() -> Path:
    """Return the folder for downloads that this platform prescribes; ``XDG_CACHE_HOME`` moves it on Linux."""
    return Path(pooch.os_cache("marey"))


def locate(profile: str, files: Sequence[WeightsFile], cache: Path | None) -> tuple[Path, ...]:
    """Return where each file of a profile lies, checked by its sha256.

    Raises:
        WeightsMissing: one is not in the cache, or is not the file that was pinned.

    """
    folder = cache or default_cache()
    for file in files:
        path = folder / file.name
        if not file.is_intact(path):
            fault = f"is not the file expected (sha256 {file.sha256})" if path.exists() else "is not there"
            cure = f"run `marey models pull {profile}`" if file.url else "put it there"
            raise WeightsMissing(f"pose backend {profile!r} needs {path}, which {fault}: {cure}")
    return tuple(folder / file.name for file in files)
