"""Labelled skeleton sequences in memory, and the project's own file form for them.

A skeleton set file is an ``.npz`` without pickles: ``x`` (sum of T, V, C) float32, ``offsets`` (N + 1), ``y`` (N),
``classes``, ``joints``, and any of ``train``, ``splits``, ``subject``, ``ids``. Sequence i is
``x[offsets[i]:offsets[i + 1]]``. docs/skeleton-sets.md is the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.layouts import Layout, map_joints
from pipeline.values import SkeletonClip

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# Spellings in the wild -> the project's joint names.
JOINT_SPELLINGS: Mapping[str, str] = {
    "hip_center": "pelvis",
    "waist": "pelvis",
    "shoulder_center": "spine_shoulder",
    "belly": "spine",
    "torso": "spine",
    "face": "head",
}


@dataclass(frozen=True, eq=False)
class SkeletonSet:
    """N labelled sequences of one person each, in one layout: px or the set's own unit for 2D, metres for 3D, y down.

    ``groups`` says which sequences belong together (a subject, a recording): what is held out is held out as a group.
    ``train`` is the official split where there is one.
    """

    name: str
    layout: Layout
    classes: tuple[str, ...]
    keypoints: Float32[F32, "F V D"]
    scores: Float32[F32, "F V"]
    offsets: Int64[I64, " N1"]
    labels: Int64[I64, " N"]
    groups: Int64[I64, " N"]
    train: Bool[B1, " N"]
    fps: float

    def __len__(self) -> int:
        return len(self.labels)

    def clip(self, index: int) -> SkeletonClip:
        """Return sequence ``index`` whole, as the pipeline would see it."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        times_s = np.arange(stop - start) / self.fps
        return SkeletonClip(
            self.keypoints[start:stop, None],
            self.scores[start:stop, None],
            times_s,
            np.zeros(1, np.int64),
            self.layout,
            start_s=0.0,
            end_s=float(stop - start) / self.fps,
        )

    def label(self, index: int) -> str:
        """Return the class name of sequence ``index``."""
        return self.classes[int(self.labels[index])]

    def subset(self, chosen: Int64[I64, " Q"] | Bool[B1, " N"]) -> "SkeletonSet":
        """Keep the sequences that a mask or an index names; frames are shared, not copied."""
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        frames = [np.arange(self.offsets[place], self.offsets[place + 1]) for place in places]
        rows = np.concatenate(frames) if frames else np.zeros(0, np.int64)
        offsets = np.concatenate([[0], np.cumsum([len(frame) for frame in frames])]).astype(np.int64)
        return replace(
            self,
            keypoints=self.keypoints[rows],
            scores=self.scores[rows],
            offsets=offsets,
            labels=self.labels[places],
            groups=self.groups[places],
            train=self.train[places],
        )


def read_arrays(
    path: Path, needed: Sequence[str] = ("x", "offsets", "y", "classes", "joints")
) -> dict[str, Shaped[NDArray[np.generic], "..."]]:
    """Read every array of a skeleton set file once.

    Raises:
        DataError: the file is missing, is no ``.npz``, holds pickles, or lacks an array; or its arrays disagree.

    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a skeleton set (.npz), found no such file") from error
    except (ValueError, OSError, EOFError) as error:
        raise DataError(
            f"{path}: expected a skeleton set (.npz without pickles), but reading failed: {error}"
        ) from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(f"{path}: expected arrays {', '.join(needed)}; {', '.join(missing)} not found")
    _check(path, arrays)
    return arrays


def _check(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    x, offsets, labels = arrays["x"], arrays["offsets"], arrays["y"]
    if x.ndim != 3 or x.shape[1] != len(arrays["joints"]):
        raise DataError(
            f"{path}: expected x of shape (frames, {len(arrays['joints'])} joints, channels), got {x.shape}"
        )
    if len(offsets) != len(labels) + 1 or int(offsets[-1]) != len(x) or (np.diff(offsets) < 1).any():
        raise DataError(f"{path}: offsets must rise from 0 to {len(x)} frames in {len(labels) + 1} steps")
    if labels.min() < 0 or labels.max() >= len(arrays["classes"]):
        raise DataError(
            f"{path}: labels must lie in 0..{len(arrays['classes']) - 1}, got {labels.min()}..{labels.max()}"
        )


def name_joints(spelled: Sequence[str]) -> tuple[str, ...]:
    """Translate a file's joint names into the project's.

    >>> name_joints(["hip_center", "l_elbow"])
    ('pelvis', 'left_elbow')
    """
    sides = {"l_": "left_", "r_": "right_"}
    full = [sides.get(name[:2], name[:2]) + name[2:] for name in spelled]
    return tuple(JOINT_SPELLINGS.get(name, name) for name in full)


def build_set(
    name: str,
    arrays: Mapping[str, NDArray[np.generic]],
    *,
    layout: Layout,
    scores: F32 | None = None,
    fps: float,
    joints: Sequence[str] | None = None,
) -> SkeletonSet:
    """Make a set from a file's arrays: ``x`` already in metres or px with y down, in the file's joints.

    ``scores`` default to 1 for every joint; ``groups`` to the subject, else to one sequence each.
    """
    x = np.asarray(arrays["x"], np.float32)
    seen = np.ones(x.shape[:2], np.float32) if scores is None else scores
    keypoints, seen = map_joints(x, seen, joints or name_joints([str(joint) for joint in arrays["joints"]]), layout)
    num = len(arrays["y"])
    return SkeletonSet(
        name,
        layout,
        tuple(str(label) for label in arrays["classes"]),
        keypoints,
        seen,
        np.asarray(arrays["offsets"], np.int64),
        np.asarray(arrays["y"], np.int64),
        np.asarray(arrays.get("subject", np.arange(num)), np.int64),
        np.asarray(arrays.get("train", np.ones(num)), bool),
        fps,
    )
