"""Weights of 2s-AGCN and AAGCN from the authors' code, MMAction2 and PYSKL (the latter two Apache-2.0).

MMAction2 and PYSKL have AAGCN only, and call it 2s-AGCN where it has no attention.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from models.graph import PARTITIONS, directed_adjacency
from pipeline.errors import DataError
from pipeline.layouts import NTU25, OPENPOSE18, Layout
from training.importers.backbones import (
    AFFINE,
    MMACTION2_HEAD,
    NORM,
    PYSKL_HEAD,
    Rules,
    frame_rules,
    join_parts,
    subsets_in_columns,
)
from training.importers.keys import rename
from training.importers.registry import register_importer


def _hung_from_thumb(bone: tuple[str, str]) -> tuple[str, str]:
    """Return a bone of NTU's hands as the authors have it."""
    child, parent = bone
    return (child, parent.replace("hand", "thumb")) if child.endswith("handtip") else bone


# Their fixed graph is not in their checkpoints. It is ours, but that fingertips hang from the thumbs.
THEIR_LAYOUTS: Mapping[int, Layout] = {
    len(NTU25): replace(NTU25, bones=tuple(map(_hung_from_thumb, NTU25.bones))),
    len(OPENPOSE18): OPENPOSE18,
}


def _unit_rules(unit: str, spatial: str, temporal: str) -> Rules:
    """Return rules for what both networks have in a unit."""
    return (
        (rf"{unit}\.{spatial}\.conv_a\.(\d)\.{AFFINE}", r"blocks.\1.spatial.0.C.theta_phi.\3@0\2"),
        (rf"{unit}\.{spatial}\.conv_b\.(\d)\.{AFFINE}", r"blocks.\1.spatial.0.C.theta_phi.\3@1\2"),
        (rf"{unit}\.{spatial}\.conv_d\.(\d)\.{AFFINE}", r"blocks.\1.spatial.0.project.\3@\2"),
        (rf"{unit}\.{spatial}\.bn\.{NORM}", r"blocks.\1.spatial.0.norm.\2"),
        (rf"{unit}\.{spatial}\.down\.([01])\.{NORM}", r"blocks.\1.spatial.0.shortcut.\2.\3"),
        (rf"{unit}\.{temporal}\.conv\.{AFFINE}", r"blocks.\1.temporal.0.\2"),
        (rf"{unit}\.{temporal}\.bn\.{NORM}", r"blocks.\1.temporal.1.\2"),
    )


AUTHORS_UNIT = r"l(\d+)"
AUTHORS = (
    *frame_rules(AUTHORS_UNIT, norm="data_bn"),
    *_unit_rules(AUTHORS_UNIT, "gcn1", "tcn1"),
    (rf"{AUTHORS_UNIT}\.gcn1\.PA", r"blocks.\1.spatial.0.B"),
    (rf"fc\.{AFFINE}", r"classify.\1"),
)
AAGCN = tuple({"graphs": ("learned", "sample"), "adapt": "tanh", "attention": attention} for attention in (True, False))
OPENMMLAB_UNIT = r"backbone\.gcn\.(\d+)"
OPENMMLAB = (
    *frame_rules(OPENMMLAB_UNIT, norm=r"backbone\.data_bn"),
    *_unit_rules(OPENMMLAB_UNIT, "gcn", "tcn"),
    (r"backbone\.A", ""),  # only where all units' learned graphs began
    (rf"{OPENMMLAB_UNIT}\.gcn\.A", r"blocks.\1.spatial.0.B"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.alpha", r"blocks.\1.spatial.0.C.alpha"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.conv_sa\.{AFFINE}", r"blocks.\1.spatial.1.joints.\2"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.conv_ta\.{AFFINE}", r"blocks.\1.spatial.1.frames.\2"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.fc1c\.{AFFINE}", r"blocks.\1.spatial.1.squeeze.\2"),
    (rf"{OPENMMLAB_UNIT}\.gcn\.fc2c\.{AFFINE}", r"blocks.\1.spatial.1.excite.\2"),
)


@register_importer("2s-agcn", "agcn")
def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the authors' ``agcn.Model`` of NTU RGB+D or Kinetics-Skeleton, and add the graph that it was made with.

    Raises:
        DataError: also for a number of joints that neither has.
    """
    counted_from_0 = {
        re.sub(r"l(\d+)", lambda unit: f"l{int(unit[1]) - 1}", key): value for key, value in state.items()
    }
    converted = _ours(rename(counted_from_0, AUTHORS))
    for key in [key for key in converted if key.endswith("spatial.0.B")]:
        converted[f"{key[:-1]}A"] = _given_graph(converted[key].shape[-1])
    return converted


@register_importer("mmaction2", "agcn", variants=AAGCN)
def from_mmaction2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert MMAction2's ``AAGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*OPENMMLAB, MMACTION2_HEAD)))


@register_importer("pyskl", "agcn", variants=AAGCN)
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert PYSKL's ``AAGCN`` with its ``GCNHead``."""
    return _ours(rename(state, (*OPENMMLAB, PYSKL_HEAD)))


def _ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join the subsets: their weights lie side by side, their biases are one."""
    converted: dict[str, Tensor] = {}
    for key, value in join_parts(state).items():
        if key.endswith("spatial.0.project.weight"):
            converted[key] = subsets_in_columns(value)
        elif key.endswith("spatial.0.project.bias") and len(value) % len(PARTITIONS) == 0:
            converted[key] = value.reshape(len(PARTITIONS), -1).sum(dim=0)
        else:
            converted[key] = value
    return converted


def _given_graph(num_joints: int) -> Tensor:
    if num_joints not in THEIR_LAYOUTS:
        raise DataError(
            f"the checkpoint has {num_joints} joints, and lacks its graph: expected one of "
            f"{', '.join(map(str, THEIR_LAYOUTS))} joints, whose graphs are known"
        )
    return torch.from_numpy(directed_adjacency(THEIR_LAYOUTS[num_joints]))
