"""Fit a picture of any shape into the fixed input of a detector, and boxes back onto the picture.

The picture keeps its shape and lies in the top-left corner; the rest is grey. MMDetection, YOLOX and rtmlib do the
same.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from pipeline.values import B1, F32, U8, Detections

GREY = 114


def letterbox(image: UInt8[U8, "H W 3"], size_wh: tuple[int, int]) -> tuple[UInt8[U8, "H2 W2 3"], float]:
    """Fit a picture into ``size_wh``, and say how many px of the result go into one of the picture."""
    height, width = image.shape[:2]
    per_px = min(size_wh[0] / width, size_wh[1] / height)
    fitted_wh = max(1, round(width * per_px)), max(1, round(height * per_px))
    padded = np.full((size_wh[1], size_wh[0], 3), GREY, np.uint8)
    padded[: fitted_wh[1], : fitted_wh[0]] = cv2.resize(image, fitted_wh, interpolation=cv2.INTER_LINEAR)
    return padded, per_px


def fit_boxes(detections: Detections, *, per_px: float, size_wh: tuple[int, int]) -> Detections:
    """Bring boxes from a letterboxed input back onto the picture of ``size_wh``, and cut them at its rim."""
    rim = np.array([*size_wh, *size_wh], np.float32)
    boxes: F32 = np.clip(detections.boxes_xyxy / np.float32(per_px), 0, rim)
    return keep(Detections(boxes, detections.scores), (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= 1)


def keep(detections: Detections, chosen: Bool[B1, " M"]) -> Detections:
    """Keep the boxes that a mask names, surest first."""
    order = np.flatnonzero(chosen)[np.argsort(-detections.scores[chosen], kind="stable")]
    return Detections(detections.boxes_xyxy[order], np.clip(detections.scores[order], 0, 1))


def box_iou(boxes_xyxy: Float32[F32, "M 4"], others_xyxy: Float32[F32, "Q 4"]) -> Float32[F32, "M Q"]:
    """Return the share of their union that two boxes have in common, in [0, 1]; 0 for empty boxes."""
    top_left = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    bottom_right = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=-1)
    others = (others_xyxy[:, 2:] - others_xyxy[:, :2]).prod(axis=-1)
    iou: F32 = shared / np.maximum(areas[:, None] + others[None] - shared, np.float32(1e-6))
    return iou
