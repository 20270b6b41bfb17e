"""Weights of PoseC3D's SlowOnly from MMAction2 and PYSKL (both Apache-2.0), which name them alike."""

from collections.abc import Mapping

from torch import Tensor

from training.importers.backbones import NORM, PYSKL_HEAD
from training.importers.keys import rename
from training.importers.registry import register_importer

BLOCK = r"backbone\.layer(\d)\.(\d+)"
LAYERS = {"conv1": "branch.reduce", "conv2": "branch.look", "conv3": "branch.restore", "downsample": "shortcut"}
RULES = (
    (r"backbone\.conv1\.conv\.weight", "backbone.stem.conv.weight"),
    (rf"backbone\.conv1\.bn\.{NORM}", r"backbone.stem.norm.\1"),
    *(
        (rf"{BLOCK}\.{theirs}\.conv\.weight", rf"backbone.stage\1.\2.{ours}.conv.weight")
        for theirs, ours in LAYERS.items()
    ),
    *((rf"{BLOCK}\.{theirs}\.bn\.{NORM}", rf"backbone.stage\1.\2.{ours}.norm.\3") for theirs, ours in LAYERS.items()),
    PYSKL_HEAD,
)


# They are trained on crops of 56 pixels and tested on whole pictures of 64.
TESTED_AT = {"size": 64}


@register_importer("mmaction2", "posec3d", variants=(TESTED_AT,))
@register_importer("pyskl", "posec3d", variants=(TESTED_AT,))
def from_openmmlab(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert ``ResNet3dSlowOnly`` with its ``I3DHead``; of limbs, build ours with the limbs in their order."""
    return rename(state, RULES)
