"""Top-down pose estimation: a detector finds people, and a second network finds the joints in a crop of each.

All crops of all people, of several frames at once, go through the second network as one batch. Between two runs of
the detector the boxes of people who are being followed do as well. Names of parts follow MMPose's top-down
estimators.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from pipeline.detect import Detector
from pipeline.layouts import COCO17, Layout
from pipeline.onnx import OnnxModel
from pipeline.pose.crops import CropSpec, Placement, cut_crop, place_crops
from pipeline.pose.duplicates import keep_best
from pipeline.values import F32, U8, UNTRACKED, Frame, Poses

# ImageNet's, RGB, 0 to 255: MMPose's and PaddleDetection's alike.
MEAN_RGB = np.array([123.675, 116.28, 103.53], np.float32)
STD_RGB = np.array([58.395, 57.12, 57.375], np.float32)

DETECT_EVERY = 5
# A crop of 256 px shows a person of about 200 px: a picture of this side holds people of that size and smaller ones.
MAX_SIDE = 960
# The top of a head and the toes lie outside the joints by about this share of the person's height.
BODY_MARGIN = 0.1
SEEN_THRESHOLD = 0.2

Decoder = Callable[[Mapping[str, F32], tuple[int, int]], tuple[Float32[F32, "N V 2"], Float32[F32, "N V"]]]


class Estimator:
    """Find the joints of one person a crop. ``decode`` reads the network's outputs, in px of the crop."""

    def __init__(self, model: OnnxModel, decode: Decoder, *, crop: CropSpec | None = None) -> None:
        self.crop = crop or CropSpec()
        self._model = model
        self._decode = decode

    def estimate(self, crops: Sequence[U8]) -> tuple[Float32[F32, "N V 2"], Float32[F32, "N V"]]:
        """Return the joints of each crop in px of the crop, and their scores in [0, 1]."""
        pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
        pixels -= MEAN_RGB[:, None, None]
        pixels /= STD_RGB[:, None, None]
        outputs = self._model.run({self._model.inputs[0].name: np.ascontiguousarray(pixels)})
        return self._decode(outputs, self.crop.size_wh)


@dataclass(frozen=True, slots=True)
class TopDown:
    """A detector and an estimator, as one pose backend."""

    name: str
    detector: Detector
    estimator: Estimator
    layout: Layout = COCO17
    max_side: int | None = MAX_SIDE
    detect_every: int = DETECT_EVERY
    needs_boxes: bool = True

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        """Find everybody in each frame; the box and its score are the detector's.

        Boxes of different size around one person overlap too little for the detector to notice, but lead to one pose.
        """
        found = self.detector.find(frames)
        poses = self.follow(frames, [people.boxes_xyxy for people in found])
        people = [
            Poses(one.keypoints, one.scores, boxes.boxes_xyxy, boxes.scores, one.track_ids)
            for one, boxes in zip(poses, found, strict=True)
        ]
        return [one.select(keep_best(one)) for one in people]

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[Float32[F32, "_ 4"]]) -> list[Poses]:
        """Find the joints in boxes around whole people, as ``Poses.boxes_xyxy`` has them.

        The boxes that come back are drawn anew around the joints that were seen, with room for head and feet; their
        scores are the mean of the joints'.
        """
        placements = [place_crops(boxes, self.estimator.crop) for boxes in boxes_xyxy]
        crops = [
            cut_crop(frame.image, scale, offset, self.estimator.crop)
            for frame, placement in zip(frames, placements, strict=True)
            for scale, offset in zip(placement.scales, placement.offsets, strict=True)
        ]
        if not crops:
            return [Poses.empty(len(self.layout)) for _ in frames]
        ends = np.cumsum([len(boxes) for boxes in boxes_xyxy])[:-1]
        keypoints, scores = (np.split(values, ends) for values in self.estimator.estimate(crops))
        return [
            _poses(placement, joints, joint_scores, boxes)
            for placement, joints, joint_scores, boxes in zip(placements, keypoints, scores, boxes_xyxy, strict=True)
        ]


def _poses(
    placement: Placement, joints: Float32[F32, "M V 2"], scores: Float32[F32, "M V"], boxes: Float32[F32, "M 4"]
) -> Poses:
    keypoints = placement.to_picture(joints)
    return Poses(
        keypoints,
        scores,
        boxes_around(keypoints, scores, boxes),
        scores.mean(axis=1, dtype=np.float32),
        np.full(len(scores), UNTRACKED, np.int64),
    )


def boxes_around(
    keypoints: Float32[F32, "M V 2"], scores: Float32[F32, "M V"], otherwise: Float32[F32, "M 4"]
) -> Float32[F32, "M 4"]:
    """Draw a box around the joints seen of each person; who shows fewer than two keeps the box ``otherwise``."""
    seen = (scores >= SEEN_THRESHOLD)[..., None]
    low = np.where(seen, keypoints, np.inf).min(axis=1)
    high = np.where(seen, keypoints, -np.inf).max(axis=1)
    enough = seen.sum(axis=1) >= 2
    margin = BODY_MARGIN * np.where(enough, high - low, 0.0).max(axis=1, keepdims=True)
    boxes: F32 = np.where(enough, np.concatenate([low - margin, high + margin], axis=1), otherwise).astype(np.float32)
    return boxes
