"""MoveNet MultiPose Lightning: up to six people in one pass over the whole picture, no person detector.

The weights ship with the package (``weights/README.md``). The picture is made to fit ``size``, enlarged if need be
(small people are found better), and padded at the bottom and the right to the network's stride of 32; so a wide
picture costs less than a square one.

Source: https://www.tensorflow.org/hub/tutorials/movenet and the model card of MoveNet MultiPose Lightning v1
(Google).
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Int32
from numpy.typing import NDArray

from pipeline.layouts import COCO17
from pipeline.onnx import OnnxModel
from pipeline.pose.duplicates import keep_best
from pipeline.pose.registry import BackendOptions, register
from pipeline.values import F32, U8, UNTRACKED, Frame, Poses

I32 = NDArray[np.int32]

WEIGHTS = Path(__file__).parent / "weights" / "movenet-multipose.onnx"
STRIDE = 32
MIN_SIZE, DEFAULT_SIZE, MAX_SIZE = 128, 320, 1024
# Where a room is empty, scores of up to 0.11 were seen; people seldom score under 0.3.
PERSON_THRESHOLD = 0.12


class MoveNet:
    """Find up to six people a frame. ``size`` is the longer side of the picture that the network sees, px."""

    name = "movenet"
    layout = COCO17
    needs_boxes = False
    detect_every = 1

    def __init__(self, model: OnnxModel, *, size: int = DEFAULT_SIZE) -> None:
        if size % STRIDE or not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"size must be a multiple of {STRIDE} from {MIN_SIZE} to {MAX_SIZE}, not {size}")
        self.max_side: int | None = size
        self._model = model

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        """Find up to six people in each frame."""
        return [self._find_in(frame) for frame in frames]

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[Float32[F32, "_ 4"]]) -> list[Poses]:
        """Find people as ``find`` does: one pass sees everybody, and boxes would save nothing."""
        return self.find(frames)

    def _find_in(self, frame: Frame) -> Poses:
        assert self.max_side is not None
        picture, per_px = fit_picture(frame.image, self.max_side)
        output = self._model.run({"input": picture[None]})["output"]
        height, width = picture.shape[:2]
        return read_people(output[0], np.array([width, height], np.float32) / per_px, frame.size_wh)


def fit_picture(image: U8, size: int) -> tuple[Int32[I32, "H W 3"], float]:
    """Resize to a longer side of ``size`` and pad to the stride; return how many px of that make one of the image."""
    height, width = image.shape[:2]
    per_px = size / max(width, height)
    width, height = round(width * per_px), round(height * per_px)
    padded = np.zeros((-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE, 3), np.int32)
    method = cv2.INTER_AREA if per_px < 1 else cv2.INTER_LINEAR
    padded[:height, :width] = cv2.resize(image, (width, height), interpolation=method)
    return padded, per_px


def read_people(rows: Float32[F32, "Q 56"], extent_wh: Float32[F32, " 2"], size_wh: tuple[int, int]) -> Poses:
    """Read the people out of the network's rows: 17 times (y, x, score), then ymin, xmin, ymax, xmax and a score.

    ``extent_wh`` is the size of the padded input in px of the picture, ``size_wh`` that of the picture itself.
    """
    rows = rows[rows[:, 55] >= PERSON_THRESHOLD]
    joints = rows[:, :51].reshape(-1, len(COCO17), 3)
    boxes = rows[:, [52, 51, 54, 53]].reshape(-1, 2, 2) * extent_wh
    people = Poses(
        keypoints=joints[:, :, 1::-1] * extent_wh,
        scores=np.clip(joints[:, :, 2], 0, 1),
        boxes_xyxy=np.clip(boxes, 0, np.array(size_wh, np.float32)).reshape(-1, 4),
        box_scores=np.clip(rows[:, 55], 0, 1),
        track_ids=np.full(len(rows), UNTRACKED, np.int64),
    )
    return people.select(keep_best(people))


@register("movenet")
def build(options: BackendOptions) -> MoveNet:
    """Build MoveNet from the weights that ship with the package."""
    model = OnnxModel(WEIGHTS, provider=options.provider, threads=options.threads)
    return MoveNet(model, size=DEFAULT_SIZE if options.size is None else options.size)
