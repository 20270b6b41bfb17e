"""JHMDB-14: 609 clips of 14 of the 21 classes of JHMDB, 15 joints in 2D, in units of the person's size.

Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013. Three official splits; ``split`` chooses one.
"""

from pathlib import Path

import numpy as np

from pipeline.layouts import PENN13, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import SkeletonSet, build_set, read_arrays


@register("jhmdb14")
def read_jhmdb14(path: Path, layout: Layout = PENN13) -> SkeletonSet:
    """Read the set with the first official split, in its own unit, y down."""
    arrays = dict(read_arrays(path, ("x", "offsets", "y", "classes", "joints", "splits")))
    arrays["train"] = np.asarray(arrays["splits"])[:, 0] == 1
    return build_set("jhmdb14", arrays, layout=layout, fps=30.0)
