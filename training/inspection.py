"""Look through a skeleton set file: what is in it, and what is wrong with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import loads
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from pipeline.features import MIN_JOINT_SCORE
from pipeline.layouts import LAYOUTS, Layout
from pipeline.values import B1, I64
from training.datasets.skeleton_set import NO_PART, SPLIT, TESTED, TRAINS, load_arrays, name_joints

Arrays = Mapping[str, NDArray[np.generic]]

# Fewer sequences of a class than this hardly let a part of them be held out.
FEW_SEQUENCES = 5
FRAMES_AT_A_TIME = 2**16


@dataclass(frozen=True, slots=True)
class Span:
    """The least, the middle and the most of something."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """How many sequences a split trains on, tests on, and leaves alone."""

    train: int
    test: int
    neither: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file holds. ``seen`` is how often each joint of somebody who is there scores enough to be looked at.

    ``layout`` is None where the joints are no layout's, ``fps`` and ``subjects`` where the file says none, ``seen``
    where it has no scores. ``dropped`` counts by reason what its conversion left out. ``faults`` must be mended before
    anything is trained on it, ``remarks`` need not.
    """

    file: str
    sequences: int
    frames: int
    people: int
    layout: str | None
    channels: tuple[str, ...]
    classes: Mapping[str, int]
    frames_a_sequence: Span
    fps: Span | None
    subjects: int | None
    splits: Mapping[str, SplitCounts]
    seen: Mapping[str, float] | None
    not_finite: int
    dropped: Mapping[str, int]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def inspect(path: Path) -> Inspection:
    """Go through a file; ``DataError`` if its arrays cannot be read or do not fit together."""
    arrays = load_arrays(path)
    x, offsets = arrays["x"], np.asarray(arrays["offsets"], np.int64)
    joints = name_joints([str(joint) for joint in arrays["joints"]])
    layout = closest_layout(joints)
    channels = tuple(str(channel) for channel in arrays.get("channels", ()))
    seen, is_seen, not_finite = _look_through(arrays, scored=channels[-1:] == ("score",))
    labels = Counter(np.asarray(arrays["y"], np.int64).tolist())
    classes = {str(name): labels[place] for place, name in enumerate(arrays["classes"])}
    sides = {name.removeprefix(SPLIT): array for name, array in arrays.items() if name.startswith(SPLIT)}
    return Inspection(
        file=path.name,
        sequences=len(offsets) - 1,
        frames=len(x),
        people=x.shape[1] if x.ndim == 4 else 1,
        layout=layout.name if {*layout.joints} == {*joints} else None,
        channels=channels,
        classes=classes,
        frames_a_sequence=_span(np.diff(offsets)),
        fps=_span(arrays["fps"]) if "fps" in arrays else None,
        subjects=len(np.unique(arrays["subject"])) if "subject" in arrays else None,
        splits={name: _counts(array) for name, array in sides.items()},
        seen=dict(zip(joints, seen, strict=True)) if seen is not None else None,
        not_finite=not_finite,
        dropped=_dropped(arrays),
        faults=tuple(_faults(arrays, sides, is_seen=is_seen, not_finite=not_finite)),
        remarks=tuple(_remarks(arrays, classes, sides)),
    )


def closest_layout(joints: Sequence[str]) -> Layout:
    """Return the layout of these joints, or else the one that has the most of them."""
    named = set(name_joints(joints))
    return max(LAYOUTS.values(), key=lambda layout: (named == {*layout.joints}, len(named & {*layout.joints})))


