"""Weights of CTR-GCN from PYSKL (Apache-2.0)."""

import re
from collections.abc import Mapping

from torch import Tensor

from training.importers.backbones import AFFINE, NORM, PYSKL_HEAD, Rules, frame_rules, join_parts
from training.importers.keys import rename
from training.importers.registry import register_importer

UNIT = r"backbone\.net\.(\d+)"
SUBSET = rf"{UNIT}\.gcn1\.convs\.(\d+)"
BRANCH = rf"{UNIT}\.tcn1\.branches\.(\d+)"
RULES = (
    *frame_rules(UNIT, norm=r"backbone\.data_bn"),
    (r"backbone\.A", ""),  # only where all units' learned graphs began
    (rf"{UNIT}\.gcn1\.(A|alpha)", r"blocks.\1.spatial.topology.\2"),
    (rf"{SUBSET}\.conv1\.{AFFINE}", r"blocks.\1.spatial.topology.psi_phi.\3@0\2"),
    (rf"{SUBSET}\.conv2\.{AFFINE}", r"blocks.\1.spatial.topology.psi_phi.\3@1\2"),
    (rf"{SUBSET}\.conv3\.{AFFINE}", r"blocks.\1.spatial.transform.\3@\2"),
    (rf"{SUBSET}\.conv4\.{AFFINE}", r"blocks.\1.spatial.topology.xi.\3@\2"),
    (rf"{UNIT}\.gcn1\.bn\.{NORM}", r"blocks.\1.spatial.norm.\2"),
    (rf"{UNIT}\.gcn1\.down\.([01])\.{NORM}", r"blocks.\1.spatial.shortcut.\2.\3"),
    (rf"{BRANCH}\.3\.conv\.{AFFINE}", r"blocks.\1.temporal.0.windows.\2.\3"),
    (rf"{BRANCH}\.3\.bn\.{NORM}", r"blocks.\1.temporal.0.norm.\3@\2"),
    (rf"{BRANCH}\.4\.{NORM}", r"blocks.\1.temporal.0.norm.\3@\2"),
)


@register_importer("pyskl", "ctrgcn")
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert PYSKL's ``CTRGCN`` with its ``GCNHead``."""
    return join_parts(rename(state, (*RULES, *_first_layers(state), PYSKL_HEAD)))


def _first_layers(state: Mapping[str, Tensor]) -> Rules:
    """Return rules for the layers that begin the branches; in the last, which sees a frame alone, they are all."""
    branches = (re.match(BRANCH, key) for key in state)
    last = max((int(match[2]) for match in branches if match), default=0)
    alone = rf"{UNIT}\.tcn1\.branches\.{last}"
    return (
        (rf"{alone}\.0\.{AFFINE}", r"blocks.\1.temporal.0.alone.\2"),
        (rf"{alone}\.1\.{NORM}", rf"blocks.\1.temporal.0.norm.\2@{last}"),
        (rf"{BRANCH}\.([01])\.{NORM}", r"blocks.\1.temporal.0.enter.\3.\4@\2"),
    )
