"""Labelled skeleton sequences in memory, and the project's own file form for them.

A skeleton set file is an ``.npz`` without pickles: ``x`` (sum of T, V, C) or, for several people, (sum of T, M, V, C)
float32, ``offsets`` (N + 1), ``y`` (N), ``classes``, ``joints``, and any of ``train``, ``splits``, ``subject``, ``ids``
and more. Sequence i is ``x[offsets[i]:offsets[i + 1]]``. docs/skeleton-sets.md is the reference.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8, Int64, Shaped
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.layouts import Layout, map_joints
from pipeline.values import SkeletonClip

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
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
# What every file holds, and what it may hold with an entry a sequence.
CORE_ARRAYS = ("x", "offsets", "y", "classes", "joints")
A_SEQUENCE = ("train", "splits", "subject", "ids", "fps", "size_wh")
# The name of the split that a data set's papers compare on, where there is one only.
OFFICIAL = "official"
# An array of this name before it is a split, which says of each sequence one of these: NTU RGB+D 120's has the 60 of
# NTU RGB+D within it, and the other 60 have no part in that set's splits.
SPLIT = "split_"
TRAINS, TESTED, NO_PART = 1, 0, -1


@dataclass(frozen=True, eq=False)
class SkeletonSet:
    """N labelled sequences of M people, in one layout: px or the set's own unit for 2D, metres for 3D, y down.

    ``groups`` says which sequences belong together (a subject, a recording): what is held out is held out as a group.
    ``splits`` say, by name, of each sequence that it ``TRAINS``, is ``TESTED`` or has ``NO_PART``; the first one is the
    official one, or the only one. ``fps`` and ``sizes_wh``, the pictures' sizes in px where they are known, are of each
    sequence.
    """

    name: str
    layout: Layout
    classes: tuple[str, ...]
    keypoints: Float32[F32, "F M V D"]
    scores: Float32[F32, "F M V"]
    offsets: Int64[I64, " N1"]
    labels: Int64[I64, " N"]
    groups: Int64[I64, " N"]
    splits: Mapping[str, Int8[I8, " N"]]
    fps: Float64[F64, " N"]
    sizes_wh: Int64[I64, "N 2"] | None = None

    @property
    def train(self) -> Bool[B1, " N"]:
        """The sequences that train by the first split."""
        trains: B1 = next(iter(self.splits.values())) == TRAINS
        return trains

    def __len__(self) -> int:
        return len(self.labels)

    def clip(self, index: int) -> SkeletonClip:
        """Return sequence ``index`` whole, as the pipeline would see it."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        fps = float(self.fps[index])
        size_wh = None if self.sizes_wh is None else (int(self.sizes_wh[index, 0]), int(self.sizes_wh[index, 1]))
        return SkeletonClip(
            self.keypoints[start:stop],
            self.scores[start:stop],
            np.arange(stop - start) / fps,
            np.arange(self.keypoints.shape[1]),
            self.layout,
            start_s=0.0,
            end_s=float(stop - start) / fps,
            size_wh=size_wh,
        )

    def label(self, index: int) -> str:
        """Return the class name of sequence ``index``."""
        return self.classes[int(self.labels[index])]

    def subset(self, chosen: Int64[I64, " Q"] | Bool[B1, " N"]) -> "SkeletonSet":
        """Keep the sequences that a mask or an index names; their frames are copied."""
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
            splits={name: sides[places] for name, sides in self.splits.items()},
            fps=self.fps[places],
            sizes_wh=None if self.sizes_wh is None else self.sizes_wh[places],
        )


def read_arrays(
    path: Path, needed: Sequence[str] = CORE_ARRAYS, *, channels: int | None = None
) -> dict[str, Shaped[NDArray[np.generic], "..."]]:
    """Read every array of a skeleton set file once; ``channels`` is the C that the set's reader relies on.

    Raises:
        DataError: as ``load_arrays``; or a label is none of the classes, or a coordinate is not finite.

    """
    arrays = load_arrays(path, needed, channels=channels)
    _check_values(path, arrays)
    return arrays


def load_arrays(
    path: Path, needed: Sequence[str] = CORE_ARRAYS, *, channels: int | None = None
) -> dict[str, Shaped[NDArray[np.generic], "..."]]:
    """Read every array of a skeleton set file once, whatever values they hold.

    Raises:
        DataError: the file is missing, is no ``.npz``, holds pickles, or lacks an array; or its arrays disagree.

    """
    try:
        with path.open("rb") as file:  # numpy leaves a broken file open, if it opens it itself
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a skeleton set (.npz), found no such file") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected a skeleton set (.npz without pickles), but reading failed: {error}"
        ) from error
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DataError(f"{path}: expected arrays {', '.join(needed)}; {', '.join(missing)} not found")
    _check_kinds(path, arrays)
    _check_shapes(path, arrays, channels)
    return arrays


