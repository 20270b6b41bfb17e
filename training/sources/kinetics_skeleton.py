"""Kinetics-Skeleton: OpenPose's 18 joints in the videos of Kinetics-400, a JSON file each.

Yan et al., "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition", AAAI 2018. A folder
or a zip with ``kinetics_train_label.json``, ``kinetics_val_label.json`` or both, and ``ID.json`` for each ID in them.

The videos were brought to 340 x 256 px and 30 frames a second; the files hold shares of width and height, which become
px of that picture. As ST-GCN does, the two people of the highest score are taken of the first five in each frame, the
better one first: a person may change places from one frame to the next, for the files follow nobody. Frames without
anybody stay, with scores of 0. The official split trains with the first list and tests with the second.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pipeline.errors import DataError
from pipeline.layouts import OPENPOSE18
from pipeline.values import F32
from training.datasets.skeleton_set import OFFICIAL
from training.labels import snake_case
from training.sources.files import Files, read_or_drop
from training.sources.registry import Dropped, LabelledSequence, Opened, register

LISTS: Mapping[str, bool] = {"kinetics_train_label.json": True, "kinetics_val_label.json": False}
FPS = 30.0
SIZE_WH = (340, 256)
NUM_JOINTS = len(OPENPOSE18)
# ST-GCN looks at so many people of a frame, and takes the best of them.
PEOPLE_LOOKED_AT = 5
MOST_PEOPLE = 2
# A clip of Kinetics has ten seconds; a number far above that is a fault, and would fill the memory.
MOST_FRAMES = 3000
# The lists of all of Kinetics-400 have some 25 MB.
LARGEST_BYTES = 256 * 2**20
WRONG_FORM = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the lists say of one video."""

    label: str
    number: int
    has_skeleton: bool
    trains: bool


@register("kinetics-skeleton")
def open_kinetics_skeleton(path: Path) -> Opened:
    """Open what the lists name, and report the files that they do not name.

    Raises:
        DataError: there is no list, or it is not as it should be.
    """
    files = Files(path, ".json", largest_bytes=LARGEST_BYTES)
    lists = [name for name in LISTS if name in files]
    if not lists:
        raise DataError(f"{path}: expected {' or '.join(LISTS)} in it, found neither")
    with files:
        listed = [(video, entry) for name in lists for video, entry in _read_list(files, name).items()]
    entries, twice = dict(listed), len(listed) - len({video for video, _ in listed})
    if twice:
        raise DataError(f"{path}: {twice} videos are both in {' and in '.join(LISTS)}: expected each in one of them")
    unlisted = [name for name in files.names if name not in LISTS and name.removesuffix(".json") not in entries]
    return Opened(
        OPENPOSE18, _classes(path, entries), _sequences(files, entries, unlisted), len(entries) + len(unlisted)
    )


def _read_list(files: Files, name: str) -> dict[str, Entry]:
    try:
        return {
            video: Entry(snake_case(said["label"]), int(said["label_index"]), bool(said["has_skeleton"]), LISTS[name])
            for video, said in json.loads(files.read(name)).items()
        }
    except WRONG_FORM as error:
        raise DataError(
            f"{name}: expected label, label_index and has_skeleton by video, but reading failed: {error!r}"
        ) from error


def _classes(path: Path, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Return the labels by their numbers, which must be one to one."""
    numbered = dict(sorted({(entry.number, entry.label) for entry in entries.values()}))
    pairs = len({(entry.number, entry.label) for entry in entries.values()})
    if not numbered or not pairs == len(numbered) == len(set(numbered.values())):
        raise DataError(
            f"{path}: expected one label_index for each label, got {pairs} pairs of {len(numbered)} numbers"
        )
    return tuple(numbered.values())


def _sequences(files: Files, entries: Mapping[str, Entry], unlisted: list[str]) -> Iterator[LabelledSequence | Dropped]:
    with files:
        for place, (video, entry) in enumerate(entries.items()):
            yield read_or_drop(video, partial(_read, files, video, entry, place))
    for name in unlisted:
        yield Dropped(name.removesuffix(".json"), f"it is in none of {', '.join(LISTS)}")


def _read(files: Files, video: str, entry: Entry, place: int) -> LabelledSequence:
    name = f"{video}.json"
    if not entry.has_skeleton:
        raise DataError("its list says that it has no skeleton")
    if name in files.repeated:
        raise DataError("several files have its name")
    if name not in files:
        raise DataError("its list names it, but it has no file")
    keypoints, scores = read_poses(files.read(name))
    return LabelledSequence(
        id=video,
        label=entry.label,
        keypoints=keypoints,
        scores=scores,
        fps=FPS,
        size_wh=SIZE_WH,
        subject=place,
        splits={OFFICIAL: entry.trains},
    )


def read_poses(content: bytes) -> tuple[Float32[F32, "T M 18 2"], Float32[F32, "T M 18"]]:
    """Read the best two people of each frame, px and scores; ``DataError`` if the text is not of this form."""
    try:
        frames = json.loads(content)["data"]
        people = [
            (int(frame["frame_index"]) - 1, person["pose"], person["score"])
            for frame in frames
            for person in frame["skeleton"][:PEOPLE_LOOKED_AT]
        ]
        num_frames = max((int(frame["frame_index"]) for frame in frames), default=0)
        at = np.array([frame for frame, *_ in people], np.int64)
        poses = np.array([pose for _, pose, _ in people], np.float32).reshape(len(people), NUM_JOINTS, 2)
        found = np.array([scores for *_, scores in people], np.float32).reshape(len(people), NUM_JOINTS)
    except WRONG_FORM as error:
        raise DataError(
            f"expected {2 * NUM_JOINTS} numbers in pose and {NUM_JOINTS} in score of each skeleton: {error!r}"
        ) from error
    if num_frames > MOST_FRAMES or (at < 0).any():
        raise DataError(f"expected frame_index from 1 to {MOST_FRAMES}, got {int(at.min(initial=0)) + 1}..{num_frames}")
    return _by_score(at, poses * np.array(SIZE_WH, np.float32), found, num_frames)


def _by_score(
    at: np.ndarray, poses: F32, found: F32, num_frames: int
) -> tuple[Float32[F32, "T M 18 2"], Float32[F32, "T M 18"]]:
    """Put the people of each frame side by side, the highest sum of scores first, and keep two."""
    order = np.lexsort((-found.sum(axis=1), at))
    rank = np.arange(len(at)) - np.searchsorted(at[order], at[order])
    chosen, rank = order[rank < MOST_PEOPLE], rank[rank < MOST_PEOPLE]
    num_people = int(rank.max(initial=0)) + 1
    keypoints = np.zeros((num_frames, num_people, NUM_JOINTS, 2), np.float32)
    scores = np.zeros((num_frames, num_people, NUM_JOINTS), np.float32)
    scores[at[chosen], rank] = np.clip(found[chosen], 0, 1)
    keypoints[at[chosen], rank] = np.where(found[chosen][..., None] == 0, np.float32(0), poses[chosen])
    return keypoints, scores
