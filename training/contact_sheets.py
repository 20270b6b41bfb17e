"""Pictures of sample sequences, a row each with the people at a few moments, to see at a glance if all is well."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from pipeline.figures import CAPITAL_PX, FONT, draw_people
from pipeline.values import F32, Poses, SkeletonClip
from training.datasets.skeleton_set import SkeletonSet

U8 = NDArray[np.uint8]

MOMENTS = 8
ROWS = 6
CELL_WH = (200, 230)
GAP_PX = 6
TITLE_PX = 40
MARGIN = 0.10  # of a cell, on each side
PAPER = (246, 246, 244)
CELL = (255, 255, 255)
INK = (40, 40, 44)
FAINT_INK = (140, 140, 146)
TITLE_CAPITAL_PX, NOTE_CAPITAL_PX = 11.0, 8.0
# Single joints that the pose network put far off must not make everything else small.
EXTENT = (0.01, 0.99)


def choose(source: SkeletonSet, count: int, labels: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Choose sequences at random, in turn of each label, or of those given; sorted by label.

    Raises:
        ValueError: the set has no such label.
    """
    unknown = sorted(set(labels) - set(source.classes))
    if unknown:
        raise ValueError(f"no label {', '.join(unknown)}: expected some of {', '.join(source.classes)}")
    wanted = [place for place, name in enumerate(source.classes) if not labels or name in labels]
    queues = [rng.permutation(np.flatnonzero(source.labels == label)).tolist() for label in wanted]
    chosen: list[int] = []
    while len(chosen) < count and any(queues):
        chosen += [queue.pop() for queue in queues if queue][: count - len(chosen)]
    return sorted(chosen, key=lambda place: (int(source.labels[place]), place))


def draw_sheets(source: SkeletonSet, chosen: Sequence[int], names: Sequence[str]) -> Iterator[UInt8[U8, "H W 3"]]:
    """Draw the sequences, so many to a sheet; ``names`` are those of all sequences of the set."""
    for start in range(0, len(chosen), ROWS):
        rows = [
            _draw_row(source.clip(place), source.label(place), names[place]) for place in chosen[start : start + ROWS]
        ]
        yield np.concatenate(rows)


def _draw_row(clip: SkeletonClip, label: str, name: str) -> UInt8[U8, "H W 3"]:
    width, height = CELL_WH
    row = np.full((TITLE_PX + height + GAP_PX, GAP_PX + MOMENTS * (width + GAP_PX), 3), PAPER, np.uint8)
    fps = clip.num_frames / max(clip.end_s - clip.start_s, 1e-6)
    end = _write(row, label.replace("_", " "), GAP_PX + 4, TITLE_PX - 12, capital_px=TITLE_CAPITAL_PX, ink=INK)
    frames = "1 frame" if clip.num_frames == 1 else f"{clip.num_frames} frames"
    remark = f"{name}   {clip.end_s - clip.start_s:.1f} s, {frames} at {fps:.3g}/s"
    _write(row, remark, end + 18, TITLE_PX - 12, capital_px=NOTE_CAPITAL_PX, ink=FAINT_INK)
    points = _fit(clip)
    for column, frame in enumerate(np.linspace(0, clip.num_frames - 1, MOMENTS).round().astype(int).tolist()):
        poses = _poses(clip, points, frame)
        nameless = dict.fromkeys(poses.track_ids.tolist(), "")
        cell = draw_people(np.full((height, width, 3), CELL, np.uint8), poses, clip.layout, nameless)
        _write(cell, f"{clip.times_s[frame]:.2f} s", 6, 15, capital_px=NOTE_CAPITAL_PX, ink=FAINT_INK)
        left = GAP_PX + column * (width + GAP_PX)
        row[TITLE_PX : TITLE_PX + height, left : left + width] = cell
    return row


def _fit(clip: SkeletonClip) -> Float32[F32, "T M V 2"]:
    """Move and scale a sequence as one, so that all that is seen of it fits into a cell; of 3D, look from the front."""
    plane, seen = clip.keypoints[..., :2], clip.scores > 0
    if not seen.any():
        return plane
    low, high = np.quantile(plane[seen], EXTENT, axis=0)
    room = np.array(CELL_WH) * (1 - 2 * MARGIN)
    scale = (room / np.maximum(high - low, 1e-6)).min()
    fitted: F32 = ((plane - (low + high) / 2) * scale + np.array(CELL_WH) / 2).astype(np.float32)
    return fitted


def _poses(clip: SkeletonClip, points: Float32[F32, "T M V 2"], frame: int) -> Poses:
    """Return who is there in a frame."""
    there = np.flatnonzero((clip.scores[frame] > 0).any(axis=1))
    keypoints, scores = points[frame, there], clip.scores[frame, there]
    boxes = np.array(
        [[*body[seen].min(axis=0), *body[seen].max(axis=0)] for body, seen in zip(keypoints, scores > 0, strict=True)],
        np.float32,
    ).reshape(-1, 4)
    return Poses(keypoints, scores, boxes, scores.mean(axis=1), there.astype(np.int64) + 1)


def _write(
    canvas: UInt8[U8, "H W 3"], text: str, x: int, y: int, *, capital_px: float, ink: tuple[int, int, int]
) -> int:
    """Write a line whose letters stand on y, and return where it ends."""
    scale = capital_px / CAPITAL_PX
    cv2.putText(canvas, text, (x, y), FONT, scale, ink, 1, cv2.LINE_AA)
    return x + cv2.getTextSize(text, FONT, scale, 1)[0][0]
