"""Pull the weights of pose backends into the cache, each checked against the sha256 that its backend pins."""

import io
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pooch

from pipeline.errors import ModelError
from pipeline.pose.cache import WeightsFile, default_cache
from pipeline.pose.registry import weights_of_backends

# The name of the file, the bytes that have arrived, and the bytes that there are (0 if the server does not say).
Progress = Callable[[str, int, int], None]

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0


def pull(profile: str, *, cache: Path | None = None, on_progress: Progress | None = None) -> tuple[Path, ...]:
    """Download what a pose backend needs and is not in the cache yet; return where all of it lies.

    Raises:
        ValueError: no weights are to be had under that name.
        ModelError: a download failed, or is not the file that was pinned; nothing of it is kept.

    """
    pullable = {name: files for name, files in weights_of_backends().items() if any(file.url for file in files)}
    if profile not in pullable:
        raise ValueError(f"no weights to pull for {profile!r}: expected one of {', '.join(pullable)}")
    folder = cache or default_cache()
    for file in pullable[profile]:
        if file.url and not file.is_intact(folder / file.name):
            _pull_file(file, folder, on_progress)
    return tuple(folder / file.name for file in pullable[profile])


def _pull_file(file: WeightsFile, folder: Path, on_progress: Progress | None) -> None:
    """Download, unpack and check one file; it takes its place in the cache whole or not at all."""
    assert file.url is not None
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pull-") as scratch:
        archive = _download(file.url, Path(scratch), _Bar(file.name, on_progress))
        unpacked = Path(scratch) / file.name
        unpacked.write_bytes(_unpack(archive, file))
        if not file.is_intact(unpacked):
            raise ModelError(
                f"{file.url} holds another {file.member} than expected: its sha256 is "
                f"{pooch.file_hash(str(unpacked))}, not {file.sha256}. Nothing was kept; if the publisher has replaced "
                "the file, a newer marey may know it"
            )
        os.replace(unpacked, folder / file.name)


def _download(url: str, folder: Path, bar: "_Bar") -> Path:
    # pooch would print the hash of every archive; what counts here is the hash of the file inside.
    pooch.get_logger().setLevel(logging.ERROR)
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S)
    try:
        return Path(pooch.retrieve(url, known_hash=None, path=folder, downloader=downloader))
    except OSError as error:
        raise ModelError(f"could not download {url}: {error}; check the connection and try again") from error


def _unpack(archive: Path, file: WeightsFile) -> bytes:
    """Return the one member that is wanted, in whatever folder of the archive it lies."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
            names = [name for name in opened.namelist() if name.rpartition("/")[2] == file.member]
            if len(names) == 1:
                return opened.read(names[0])
    except zipfile.BadZipFile as error:
        raise ModelError(f"{file.url} is no zip archive: {error}; nothing was kept") from error
    raise ModelError(f"{file.url} should hold one {file.member}, but holds {len(names)}; nothing was kept")


class _Bar:
    """What pooch takes for a progress bar: tells ``on_progress`` how far a download is."""

    def __init__(self, name: str, on_progress: Progress | None) -> None:
        self.total = 0
        self._name = name
        self._done = 0
        self._on_progress = on_progress

    def reset(self) -> None:
        """Start again from nothing."""
        self._done = 0

    def update(self, num_bytes: int) -> None:
        """Note that bytes have arrived; pooch counts whole chunks, the last one too."""
        self._done += num_bytes
        if self._on_progress is not None:
            self._on_progress(self._name, min(self._done, self.total) if self.total else self._done, self.total)

    def close(self) -> None:
        """Do nothing: there is no bar to close."""
