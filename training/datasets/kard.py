"""KARD: 486 sequences of 18 everyday actions by 9 people before a Kinect, 15 joints in 3D.

Gaglio, Lo Re, Morana, "Human Activity Recognition Process Using 3-D Posture Data", IEEE THMS 2015. Mendeley Data
k28dtm7tr6, CC BY 4.0. The file holds image x, image y, depth and world x, y, z in mm; world y points up. There is no
official split: odd subjects train here.
"""

from pathlib import Path

import numpy as np

from pipeline.layouts import KINECT20, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, read_arrays


@register("kard")
def read_kard(path: Path, layout: Layout = KINECT20) -> SkeletonSet:
    """Read the world coordinates in metres, y down; ``left_hand`` and ``left_foot`` stand for wrist and ankle."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "subject"), channels=6))
    arrays["x"] = np.asarray(arrays["x"], np.float32)[..., 3:] * np.array([1e-3, -1e-3, 1e-3], np.float32)
    arrays["train"] = np.asarray(arrays["subject"]) % 2 == 1
    return build_set("kard", arrays, layout=layout, fps=30.0)
