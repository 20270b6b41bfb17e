"""MSR-Action3D: 557 sequences of 20 actions by 10 people before a depth camera, 20 joints in 3D.

Li, Zhang, Liu, "Action Recognition Based on a Bag of 3D Points", CVPR workshops 2010. Research data set. Official
split: odd subjects train, even subjects test; the ten sequences that are too noisy by its authors' own list, whose
joints are mostly missing, are left out as everybody does. 15 frames a second.

The file does not say which side is left. Actions of one hand or foot (wave, hammer, kick) are done with side "b" by
nearly everybody: b is the right side. Then x points to the camera's left and y up, as in other sets of the sensor. A
joint that was not found stands at the origin.
"""

from pathlib import Path

import numpy as np

from pipeline.layouts import KINECT20, Layout
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, name_joints, read_arrays

SIDES = {"a": "left", "b": "right"}


@register("msr_action3d")
def read_msr_action3d(path: Path, layout: Layout = KINECT20) -> SkeletonSet:
    """Read the set in metres, x to the right and y down, without the sequences that nobody uses."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "train", "subject", "used557"), channels=4))
    x = np.asarray(arrays["x"], np.float32)[..., :3]
    arrays["x"] = x * np.array([-1, -1, 1], np.float32)
    whole = build_set(
        "msr_action3d",
        arrays,
        layout=layout,
        scores=(x != 0).any(axis=-1).astype(np.float32),
        fps=15.0,
        joints=name_joints([_with_side(str(joint)) for joint in arrays["joints"]]),
    )
    return whole.subset(np.asarray(arrays["used557"], bool))


def _with_side(joint: str) -> str:
    """Write "wrist_b" as "right_wrist"."""
    name, _, side = joint.rpartition("_")
    return f"{SIDES[side]}_{name}" if side in SIDES else joint
