"""Penn Action: 2326 clips of 15 sports and exercises, 13 joints annotated by hand in 2D.

Zhang, Zhu, Derpanis, "From Actemes to Action", ICCV 2013. Research data set. Official split: 1258 train, 1068 test.

Two faults are mended here. Left and right are exchanged against COCO (in front views the "left" shoulder is on the
image's left). And a joint out of the picture stands at the image's corner: it counts as not seen, whereas one that is
hidden keeps the annotator's guess with a low score.
"""

from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.layouts import PENN13, Layout
from pipeline.values import I64
from training.datasets.registry import register
from training.datasets.skeleton_set import CORE_ARRAYS, SkeletonSet, build_set, name_joints, read_arrays

HIDDEN_SCORE = 0.4
CORNER_PX = 2.0
# Neighbouring clips were often cut from one video: hold out blocks, not single clips.
CLIPS_A_BLOCK = 10


@register("penn_action")
def read_penn_action(path: Path, layout: Layout = PENN13) -> SkeletonSet:
    """Read the set with sides as COCO has them, in px."""
    arrays = dict(read_arrays(path, (*CORE_ARRAYS, "train", "ids"), channels=3))
    x = np.asarray(arrays["x"], np.float32)
    visible = x[..., 2] > 0
    cornered = (x[..., :2] <= CORNER_PX).all(axis=-1)
    scores = np.where(visible, 1.0, HIDDEN_SCORE).astype(np.float32) * ~cornered
    arrays["x"] = x[..., :2]
    arrays["subject"] = _numbers(path, [str(identity) for identity in arrays["ids"]]) // CLIPS_A_BLOCK
    swap = {"left": "right", "right": "left"}
    names = name_joints([str(joint) for joint in arrays["joints"]])
    mended = tuple("_".join(swap.get(word, word) for word in name.split("_")) for name in names)
    return build_set("penn_action", arrays, layout=layout, scores=scores, fps=30.0, joints=mended)


def _numbers(path: Path, identities: list[str]) -> I64:
    odd = [identity for identity in identities if not identity.isdecimal()]
    if odd:
        raise DataError(f"{path}: expected clip numbers such as 0001 in ids, got {odd[0]!r}")
    return np.array([int(identity) for identity in identities], np.int64)
