"""Weights of X3D from PYSKL (Apache-2.0)."""

from collections.abc import Mapping

from torch import Tensor

from training.importers.backbones import NORM, PYSKL_HEAD
from training.importers.keys import rename
from training.importers.posec3d import TESTED_AT
from training.importers.registry import register_importer

BLOCK = r"backbone\.layer(\d)\.(\d+)"
LAYERS = {"conv1": "branch.widen", "conv2": "branch.look", "conv3": "branch.restore", "downsample": "shortcut"}
RULES = (
    (r"backbone\.conv1_s\.conv\.weight", "backbone.stem.weight"),
    (r"backbone\.conv1_t\.conv\.weight", "backbone.follow.conv.weight"),
    (rf"backbone\.conv1_t\.bn\.{NORM}", r"backbone.follow.norm.\1"),
    *(
        (rf"{BLOCK}\.{theirs}\.conv\.weight", rf"backbone.stage\1.\2.{ours}.conv.weight")
        for theirs, ours in LAYERS.items()
    ),
    *((rf"{BLOCK}\.{theirs}\.bn\.{NORM}", rf"backbone.stage\1.\2.{ours}.norm.\3") for theirs, ours in LAYERS.items()),
    (r"backbone\.conv5\.conv\.weight", "backbone.widen.conv.weight"),
    (rf"backbone\.conv5\.bn\.{NORM}", r"backbone.widen.norm.\1"),
    PYSKL_HEAD,
)


@register_importer("pyskl", "x3d", variants=(TESTED_AT,))
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert ``X3D`` without squeeze and excitation, with its ``I3DHead``."""
    return rename(state, RULES)
