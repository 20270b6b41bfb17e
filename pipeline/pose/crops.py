"""Cut people out of pictures for a top-down network, and bring what it finds back onto the picture.

A box grows by a padding, then to the shape of the crop; what lies outside the picture is black. Sources: MMPose's
``GetBBoxCenterScale`` and ``TopdownAffine`` (``udp`` False); Huang et al., UDP (arXiv 1911.07524), which measures
between the centres of pixels (``udp`` True). A network must be given crops as it was trained.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from pipeline.values import F32, F64, U8

PADDING = 1.25


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The crop that a network was trained on: its size in px, the padding around the box, the way of measuring."""

    size_wh: tuple[int, int] = (192, 256)
    padding: float = PADDING
    udp: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where M crops lie: crop px = ``scales`` * picture px + ``offsets``."""

    scales: Float64[F64, "M 2"]
    offsets: Float64[F64, "M 2"]

    def to_picture(self, keypoints: Float32[F32, "M V 2"]) -> Float32[F32, "M V 2"]:
        """Bring points from crop px to picture px."""
        return ((keypoints - self.offsets[:, None]) / self.scales[:, None]).astype(np.float32)


def place_crops(boxes_xyxy: Float32[F32, "M 4"], spec: CropSpec) -> Placement:
    """Say where the crop of each box lies; an empty box is taken to be one px wide and high."""
    boxes = boxes_xyxy.astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    width, height = (np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0) * spec.padding).T
    shape = spec.size_wh[0] / spec.size_wh[1]
    width = np.maximum(width, height * shape)
    seen_wh = np.stack([width, width / shape], axis=1)
    crop_wh = np.array(spec.size_wh) - float(spec.udp)
    scales = crop_wh / seen_wh
    return Placement(scales, crop_wh / 2 - scales * centres)


def cut_crop(
    image: UInt8[U8, "H W 3"], scale: Float64[F64, " 2"], offset: Float64[F64, " 2"], spec: CropSpec
) -> UInt8[U8, "H2 W2 3"]:
    """Cut one crop out of a picture, bilinear, black outside."""
    matrix = np.concatenate([np.diag(scale), offset[:, None]], axis=1)
    crop: U8 = np.asarray(cv2.warpAffine(image, matrix, spec.size_wh, flags=cv2.INTER_LINEAR), np.uint8)
    return crop
