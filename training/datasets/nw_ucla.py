"""Northwestern-UCLA: 1484 sequences of 10 everyday actions by 10 people before 3 Kinects, 20 joints in 3D.

Wang et al., "Cross-view Action Modeling, Learning and Recognition", CVPR 2014. Research data set. Official split:
cameras 1 and 2 train, camera 3 test.

x points to the camera's left and y up in the file. The frame rate is not documented: people walk 0.077 m a frame and
take a step every 8 frames, which at a usual 0.9 m/s and 0.65 s a step is 12 frames a second, not the 30 of a Kinect.
"""

from pathlib import Path

import numpy as np

from pipeline.layouts import KINECT20, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, read_arrays


@register("nw_ucla")
def read_nw_ucla(path: Path, layout: Layout = KINECT20) -> SkeletonSet:
    """Read the set in metres, x to the right and y down."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "train", "subject", "camera"), channels=3))
    arrays["x"] = np.asarray(arrays["x"], np.float32) * np.array([-1, -1, 1], np.float32)
    return build_set("nw_ucla", arrays, layout=layout, fps=12.0)
