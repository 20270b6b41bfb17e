"""Pickles of PYSKL and MMAction2: ``{"split": {name: [id, ...]}, "annotations": [{...}, ...]}``.

https://github.com/kennymckormick/pyskl, tools/data/README.md. A ``.pkl`` file, or a zip or folder with one. A pickle
can run code: only arrays, numbers and plain containers are let through. It is read whole, and let go of piece by piece.

2D joints of COCO (17) or OpenPose (18) are px of ``img_shape``, with scores; the 25 joints of NTU RGB+D are metres
along the sensor's axes, with none, and are turned round like those of ``training.sources.ntu``: a joint in the origin
was not seen. The form has no frame rate; 30 is that of NTU RGB+D and Kinetics. Kinetics' own pickle only points to
others ("raw_file") and is refused.

``xsub_train`` with ``xsub_val`` or ``xsub_test`` are the split ``xsub``, ``train1`` with ``test1`` the split ``1``, and
``train`` with ``val`` or ``test`` the official one. Classes are numbered in the file; those of NTU RGB+D, told by its
names of sequences, have their names, others have those of ``labels``, or ``class_0`` and so on.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.layouts import COCO17, NTU25, OPENPOSE18, Layout
from pipeline.values import F32
from training.datasets.skeleton_set import OFFICIAL
from training.sources.files import READ_ERRORS, Files, read_or_drop
from training.sources.ntu_bodies import TURN
from training.sources.ntu_facts import ACTIONS as NTU_ACTIONS
from training.sources.registry import Dropped, LabelledSequence, Opened, register
from training.sources.unpickling import BROKEN, PickledArray, unpickle

FPS = 30.0
ENDINGS = (".pkl", ".pickle")
LARGEST_BYTES = 16 * 2**30
# The largest sets have some hundreds; a number far above is a fault.
MOST_CLASSES = 10_000
LAYOUTS: Mapping[tuple[int, int], Layout] = {(17, 2): COCO17, (18, 2): OPENPOSE18, (25, 3): NTU25}
SPLIT = re.compile(r"(?:(?P<name>[A-Za-z0-9_]+)_)?(?P<side>train|val|test)_?(?P<number>\d*)")
# Those whose names say who acts: NTU RGB+D's performer, and UCF-101's group of clips from one video.
SUBJECTS = (re.compile(r"S\d{3}C\d{3}P(\d{3})R\d{3}A\d{3}"), re.compile(r".*_g(\d+)_c\d+"))


@register("pyskl")
def open_pyskl(path: Path, labels: Sequence[str] | None = None) -> Opened:
    """Open a pickle of annotations; ``labels`` are its classes in the order of their numbers, if they are known.

    Raises:
        DataError: the pickle is broken, asks for code, or is of another form; ``labels`` are too few.

    """
    annotations, split = _parts(path, _unpickle(path))
    layout = _layout(path, annotations)
    sides = _sides(path, split)
    ids = [str(annotation.get("frame_dir", place)) for place, annotation in enumerate(annotations)]
    classes = _classes(path, annotations, ids, labels)
    absent = tuple(sorted(sides.keys() - set(ids)))
    reader = partial(_read, layout=layout, classes=classes, sides=sides)
    return Opened(layout, classes, _sequences(annotations, ids, absent, reader), len(ids) + len(absent))


def _unpickle(path: Path) -> object:
    files = Files(path, *ENDINGS, largest_bytes=LARGEST_BYTES)
    if len(files.names) + len(files.repeated) > 1:
        raise DataError(
            f"{path}: expected one pickle, found {', '.join(files.names + files.repeated)}: name one of them"
        )
    try:
        with files, files.open(files.names[0]) as file:
            return unpickle(file)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (*BROKEN, *READ_ERRORS) as error:
        raise DataError(f"{path}: expected a pickle, but it is broken or cut off: {error!r}") from error


def _parts(path: Path, content: object) -> tuple[list[dict[str, Any]], Mapping[str, Collection[str]]]:
    """Return annotations and splits; MMAction2's older files are the annotations alone."""
    annotations, split = content, {}
    if isinstance(content, dict):
        annotations, split = content.get("annotations"), content.get("split", {})
    if not isinstance(annotations, list) or not all(isinstance(annotation, dict) for annotation in annotations):
        raise DataError(f"{path}: expected annotations, a list of dicts, and split")
    for annotation in annotations:
        arrays = {key: value.array for key, value in annotation.items() if isinstance(value, PickledArray)}
        annotation.update(arrays)
    if not isinstance(split, dict) or not all(isinstance(ids, list | tuple | set) for ids in split.values()):
        raise DataError(f"{path}: expected split to be lists of frame_dir by name")
    return annotations, split


def _layout(path: Path, annotations: Sequence[Mapping[str, Any]]) -> Layout:
    """Tell the layout from the first annotation that has one."""
    keypoints = [annotation.get("keypoint") for annotation in annotations]
    shapes = [points.shape[-2:] for points in keypoints if isinstance(points, np.ndarray)]
    layout = next((LAYOUTS[shape] for shape in shapes if shape in LAYOUTS), None)
    if layout is None:
        hint = (
            "; raw_file points to other pickles" if any("raw_file" in annotation for annotation in annotations) else ""
        )
        known = " or ".join(f"{joints} joints in {axes}D" for joints, axes in LAYOUTS)
        raise DataError(f"{path}: expected keypoint with {known}, got {sorted(set(shapes)) or 'none'}{hint}")
    return layout