def _check_kinds(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    kinds = {"x": np.number, "offsets": np.integer, "y": np.integer, "subject": np.integer}
    odd = [name for name, kind in kinds.items() if name in arrays and not np.issubdtype(arrays[name].dtype, kind)]
    if odd:
        raise DataError(
            f"{path}: expected numbers in x and integers in {', '.join(list(kinds)[1:])}; {', '.join(odd)} has others"
        )
    deep = [name for name in CORE_ARRAYS[1:] if arrays[name].ndim != 1]
    if deep:
        raise DataError(f"{path}: expected one axis in {', '.join(CORE_ARRAYS[1:])}, not so in {', '.join(deep)}")


def _check_shapes(path: Path, arrays: Mapping[str, NDArray[np.generic]], channels: int | None) -> None:
    x, offsets, num_joints, num = arrays["x"], arrays["offsets"], len(arrays["joints"]), len(arrays["y"])
    if x.ndim not in (3, 4) or x.shape[-2:] != (num_joints, channels or x.shape[-1]):
        raise DataError(
            f"{path}: expected x of shape (frames, {num_joints} joints, {channels or 'C'} channels), or with people "
            f"before the joints, got {x.shape}"
        )
    if not num:
        raise DataError(f"{path}: expected sequences, found none")
    each = [name for name in arrays if name in A_SEQUENCE or name.startswith(SPLIT)]
    apart = [name for name in each if arrays[name].shape[:1] != (num,)]
    if apart:
        raise DataError(f"{path}: expected one entry for each of {num} sequences, not so in {', '.join(apart)}")
    if len(offsets) != num + 1 or offsets[0] != 0 or offsets[-1] != len(x) or (np.diff(offsets) < 1).any():
        raise DataError(f"{path}: offsets must rise from 0 to {len(x)} frames in {num + 1} steps")


def _check_values(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    labels, num_classes = np.asarray(arrays["y"], np.int64), len(arrays["classes"])
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(f"{path}: labels must lie in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")
    finite = np.isfinite(np.asarray(arrays["x"], np.float32)).reshape(len(arrays["x"]), -1).all(axis=1)
    if not finite.all():
        frame = int(finite.argmin())
        sequence = int(np.searchsorted(arrays["offsets"], frame, side="right")) - 1
        name = f" ({arrays['ids'][sequence]})" if "ids" in arrays else ""
        raise DataError(f"{path}: x must be finite throughout; in sequence {sequence}{name} frame {frame} of x is not")


def read_converted(path: Path, layout: Layout) -> SkeletonSet:
    """Read a set that ``marey data convert`` wrote: named after its file, its coordinates already in order.

    The last of its ``channels`` is the score where they say so.
    """
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "channels", "fps")))
    channels = [str(channel) for channel in arrays["channels"]]
    x = np.asarray(arrays["x"], np.float32)
    if len(channels) != x.shape[-1]:
        raise DataError(f"{path}: expected a name in channels for each channel of x, got {channels} for {x.shape}")
    scored = channels[-1] == "score"
    arrays["x"] = x[..., :-1] if scored else x
    scores = x[..., -1] if scored else None
    return build_set(path.stem, arrays, layout=layout, scores=scores, fps=30.0)


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

    ``scores`` [F, V] or [F, M, V] default to 1 for every joint; ``groups`` to the subject, else to one sequence each;
    ``splits`` are the arrays ``split_NAME``, else ``train``, else all that there is. ``fps`` counts where the file
    says none.

    Raises:
        DataError: the layout can have none of the file's joints.

    """
    x = np.asarray(arrays["x"], np.float32)
    seen = np.ones(x.shape[:-1], np.float32) if scores is None else scores
    if x.ndim == 3:
        x, seen = x[:, None], seen[:, None]
    names = joints or name_joints([str(joint) for joint in arrays["joints"]])
    keypoints, seen = map_joints(x, seen, names, layout)
    _, known = map_joints(x[:1], np.ones((1, x.shape[1], len(names)), np.float32), names, layout)
    if not known.any():
        raise DataError(f"{name}: expected joints of {layout.name}, got none in {', '.join(names)}")
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
        _splits(arrays) or {OFFICIAL: np.asarray(arrays.get("train", np.ones(num)), np.int8)},
        np.broadcast_to(np.asarray(arrays.get("fps", fps), np.float64), (num,)),
        np.asarray(arrays["size_wh"], np.int64) if "size_wh" in arrays else None,
    )


def _splits(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, I8]:
    return {
        name.removeprefix(SPLIT): np.asarray(array, np.int8) for name, array in arrays.items() if name.startswith(SPLIT)
    }
