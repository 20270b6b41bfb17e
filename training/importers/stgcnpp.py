"""Weights of ST-GCN++ from MMAction2 and PYSKL (both Apache-2.0), where it is ``STGCN`` with ``tcn_type="mstcn"``."""

from collections.abc import Mapping

from torch import Tensor

from models.graph import PARTITIONS
from training.importers.backbones import (
    AFFINE,
    MMACTION2_HEAD,
    NORM,
    PYSKL_HEAD,
    frame_rules,
    join_parts,
    subsets_in_columns,
)
from training.importers.keys import rename
from training.importers.registry import register_importer

UNIT = r"backbone\.gcn\.(\d+)"
BRANCH = rf"{UNIT}\.tcn\.branches\.(\d+)"
RULES = (
    *frame_rules(UNIT, norm=r"backbone\.data_bn"),
    (rf"{UNIT}\.gcn\.A", r"blocks.\1.spatial.A"),
    (rf"{UNIT}\.gcn\.conv\.{AFFINE}", r"blocks.\1.spatial.conv.\2"),
    (rf"{UNIT}\.gcn\.bn\.{NORM}", r"blocks.\1.spatial.norm.\2"),
    (rf"{UNIT}\.gcn\.down\.([01])\.{NORM}", r"blocks.\1.spatial.shortcut.\2.\3"),
    (rf"{BRANCH}\.([01])\.{NORM}", r"blocks.\1.temporal.0.enter.\3.\4@\2"),
    (rf"{BRANCH}\.3\.conv\.{AFFINE}", r"blocks.\1.temporal.0.windows.\2.\3"),
    (rf"{BRANCH}\.{AFFINE}", r"blocks.\1.temporal.0.alone.\3"),
    (rf"{UNIT}\.tcn\.transform\.0\.{NORM}", r"blocks.\1.temporal.0.norm.\2"),
    (rf"{UNIT}\.tcn\.transform\.2\.{AFFINE}", r"blocks.\1.temporal.2.\2"),
    (rf"{UNIT}\.tcn\.bn\.{NORM}", r"blocks.\1.temporal.3.\2"),
)


@register_importer("mmaction2", "stgcnpp")
def from_mmaction2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert MMAction2's ``STGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*RULES, MMACTION2_HEAD)))


# PYSKL's network for gestures has six blocks, the last of which is twice as wide and looks at every second frame.
SIX_BLOCKS = {"widths": (1, 1, 1, 1, 1, 2), "strides": (1, 1, 1, 1, 1, 2)}


@register_importer("pyskl", "stgcnpp", variants=({}, SIX_BLOCKS))
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert PYSKL's ``STGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*RULES, PYSKL_HEAD)))


def _ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join the branches, and let spatial convolutions gather before they mix."""
    converted: dict[str, Tensor] = {}
    for key, value in join_parts(state).items():
        if key.endswith("spatial.conv.weight"):
            converted[key.replace("conv.weight", "project.weight")] = subsets_in_columns(value)
        elif key.endswith("spatial.conv.bias"):
            converted[key.replace("conv.bias", "bias")] = value.reshape(len(PARTITIONS), -1)
        else:
            converted[key] = value
    return converted
