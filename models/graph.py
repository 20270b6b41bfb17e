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
