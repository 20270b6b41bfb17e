"""Data set readers by name. One new data set is one new file in this folder."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pipeline.layouts import Layout
from pipeline.registry import Registry
from training.datasets.skeleton_set import SkeletonSet, read_converted


class Reader(Protocol):
    """Reads one data set's file into a layout."""

    def __call__(self, path: Path, layout: Layout = ...) -> SkeletonSet:
        """Return the set with its faults mended; ``DataError`` for a file that is not as expected."""


_READERS: Registry[str, Reader] = Registry("data set", "training.datasets")
register = _READERS.register
reader_names = _READERS.keys
reader_named = _READERS.__getitem__


def read_set(name: str, path: Path, layout: Layout) -> SkeletonSet:
    """Read a data set by its own reader, or by the reader of all those that ``marey data convert`` wrote.

    Raises:
        DataError: the file is not as expected.
    """
    return (
        reader_named(name)(path, layout) if name in reader_names() else replace(read_converted(path, layout), name=name)
    )
