"""YOLOX, person detector, for both kinds of ONNX file in use.

MMDeploy's files suppress overlaps themselves and answer ``dets`` [1, n, 5] and ``labels`` [1, n]; YOLOX's own export
answers one raw head [1, n, 5 + classes]: offsets and logarithms of sizes in cells of strides 8, 16 and 32, then the
scores for anything at all and for each class. Pixels go in as they are, BGR, 0 to 255. Source: Ge et al., YOLOX
(arXiv 2107.08430), section 2 (anchor-free head) and its demo for ONNX Runtime.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from pipeline.detect.letterbox import box_iou, fit_boxes, keep, letterbox
from pipeline.detect.rtmdet import PERSON, input_size, read_people
from pipeline.onnx import OnnxModel
from pipeline.values import F32, I64, Detections, Frame

DEFAULT_SIZE = 416
STRIDES = (8, 16, 32)
SCORE_THRESHOLD = 0.3
IOU_THRESHOLD = 0.45  # YOLOX's demo


class Yolox:
    """Find people with YOLOX. ``size`` is the side of the square input, px; a model with a fixed input has its own."""

    def __init__(self, model: OnnxModel, *, size: int | None = None, score_threshold: float = SCORE_THRESHOLD) -> None:
        self._model = model
        self._size_wh = input_size(model, size, default=DEFAULT_SIZE)
        self._score_threshold = score_threshold
        self.max_side = max(self._size_wh)

    def find(self, frames: Sequence[Frame]) -> list[Detections]:
        """Find the people of each frame, surest first."""
        return [self._find_in(frame) for frame in frames]

    def _find_in(self, frame: Frame) -> Detections:
        picture, per_px = letterbox(frame.image, self._size_wh)
        pixels = np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1), np.float32)
        found = self._model.run({self._model.inputs[0].name: pixels[None]})
        if "labels" in found:
            people = read_people(found["dets"][0], found["labels"][0] == PERSON, self._score_threshold)
        else:
            people = read_head(next(iter(found.values()))[0], self._size_wh, score_threshold=self._score_threshold)
        return fit_boxes(people, per_px=per_px, size_wh=frame.size_wh)


def read_head(
    rows: Float32[F32, "Q _"], size_wh: tuple[int, int], *, score_threshold: float = SCORE_THRESHOLD
) -> Detections:
    """Decode a raw head into the distinct people it has seen, in px of the input of ``size_wh``."""
    cells, strides = grid(size_wh)
    centres = (rows[:, :2] + cells) * strides
    halves = np.exp(rows[:, 2:4]) * strides / 2
    scores = rows[:, 4] * rows[:, 5 + PERSON]
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    people = keep(Detections(boxes, scores), scores >= score_threshold)
    distinct = np.zeros(len(people), bool)
    distinct[suppress(people.boxes_xyxy)] = True
    return keep(people, distinct)


def grid(size_wh: tuple[int, int]) -> tuple[Float32[F32, "Q 2"], Float32[F32, "Q 1"]]:
    """Return the (x, y) of every cell of the three grids, and the px that a cell is wide."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size_wh[1] // stride, : size_wh[0] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def suppress(boxes_xyxy: Float32[F32, "M 4"], *, iou_threshold: float = IOU_THRESHOLD) -> Int64[I64, " Q"]:
    """Return the indices of boxes, surest first, that overlap no surer one by more than the threshold."""
    overlap = box_iou(boxes_xyxy, boxes_xyxy)
    kept: list[int] = []
    for box in range(len(boxes_xyxy)):
        if not kept or overlap[box, kept].max() <= iou_threshold:
            kept.append(box)
    return np.array(kept, np.int64)
