"""Data set readers by name: a dict and a decorator. One new data set is one new file in this folder."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pipeline.layouts import Layout
from training.datasets.skeleton_set import SkeletonSet, read_converted


class Reader(Protocol):
    """Reads one data set's file into a layout."""

    def __call__(self, path: Path, layout: Layout = ...) -> SkeletonSet:
        """Return the set with its faults mended; ``DataError`` for a file that is not as expected."""


_READERS: dict[str, Reader] = {}


def register(name: str) -> Callable[[Reader], Reader]:
    """Make a reader known under a name; ``ValueError`` if the name is taken."""

    def add(reader: Reader) -> Reader:
        if name in _READERS:
            raise ValueError(f"data set {name!r} is registered twice")
        _READERS[name] = reader
        return reader

    return add


def reader_names() -> tuple[str, ...]:
    """Return the known data sets."""
    package = importlib.import_module("training.datasets")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"training.datasets.{module.name}")
    return tuple(sorted(_READERS))


def read_set(name: str, path: Path, layout: Layout) -> SkeletonSet:
    """Read a data set by its own reader, or by the reader of all those that ``marey data convert`` wrote.

    Raises:
        DataError: the file is not as expected.
    """
    return _READERS[name](path, layout) if name in reader_names() else replace(read_converted(path, layout), name=name)


def reader_named(name: str) -> Reader:
    """Return the reader of a data set; ``ValueError`` lists the known ones."""
    known = reader_names()
    if name not in known:
        raise ValueError(f"unknown data set {name!r}: expected one of {', '.join(known)}")
    return _READERS[name]
