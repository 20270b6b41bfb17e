"""RTMDet, person detector: one pass of a small convolutional network, non-maximum suppression inside the model.

Takes the ONNX files that MMDeploy writes: ``dets`` [1, n, 5] (x1 y1 x2 y2 score) and ``labels`` [1, n], where label 0
is a person. Source: Lyu et al., RTMDet (arXiv 2212.07784); MMDetection's configuration of RTMDet for mean, deviation
and padding.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.detect.letterbox import fit_boxes, keep, letterbox
from pipeline.onnx import OnnxModel
from pipeline.values import B1, F32, Detections, Frame

MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
STD_BGR = np.array([57.375, 57.12, 58.395], np.float32)
PERSON = 0
DEFAULT_SIZE, STRIDE = 320, 32
# MMPose's demos take 0.3; lower scores are left to a tracker that can tell by the place.
SCORE_THRESHOLD = 0.3


class RtmDet:
    """Find people with RTMDet. ``size`` is the side of the square input, px; a model with a fixed input has its own."""

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
        pixels = (picture[:, :, ::-1] - MEAN_BGR) / STD_BGR
        found = self._model.run({self._model.inputs[0].name: np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]})
        people = read_people(found["dets"][0], found["labels"][0] == PERSON, self._score_threshold)
        return fit_boxes(people, per_px=per_px, size_wh=frame.size_wh)


def read_people(rows: F32, are_people: B1, score_threshold: float) -> Detections:
    """Read rows of x1 y1 x2 y2 score."""
    return keep(Detections(rows[:, :4], rows[:, 4]), are_people & (rows[:, 4] >= score_threshold))


def input_size(model: OnnxModel, size: int | None, *, default: int) -> tuple[int, int]:
    """Return the width and height that a detector takes: the model's own where they are fixed, or ``size`` squared.

    Raises:
        ValueError: for a size that is no multiple of the network's stride of 32, or not the one that is fixed.

    """
    height, width = model.inputs[0].shape[2:]
    if width is not None and height is not None:
        if size not in (None, max(width, height)):
            raise ValueError(f"this detector only takes pictures of {width} x {height}, so size cannot be {size}")
        return width, height
    size = default if size is None else size
    if size < STRIDE or size % STRIDE:
        raise ValueError(f"size must be a multiple of {STRIDE}, not {size}")
    return size, size
