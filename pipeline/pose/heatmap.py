"""Read joints from heatmaps, to a fraction of a cell, with distribution-aware decoding (DARK).

The peak of a Gaussian lies where the second-order expansion of its logarithm has its top. The heatmap is smoothed
first, so that it has one peak. Sources: Zhang et al., DARK (arXiv 1910.06278), sections 3.1 and 3.2; MMPose's
``refine_keypoints_dark`` (kernel 11) and PaddleDetection's ``HRNetPostProcess`` (kernel 3), which differ in the
kernel alone.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Float32, Int64

from pipeline.values import F32, F64, I64

KERNEL = 3  # PaddleDetection's, for PP-TinyPose
LEAST = 1e-10


def read_heatmaps(
    outputs: Mapping[str, F32], size_wh: tuple[int, int], *, kernel: int = KERNEL
) -> tuple[Float32[F32, "N V 2"], Float32[F32, "N V"]]:
    """Return joints in px of the crop, and their scores (the peaks) in [0, 1].

    ``outputs`` has the heatmaps [N, V, H, W] alone; ``kernel`` is the width of the smoothing, cells.
    """
    (heatmaps,) = outputs.values()
    N, V, H, W = heatmaps.shape
    peaks = heatmaps.reshape(N * V, H * W)
    rows, columns = np.unravel_index(peaks.argmax(axis=1), (H, W))
    cells = np.stack([columns, rows], axis=1).astype(np.float32)
    cells += peak_offsets(smooth(heatmaps.reshape(N * V, H, W), kernel), rows, columns)
    scores = np.clip(peaks.max(axis=1), 0, 1).astype(np.float32)
    px_per_cell = np.array([size_wh[0] / W, size_wh[1] / H], np.float32)
    return (cells * px_per_cell).reshape(N, V, 2), scores.reshape(N, V)


def smooth(heatmaps: Float32[F32, "Q H W"], kernel: int) -> Float32[F32, "Q H W"]:
    """Blur each map as if nothing lay beyond its rim.

    The paper then brings the peak back to its old height, which moves no peak and is left out.
    """
    blurred = [cv2.GaussianBlur(one, (kernel, kernel), 0, borderType=cv2.BORDER_CONSTANT) for one in heatmaps]
    return np.stack(blurred) if blurred else heatmaps


def peak_offsets(
    heatmaps: Float32[F32, "Q H W"], rows: Int64[I64, " Q"], columns: Int64[I64, " Q"]
) -> Float32[F32, "Q 2"]:
    """Step from the highest cell to the top: minus the inverse Hessian times the gradient, x then y.

    Zero where the highest cell is too near the rim for derivatives, or the map is flat; a cell at most, since a map
    without a clear peak would send the joint anywhere.
    """
    Q, H, W = heatmaps.shape
    inside = (columns > 1) & (columns < W - 2) & (rows > 1) & (rows < H - 2)
    y, x, q = np.clip(rows, 2, H - 3), np.clip(columns, 2, W - 3), np.arange(Q)

    def at(down: int, right: int) -> F64:
        values: F64 = np.log(np.maximum(heatmaps[q, y + down, x + right], LEAST), dtype=np.float64)
        return values

    dx, dy = (at(0, 1) - at(0, -1)) / 2, (at(1, 0) - at(-1, 0)) / 2
    dxx = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dyy = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    dxy = (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1)) / 4
    determinant = dxx * dyy - dxy**2
    usable = inside & (determinant != 0)
    safe = np.where(usable, determinant, 1.0)
    offsets = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=1) / safe[:, None]
    return np.where(usable[:, None], np.clip(offsets, -1, 1), 0.0).astype(np.float32)
