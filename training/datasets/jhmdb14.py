"""JHMDB-14: 609 clips of 14 of the 21 classes of JHMDB, 15 joints in 2D, in units of the person's size.

Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013. Three official splits,
"1" to "3"; in the file's columns 1 says train and 0 test. Figures are means over the three.
"""

from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.layouts import PENN13, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, read_arrays


@register("jhmdb14")
def read_jhmdb14(path: Path, layout: Layout = PENN13) -> SkeletonSet:
    """Read the set with its official splits, in its own unit, y down."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "splits"), channels=2))
    if arrays["splits"].ndim != 2:
        raise DataError(f"{path}: expected a column for each official split in splits, got {arrays['splits'].shape}")
    columns = np.asarray(arrays["splits"]).T == 1
    arrays |= {f"split_{number}": column for number, column in enumerate(columns, start=1)}
    return build_set("jhmdb14", arrays, layout=layout, fps=30.0)
