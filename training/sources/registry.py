"""Readers of published data sets by name. One new form is one new file in this folder.

A reader goes through a folder or an archive sequence by sequence, and says of each what it holds or why it is dropped:
nothing is held in memory but the sequence at hand, and nothing is dropped silently. A reader of videos only says which
there are and what they show; ``training.extraction`` finds the people in them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jaxtyping import Float32

from pipeline.layouts import Layout
from pipeline.registry import Registry
from pipeline.values import F32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSequence:
    """One sequence of M people: px for 2D, metres for 3D, y down; a score of 0 says that a joint was not seen.

    ``subject`` is whoever or whatever sequences have in common that must not be on both sides of a split. ``splits``
    say, by name, whether it trains; a split that it has no part in is not named.
    """

    id: str
    label: str
    keypoints: Float32[F32, "T M V D"]
    scores: Float32[F32, "T M V"]
    fps: float
    size_wh: tuple[int, int] | None = None
    subject: int = 0
    splits: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sequence that is left out, and why: "it is on the official list of missing skeletons"."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A published data set that was found: its skeleton, its classes in the order of their numbers, its sequences.

    ``total`` is the number of sequences, dropped ones included, where that is known before they are read.
    """

    layout: Layout
    classes: tuple[str, ...]
    sequences: Iterator[LabelledSequence | Dropped]
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClip:
    """A video, or the part of it from ``start_s`` to ``end_s``, in which people do one thing.

    ``subject`` and ``splits`` as of a ``LabelledSequence``.
    """

    id: str
    label: str
    path: Path
    start_s: float = 0.0
    end_s: float = math.inf
    subject: int = 0
    splits: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """A data set of videos that was found: its classes in the order of their numbers, and its clips."""

    classes: tuple[str, ...]
    clips: tuple[LabelledClip | Dropped, ...]


class Source(Protocol):
    """Opens a data set as it was published."""

    def __call__(self, path: Path) -> Opened | Footage:
        """Look at what lies at ``path``; ``DataError`` if it is not this kind of data set."""


_SOURCES: Registry[str, Source] = Registry("source", "training.sources")
register = _SOURCES.register
source_names = _SOURCES.keys
source_named = _SOURCES.__getitem__