def _sides(path: Path, split: Mapping[str, Collection[str]]) -> dict[str, dict[str, list[bool]]]:
    """Return of each id, by split, on which sides of it it is; of three parts "test" is the one that tests."""
    parts = {name: SPLIT.fullmatch(name) for name in split}
    unknown = [name for name, match in parts.items() if match is None]
    if unknown:
        raise DataError(f"{path}: expected splits like train, xsub_train or test1, got {', '.join(map(repr, unknown))}")
    sides: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for name, match in parts.items():
        side = match["side"] if match else ""
        if side == "val" and name.replace("val", "test") in split:
            continue
        title = "_".join(filter(None, (match["name"], match["number"]))) if match else ""
        for place in split[name]:
            sides[str(place)][title or OFFICIAL].append(side == "train")
    return dict(sides)


def _classes(
    path: Path, annotations: Sequence[Mapping[str, Any]], ids: Sequence[str], labels: Sequence[str] | None
) -> tuple[str, ...]:
    numbers = [annotation.get("label") for annotation in annotations]
    num_classes = max((int(number) for number in numbers if isinstance(number, int | np.integer)), default=0) + 1
    if num_classes > MOST_CLASSES:
        raise DataError(f"{path}: expected labels below {MOST_CLASSES}, got {num_classes - 1}")
    if labels is None and num_classes <= len(NTU_ACTIONS) and all(SUBJECTS[0].fullmatch(name) for name in ids):
        labels = NTU_ACTIONS[: 60 if num_classes <= 60 else len(NTU_ACTIONS)]
    if labels is None:
        labels = [f"class_{number}" for number in range(num_classes)]
    if len(labels) < num_classes:
        raise DataError(f"{path}: expected a label for each of {num_classes} classes, got {len(labels)}")
    return tuple(labels)


def _sequences(
    annotations: list[dict[str, Any]],
    ids: Sequence[str],
    absent: Sequence[str],
    reader: Callable[[dict[str, Any], str, int], LabelledSequence],
) -> Iterator[LabelledSequence | Dropped]:
    counts = Counter(ids)
    subjects = _subjects(ids)
    annotations.reverse()
    for name, subject in zip(ids, subjects, strict=True):
        annotation = annotations.pop()  # so that what was read need not be held any longer
        if counts[name] > 1:
            yield Dropped(name, f"{counts[name]} annotations have this frame_dir")
        else:
            yield read_or_drop(name, partial(reader, annotation, name, subject))
    for name in absent:
        yield Dropped(name, "a split names it, but there is no annotation of it")


def _subjects(ids: Sequence[str]) -> list[int]:
    """Return who acts, if the names say so, else a number for each sequence."""
    for pattern in SUBJECTS:
        matches = [pattern.fullmatch(name) for name in ids]
        if all(matches):
            return [int(match[1]) for match in matches if match]
    return list(range(len(ids)))


def _read(
    annotation: Mapping[str, Any],
    name: str,
    subject: int,
    *,
    layout: Layout,
    classes: Sequence[str],
    sides: Mapping[str, Mapping[str, Sequence[bool]]],
) -> LabelledSequence:
    halves = sides.get(name, {})
    torn = [split for split, trains in halves.items() if len(set(trains)) > 1]
    if torn:
        raise DataError(f"it both trains and tests in {', '.join(torn)}")
    keypoints, scores = _read_joints(annotation, layout)
    return LabelledSequence(
        id=name,
        label=classes[_read_label(annotation, len(classes))],
        keypoints=keypoints,
        scores=scores,
        fps=FPS,
        size_wh=None if layout is NTU25 else _read_size(annotation),
        subject=subject,
        splits={split: trains[0] for split, trains in halves.items()},
    )


def _read_label(annotation: Mapping[str, Any], num_classes: int) -> int:
    label = annotation.get("label")
    if not isinstance(label, int | np.integer) or not 0 <= label < num_classes:
        raise DataError(f"expected label from 0 to {num_classes - 1}, got {label!r}")
    return int(label)


def _read_size(annotation: Mapping[str, Any]) -> tuple[int, int] | None:
    shape = annotation.get("img_shape", annotation.get("original_shape"))
    if shape is None:
        return None
    sides = list(shape) if isinstance(shape, tuple | list | np.ndarray) else []
    if len(sides) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in sides):
        raise DataError(f"expected img_shape to be height and width, got {shape!r}")
    return int(sides[1]), int(sides[0])


def _read_joints(annotation: Mapping[str, Any], layout: Layout) -> tuple[F32, F32]:
    """Return keypoints [T, M, V, D] and scores [T, M, V], those that are not seen as zeros."""
    num_axes = next(axes for (_, axes), known in LAYOUTS.items() if known is layout)
    try:
        points = np.asarray(annotation["keypoint"], np.float32)
        given = annotation.get("keypoint_score")
        scores = (points != 0).any(axis=-1).astype(np.float32) if given is None else np.asarray(given, np.float32)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"expected numbers in keypoint and keypoint_score: {error!r}") from error
    if points.ndim != 4 or points.shape[2:] != (len(layout), num_axes) or scores.shape != points.shape[:3]:
        raise DataError(
            f"expected keypoint (people, frames, {len(layout)}, {num_axes}) and keypoint_score (people, frames, "
            f"{len(layout)}), got {points.shape} and {scores.shape}"
        )
    points = points * TURN if layout is NTU25 else points
    points = np.where((scores == 0)[..., None], np.float32(0), points)
    return points.swapaxes(0, 1), np.clip(scores, 0, 1).swapaxes(0, 1)
