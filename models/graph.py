"""Skeleton graphs as matrices: who takes from whom in a graph convolution, and how joints make up body parts.

Partition and normalisation as in ST-GCN (Yan et al., AAAI 2018, section 3.3), parts as in STF-Net (Wu et al., fig. 3).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from pipeline.layouts import Layout

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

PARTITIONS = ("root", "centripetal", "centrifugal")
GRAINS = ("joint", "fine", "coarse")
Normalisation = Literal["symmetric", "mean"]


def links(layout: Layout) -> Float32[F32, "V V"]:
    """Return 1 where two joints share a bone and on the diagonal, 0 elsewhere."""
    A = np.eye(len(layout), dtype=np.float32)
    for child, parent in layout.bone_indices:
        A[child, parent] = A[parent, child] = 1
    return A


def hops_to_centre(layout: Layout) -> Int64[I64, " V"]:
    """Count the bones between each joint and the centre.

    Raises:
        ValueError: a joint does not hang together with the centre.
    """
    hops = np.full(len(layout), -1, np.int64)
    hops[layout.index(layout.centre)] = 0
    A = links(layout) > 0
    for hop in range(1, len(layout)):
        neighbours = A[hops == hop - 1].any(axis=0)
        hops[neighbours & (hops < 0)] = hop
    if (hops < 0).any():
        loose = [joint for joint, hop in zip(layout.joints, hops, strict=True) if hop < 0]
        raise ValueError(f"layout {layout.name!r}: no bones lead from {', '.join(loose)} to {layout.centre!r}")
    return hops


def adjacency(layout: Layout, normalisation: Normalisation = "symmetric") -> Float32[F32, "P V V"]:
    """Return how much joint w takes from joint v, ``A[p, v, w]``, in three subsets of the neighbours.

    Root: v is as far from the centre as w (itself, mostly); centripetal: v is farther out, so that what moves goes
    inwards; centrifugal: v is nearer to the centre. The subsets add up to the normalised graph: "symmetric" is
    D^-1/2 (A + I) D^-1/2, "mean" is (A + I) D^-1, as in ST-GCN's own code.

    The whole graph is normalised before it is parted (as that code does), so that no degree is 0 and ST-GCN's guard
    alpha = 0.001 is not needed; normalising each subset by its own degrees would weigh a link to a joint without outer
    neighbours 31 times. That code counts hops up to 1 only, and so takes all links farther out for centripetal; here
    they are as the paper has it.
    """
    degree = links(layout).sum(axis=0)
    scale = np.sqrt(np.outer(degree, degree)) if normalisation == "symmetric" else degree
    A = links(layout) / scale
    hops = hops_to_centre(layout)
    outwards = hops[:, None] - hops[None, :]
    subsets = [A * (outwards == 0), A * (outwards > 0), A * (outwards < 0)]
    return np.stack(subsets).astype(np.float32)


def parts(layout: Layout, grain: str) -> tuple[tuple[int, ...], ...]:
    """Return the joint indices of each part: single joints, fine parts or coarse parts.

    Raises:
        ValueError: the grain is not one of ``GRAINS``.
    """
    grains: dict[str, Sequence[tuple[int, ...]]] = {
        "joint": [(place,) for place in range(len(layout))],
        "fine": layout.fine_parts,
        "coarse": layout.coarse_parts,
    }
    if grain not in grains:
        raise ValueError(f"unknown grain {grain!r}: expected one of {', '.join(GRAINS)}")
    return tuple(grains[grain])


def part_pooling(layout: Layout, grain: str) -> Float32[F32, "parts V"]:
    """Return the matrix that averages joints over each part: a row a part, each row sums to 1."""
    groups = parts(layout, grain)
    pooling = np.zeros((len(groups), len(layout)), np.float32)
    for row, group in enumerate(groups):
        pooling[row, group] = 1 / len(group)
    return pooling


def directed_adjacency(layout: Layout) -> Float32[F32, "P V V"]:
    """Return how much joint w takes from joint v, ``A[p, v, w]``: from itself, from its parent, from its children.

    Children count by their mean, so that all columns sum to 1 or, where there are none, to 0. It is the graph of the
    code of 2s-AGCN and CTR-GCN, and "spatial" in MMAction2 and PYSKL.
    """
    A = np.zeros((3, len(layout), len(layout)), np.float32)
    A[0] = np.eye(len(layout))
    for child, parent in layout.bone_indices:
        A[1, parent, child] = A[2, child, parent] = 1
    normalised: F32 = A / np.maximum(A.sum(axis=1, keepdims=True), 1)
    return normalised


def scale_adjacency(layout: Layout, num_scales: int, *, window: int = 1) -> Float32[F32, "K W W"]:
    """Return who takes from whom at each distance, the disentangled scales of MS-G3D (Liu et al., eqs. (3) and (5)).

    Scale k has a 1 where two joints are k bones apart, and on the diagonal; each is normalised by its own degrees,
    D^-1/2 A D^-1/2. With a ``window`` of frames, W = window * V: a joint in any of the frames is one step away from its
    neighbours, and from itself, in all of them.
    """
    step = np.tile(links(layout), (window, window))
    hops = np.where(np.eye(len(step)) > 0, 0, len(step))
    within = np.eye(len(step), dtype=np.float32)
    for hop in range(1, num_scales):
        within = np.minimum(within @ step, 1)
        hops[(within > 0) & (hops > hop)] = hop
    A = np.stack([(hops == hop) | np.eye(len(step), dtype=bool) for hop in range(num_scales)]).astype(np.float32)
    scale = A.sum(axis=2) ** -0.5
    normalised: F32 = scale[:, :, None] * A * scale[:, None, :]
    return normalised


def part_layout(layout: Layout, grain: str) -> Layout:
    """Return the skeleton whose joints are the parts of a grain, in the order of ``parts``.

    Two parts share a bone where a bone of the layout leads from one to the other; each is named after its joints.
    """
    groups = parts(layout, grain)
    part_of = {joint: number for number, group in enumerate(groups) for joint in group}
    names = tuple("+".join(layout.joints[joint] for joint in group) for group in groups)
    pairs = [(part_of[child], part_of[parent]) for child, parent in layout.bone_indices]
    bones = tuple((names[child], names[parent]) for child, parent in pairs if child != parent)
    return Layout(f"{layout.name}/{grain}", names, bones, names[part_of[layout.index(layout.centre)]])
