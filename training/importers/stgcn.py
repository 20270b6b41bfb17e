"""Weights of ST-GCN from MMAction2, PYSKL (both Apache-2.0) and the authors' code (BSD-2): one network, three names."""

import re
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

OPENMMLAB_UNIT = r"backbone\.gcn\.(\d+)"
OPENMMLAB = (
    *frame_rules(OPENMMLAB_UNIT, norm=r"backbone\.data_bn"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.A", r"blocks.\1.spatial.0.A"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.PA", r"blocks.\1.spatial.0.M"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.conv\.{AFFINE}", r"blocks.\1.spatial.0.conv.\2"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.bn\.{NORM}", r"blocks.\1.spatial.0.norm.\2"),
    (rf"{OPENMMLAB_UNIT}\.tcn\.conv\.{AFFINE}", r"blocks.\1.temporal.0.\2"),
    (rf"{OPENMMLAB_UNIT}\.tcn\.bn\.{NORM}", r"blocks.\1.temporal.1.\2"),
)
AUTHORS_UNIT = r"st_gcn_networks\.(\d+)"
AUTHORS = (
    (rf"data_bn\.{NORM}", r"norm.norm.\1"),
    (r"edge_importance\.(\d+)", r"blocks.\1.spatial.0.M"),
    (rf"{AUTHORS_UNIT}\.gcn\.conv\.{AFFINE}", r"blocks.\1.spatial.0.conv.\2"),
    (rf"{AUTHORS_UNIT}\.tcn\.0\.{NORM}", r"blocks.\1.spatial.0.norm.\2"),
    (rf"{AUTHORS_UNIT}\.tcn\.2\.{AFFINE}", r"blocks.\1.temporal.0.\2"),
    (rf"{AUTHORS_UNIT}\.tcn\.3\.{NORM}", r"blocks.\1.temporal.1.\2"),
    (rf"{AUTHORS_UNIT}\.residual\.0\.{AFFINE}", r"blocks.\1.around.0.\2"),
    (rf"{AUTHORS_UNIT}\.residual\.1\.{NORM}", r"blocks.\1.around.1.\2"),
    (rf"fcn\.{AFFINE}", r"classify.\1"),
    (r"A", "A"),
)


@register_importer("mmaction2", "stgcn")
def from_mmaction2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert MMAction2's ``STGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*OPENMMLAB, MMACTION2_HEAD)))


@register_importer("pyskl", "stgcn")
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert PYSKL's ``STGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*OPENMMLAB, PYSKL_HEAD)))


@register_importer("st-gcn", "stgcn")
def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the authors' ``st_gcn.Model``: its units share one graph, and its classifier is a 1x1 convolution."""
    converted = _ours(rename(state, AUTHORS))
    graph = converted.pop("backbones.0.A", None)
    units = [key for key in converted if re.fullmatch(r"backbones\.0\.blocks\.\d+\.spatial\.0\.bias", key)]
    graphs = {} if graph is None else {key.replace("bias", "A"): graph for key in units}
    return {**converted, **graphs}


def _ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Let spatial convolutions gather before they mix."""
    converted: dict[str, Tensor] = {}
    for key, value in join_parts(state).items():
        if key.endswith("spatial.0.conv.weight"):
            converted[key.replace("conv.weight", "project.weight")] = subsets_in_columns(value)
        elif key.endswith("spatial.0.conv.bias") and len(value) % len(PARTITIONS) == 0:
            converted[key.replace("conv.bias", "bias")] = value.reshape(len(PARTITIONS), -1)
        elif key.endswith("classify.weight"):
            converted[key] = value.flatten(1)
        else:
            converted[key] = value
    return converted
