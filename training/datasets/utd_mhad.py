"""UTD-MHAD: 861 sequences of 27 actions by 8 people before a Kinect, 20 joints in 3D.

Chen, Jafari, Kehtarnavaz, "UTD-MHAD: A Multimodal Dataset for Human Action Recognition", ICIP 2015. Research data set.
Official split: odd subjects train, even subjects test. x points to the camera's left and y up in the file.
"""

from pathlib import Path

import numpy as np

from pipeline.layouts import KINECT20, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, read_arrays


@register("utd_mhad")
def read_utd_mhad(path: Path, layout: Layout = KINECT20) -> SkeletonSet:
    """Read the set in metres, x to the right and y down."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "train", "subject"), channels=3))
    arrays["x"] = np.asarray(arrays["x"], np.float32) * np.array([-1, -1, 1], np.float32)
    return build_set("utd_mhad", arrays, layout=layout, fps=30.0)
