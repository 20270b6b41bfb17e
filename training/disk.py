"""Files that appear whole or not at all, and what to say of a disk that is full."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to, which takes its place at the end; after an error nothing is left.

    Raises:
        DataError: the disk is full, or cannot be written to.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn whatever the system says against writing into a ``DataError`` that names the disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise DataError(
                f"{folder} cannot be written to ({error.strerror or error}): choose another place"
            ) from error
        raise DataError(
            f"the disk of {folder} is full{_room_on(folder)}: make room on it, or choose another place; nothing was "
            "left behind"
        ) from error


def _room_on(folder: Path) -> str:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return ""
    return f" ({usage.free / 1e6:.0f} MB free of {usage.total / 1e9:.0f} GB)"