def _look_through(arrays: Arrays, *, scored: bool) -> tuple[list[float] | None, Bool[B1, " F"], int]:
    """Return how often each joint is seen, in which frames anything is, and how many numbers are not finite."""
    x, not_finite = arrays["x"], 0
    counts, num_people = np.zeros(x.shape[-2]), 0
    is_seen = np.ones(len(x), bool)
    for start in range(0, len(x), FRAMES_AT_A_TIME):
        rows = slice(start, start + FRAMES_AT_A_TIME)
        part = np.asarray(x[rows], np.float32).reshape(len(x[rows]), -1, *x.shape[-2:])
        not_finite += int((~np.isfinite(part)).sum())
        if scored:
            there: B1 = np.asarray((part[..., -1] > 0).any(axis=2))
            counts += (part[..., -1] > MIN_JOINT_SCORE).sum(axis=(0, 1))
            num_people += int(there.sum())
            is_seen[rows] = there.any(axis=1)
    return (counts / max(num_people, 1)).tolist() if scored else None, is_seen, not_finite


def _span(values: NDArray[np.generic]) -> Span:
    numbers = np.asarray(values, np.float64)
    return Span(float(numbers.min()), float(np.median(numbers)), float(numbers.max()))


def _counts(sides: NDArray[np.generic]) -> SplitCounts:
    values = np.asarray(sides, np.int64)
    return SplitCounts(*(int((values == side).sum()) for side in (TRAINS, TESTED, NO_PART)))


def _dropped(arrays: Arrays) -> dict[str, int]:
    report = loads(str(arrays["report"])) if "report" in arrays else {}
    return {reason: len(ids) for reason, ids in report.get("dropped", {}).items()}


def _faults(arrays: Arrays, sides: Arrays, *, is_seen: Bool[B1, " F"], not_finite: int) -> list[str]:
    """Say what keeps the file from being trained on."""
    faults = [f"{not_finite} numbers in x are not finite"] if not_finite else []
    names = [str(name) for name in arrays["classes"]]
    labels = np.asarray(arrays["y"], np.int64)
    if labels.min() < 0 or labels.max() >= len(names):
        faults.append(f"labels run from {labels.min()} to {labels.max()}, but there are {len(names)} classes")
    for what, values in (("class", names), ("id", [str(name) for name in arrays.get("ids", ())])):
        if twice := [name for name, count in Counter(values).items() if count > 1]:
            faults.append(f"{what} {_some(twice)} is there more than once")
    if "fps" in arrays and not (np.asarray(arrays["fps"], np.float64) > 0).all():
        faults.append("a frame rate is not above 0")
    starts = np.asarray(arrays["offsets"], np.int64)[:-1]
    empty = np.flatnonzero(np.add.reduceat(is_seen.astype(np.int64), starts) == 0)
    if len(empty):
        faults.append(f"no joint is seen in {_some([_name_of(arrays, int(place)) for place in empty])}")
    for name, split in sides.items():
        if odd := set(np.asarray(split, np.int64).tolist()) - {TRAINS, TESTED, NO_PART}:
            faults.append(f"split {name!r} holds {_some(sorted(odd))} beside {TRAINS}, {TESTED} and {NO_PART}")
        if not _counts(split).train:
            faults.append(f"split {name!r} trains on nothing")
    return faults


def _remarks(arrays: Arrays, classes: Mapping[str, int], sides: Arrays) -> list[str]:
    """Say what makes a recogniser that is trained on the file worse than it need be, or its figures too good."""
    none = [name for name, count in classes.items() if not count]
    few = [name for name, count in classes.items() if 0 < count < FEW_SEQUENCES]
    remarks = [f"no sequence of {_some(none)}"] if none else []
    remarks += [f"fewer than {FEW_SEQUENCES} sequences of {_some(few)}"] if few else []
    for name, values in sides.items():
        if "subject" in arrays:
            split = np.asarray(values, np.int64)
            subjects: I64 = np.asarray(arrays["subject"], np.int64)
            both = np.intersect1d(subjects[split == TRAINS], subjects[split == TESTED])
            if len(both):
                remarks.append(f"split {name!r} trains and tests on {len(both)} of the same subjects")
        if not _counts(values).test:
            remarks.append(f"split {name!r} tests nothing")
    return remarks


def _name_of(arrays: Arrays, place: int) -> str:
    return str(arrays["ids"][place]) if "ids" in arrays else f"sequence {place}"


def _some(names: Sequence[object]) -> str:
    shown = ", ".join(str(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
