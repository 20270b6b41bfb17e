"""NTU RGB+D (60 actions) and NTU RGB+D 120 as published: ``S001C001P001R001A001.skeleton`` text files.

A folder or a zip of them, or a folder of the published zips. 25 joints of a Kinect v2 in metres at 30 frames a second;
see ``training.sources.ntu_facts`` for where they come from. Research data sets.

The sensor's x points to its own left and its y up, so that both are turned round. A joint that the sensor inferred has
a score of 0.5. Up to two people are chosen as the literature does it (``training.sources.ntu_bodies``), and frames
without them are cut out. Sequences on the official list of missing skeletons are dropped.

Splits: ``xsub`` trains with 20 of 40 subjects, or 53 of 106; ``xview`` with cameras 2 and 3; ``xset`` with the setups
of even numbers. ``ntu120-12`` are the twelve actions of 3D-STARNET, whose split is not published, with the splits of
all 120.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import DataError
from pipeline.layouts import NTU25
from training.sources.files import Files, read_or_drop
from training.sources.ntu_bodies import choose_people, compose, read_bodies
from training.sources.ntu_facts import ACTIONS, MISSING, TRAINING_SUBJECTS_60, TRAINING_SUBJECTS_120
from training.sources.registry import Dropped, LabelledSequence, Opened, register

FPS = 30.0
ENDING = ".skeleton"
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
TRAINING_CAMERAS = (2, 3)
# Throw, kick something, squat down, move heavy objects, cross arms, fall down, punch, kick, push, wield a knife, knock
# over ("hitting with body"), grab stuff: in the order of the paper's table 1.
STARNET_ACTIONS = (7, 24, 80, 92, 96, 43, 50, 51, 52, 107, 108, 109)


@dataclass(frozen=True, slots=True)
class Take:
    """What the name of a file says, each number from 1."""

    setup: int
    camera: int
    subject: int
    repetition: int
    action: int


@dataclass(frozen=True, slots=True)
class Edition:
    """A choice of the actions, and how they part into training and test."""

    name: str
    actions: tuple[int, ...]
    trains: Mapping[str, Callable[[Take], bool]]


NTU60 = Edition(
    "ntu60",
    tuple(range(1, 61)),
    {
        "xsub": lambda take: take.subject in TRAINING_SUBJECTS_60,
        "xview": lambda take: take.camera in TRAINING_CAMERAS,
    },
)
NTU120 = Edition(
    "ntu120",
    tuple(range(1, 121)),
    {
        "xsub": lambda take: take.subject in TRAINING_SUBJECTS_120,
        "xset": lambda take: take.setup % 2 == 0,
    },
)
NTU120_12 = Edition("ntu120-12", STARNET_ACTIONS, NTU120.trains)


@register("ntu60")
def open_ntu60(path: Path) -> Opened:
    """Open NTU RGB+D; what else of NTU RGB+D 120 lies there is no part of it."""
    return _open(path, NTU60)


@register("ntu120")
def open_ntu120(path: Path) -> Opened:
    """Open NTU RGB+D 120."""
    return _open(path, NTU120)


@register("ntu120-12")
def open_ntu120_12(path: Path) -> Opened:
    """Open the twelve actions of 3D-STARNET; the others of NTU RGB+D 120 are no part of it."""
    return _open(path, NTU120_12)


def read_name(stem: str) -> Take:
    """Read the name of a file; ``DataError`` if it is none of NTU RGB+D's.

    >>> read_name("S001C002P003R002A013").action
    13
    """
    match = NAME.fullmatch(stem)
    take = Take(*(int(number) for number in match.groups())) if match else None
    if take is None or not 1 <= take.action <= len(ACTIONS):
        raise DataError(f"expected a name like S001C001P001R001A001, with an action up to A{len(ACTIONS)}")
    return take


def _open(path: Path, edition: Edition) -> Opened:
    files = Files(path, ENDING)
    names = tuple(name for name in files.names if _belongs(name, edition))
    if not names:
        raise DataError(f"{path}: expected sequences of {edition.name}, found none in {len(files.names)} files")
    repeated = tuple(name for name in files.repeated if _belongs(name, edition))
    return Opened(
        NTU25,
        tuple(ACTIONS[action - 1] for action in edition.actions),
        _sequences(files, names, repeated, edition),
        len(names) + len(repeated),
    )


def _belongs(name: str, edition: Edition) -> bool:
    """Say whether a sequence is to be read or reported: a file with an odd name is."""
    match = NAME.fullmatch(name.removesuffix(ENDING))
    return match is None or int(match[5]) in edition.actions or not 1 <= int(match[5]) <= len(ACTIONS)


def _sequences(
    files: Files, names: tuple[str, ...], repeated: tuple[str, ...], edition: Edition
) -> Iterator[LabelledSequence | Dropped]:
    with files:
        for name in names:
            stem = name.removesuffix(ENDING)
            yield read_or_drop(stem, partial(_read, files, stem, edition))
    for name in repeated:
        yield Dropped(name.removesuffix(ENDING), "it lies there twice; the first counts")


def _read(files: Files, stem: str, edition: Edition) -> LabelledSequence:
    take = read_name(stem)
    if stem in MISSING:
        raise DataError("it is on the official list of missing skeletons")
    keypoints, scores = compose(choose_people(read_bodies(files.read(stem + ENDING))))
    return LabelledSequence(
        id=stem,
        label=ACTIONS[take.action - 1],
        keypoints=keypoints,
        scores=scores,
        fps=FPS,
        subject=take.subject,
        splits={name: trains(take) for name, trains in edition.trains.items()},
    )
