"""Weights of MS-G3D from its authors' code (MIT) and PYSKL (Apache-2.0), which has the same network."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.graph import scale_adjacency
from models.msg3d import DILATIONS
from pipeline.errors import DataError
from pipeline.layouts import COCO17, NTU25, OPENPOSE18, Layout
from training.importers.backbones import AFFINE, NORM, PYSKL_HEAD, Rules, join_parts
from training.importers.keys import rename, shape_of
from training.importers.registry import register_importer

NUM_BLOCKS = 3
OURS = {len(layout): layout for layout in (COCO17, OPENPOSE18, NTU25)}
WINDOWED = len(DILATIONS)  # the number of the branch that takes the maximum; those before it are convolutions
ALONE = WINDOWED + 1
SIDES = ("left", "right")
# The authors hang the tip of the hand on the thumb, later code and ours on the hand.
AUTHORS_NTU25 = Layout(
    "ntu25/msg3d",
    NTU25.joints,
    (
        *(bone for bone in NTU25.bones if not bone[0].endswith("_handtip")),
        *((f"{side}_handtip", f"{side}_thumb") for side in SIDES),
    ),
    NTU25.centre,
)
AUTHORS = {**OURS, len(NTU25): AUTHORS_NTU25}


@register_importer("ms-g3d", "msg3d")
def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the authors' ``msg3d.Model``.

    A checkpoint holds only what was learned on top of the graph. That of 25 joints was another than ours: the
    difference is put into A_res, so that both together are what the network was trained with.
    """
    renamed = rename(state, (*_rules(), (rf"fc\.{AFFINE}", r"classify.\1")))
    num_joints = _num_joints(renamed)
    for key in _learned_graphs(renamed):
        A_res = _by_scale(renamed[key])
        renamed[key] = A_res + _graph(A_res, num_joints, AUTHORS) - _graph(A_res, num_joints, OURS)
    return join_parts(renamed)


@register_importer("pyskl", "msg3d")
def from_pyskl(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert PYSKL's ``MSG3D`` with its ``GCNHead``.

    It normalises graphs otherwise, and writes who gives in rows where we write who takes. Its checkpoints hold the
    graph too: what it and PA have over ours together becomes A_res.
    """
    renamed = rename(state, (*_rules(r"backbone\."), PYSKL_HEAD, (r"backbone\.A", "")))
    graphs = {key: renamed.pop(key) for key in list(renamed) if key.endswith(".A")}
    num_joints = _num_joints(renamed)
    for key in _learned_graphs(renamed):
        A = graphs.get(key.replace("A_res", "A"))
        if A is None or A.shape != renamed[key].shape:
            raise DataError(f"{key}: expected a graph A of the same shape as PA, {shape_of(renamed[key])}")
        whole = (A + renamed[key]).transpose(1, 2)
        renamed[key] = whole - _graph(whole, num_joints, OURS)
    return join_parts(renamed)


def _rules(prefix: str = "") -> Rules:
    """Return the rules for all but the head; every key begins with ``prefix``."""
    norm = (rf"{prefix}data_bn\.{NORM}", r"norm.norm.\1")
    return (norm, *(rule for number in range(NUM_BLOCKS) for rule in _block_rules(prefix, number)))


def _block_rules(prefix: str, number: int) -> Rules:
    """Return the rules for a block; theirs count from 1, and name its pathways apart."""
    theirs, ours = number + 1, f"blocks.{number}"
    window = rf"{prefix}gcn3d{theirs}\.gcn3d\.(\d+)"
    return (
        *_conv_rules(rf"{window}\.gcn3d\.1", rf"{ours}.unified.\1.gather", groups=1),
        (rf"{window}\.out_conv\.{AFFINE}", rf"{ours}.unified.\1.collapse.\2"),
        (rf"{window}\.out_bn\.{NORM}", rf"{ours}.unified.\1.norm.\2"),
        *_conv_rules(rf"{prefix}sgcn{theirs}\.0", f"{ours}.factorised.0", groups=0),
        *_temporal_rules(rf"{prefix}sgcn{theirs}\.1", f"{ours}.factorised.1"),
        *_temporal_rules(rf"{prefix}sgcn{theirs}\.2", f"{ours}.factorised.2"),
        *_temporal_rules(rf"{prefix}tcn{theirs}", f"{ours}.temporal"),
    )


def _conv_rules(theirs: str, ours: str, *, groups: int) -> Rules:
    """Return the rules for a graph convolution, whose prefix has so many groups of its own."""
    leaf = rf"\{groups + 1}"
    return (
        (rf"{theirs}\.(?:A_res|PA)", f"{ours}.A_res"),
        (rf"{theirs}\.A", f"{ours}.A"),
        (rf"{theirs}\.mlp\.layers\.0\.{AFFINE}", f"{ours}.project.{leaf}"),
        (rf"{theirs}\.mlp\.layers\.1\.{NORM}", f"{ours}.norm.{leaf}"),
    )


def _temporal_rules(theirs: str, ours: str) -> Rules:
    """Return the rules for the looks over time: our layers join those of their branches."""
    branch = rf"{theirs}\.branches"
    return (
        (rf"{branch}\.{ALONE}\.0\.{AFFINE}", rf"{ours}.looks.alone.\1"),
        (rf"{branch}\.{ALONE}\.1\.{NORM}", rf"{ours}.looks.norm.\1@{ALONE}"),
        (rf"{branch}\.{WINDOWED}\.4\.{NORM}", rf"{ours}.looks.norm.\1@{WINDOWED}"),
        (rf"{branch}\.(\d+)\.3\.bn\.{NORM}", rf"{ours}.looks.norm.\2@\1"),
        (rf"{branch}\.(\d+)\.3\.conv\.{AFFINE}", rf"{ours}.looks.windows.\1.\2"),
        (rf"{branch}\.(\d+)\.([01])\.{NORM}", rf"{ours}.looks.enter.\2.\3@\1"),
        (rf"{theirs}\.residual\.conv\.{AFFINE}", rf"{ours}.shortcut.0.\1"),
        (rf"{theirs}\.residual\.bn\.{NORM}", rf"{ours}.shortcut.1.\1"),
    )


def _learned_graphs(state: Mapping[str, Tensor]) -> list[str]:
    return [key for key in state if key.endswith("A_res")]


def _num_joints(state: Mapping[str, Tensor]) -> int:
    """Return the number of joints: that of the smallest graph, for the others are over windows."""
    return min((state[key].shape[-1] for key in _learned_graphs(state)), default=0)


def _by_scale(A_res: Tensor) -> Tensor:
    """Turn [K*W, W] into [K, W, W].

    Raises:
        DataError: it is no stack of square matrices.
    """
    if A_res.dim() != 2 or A_res.shape[0] % A_res.shape[1]:
        raise DataError(f"A_res: expected [K*W, W], a square for each scale, got {shape_of(A_res)}")
    return A_res.reshape(-1, A_res.shape[1], A_res.shape[1])


def _graph(like: Tensor, num_joints: int, layouts: Mapping[int, Layout]) -> Tensor:
    """Return the graph that a learned one [K, W, W] is on top of.

    Raises:
        DataError: no layout has so many joints.
    """
    if num_joints not in layouts:
        raise DataError(f"A_res: expected graphs of {', '.join(map(str, layouts))} joints, got {num_joints}")
    num_scales, size = like.shape[:2]
    return torch.from_numpy(scale_adjacency(layouts[num_joints], num_scales, window=size // num_joints))
