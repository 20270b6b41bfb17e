"""Graphs of distances and of parts against their definition."""

from collections import deque
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from models.graph import GRAINS, part_layout, parts, scale_adjacency
from pipeline.layouts import LAYOUTS, Layout
from training.importers.msg3d import AUTHORS_NTU25

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def distances(layout: Layout, window: int) -> np.ndarray:
    """Walk from each joint of each frame: a step leads to a neighbour, or to itself, in any frame."""
    V = len(layout)
    bones = {*layout.bone_indices, *((parent, child) for child, parent in layout.bone_indices)}
    # Eq. (5): every frame of a window is joined to every other as it is to itself.
    near = [[j for j in range(window * V) if i % V == j % V or (i % V, j % V) in bones] for i in range(window * V)]
    far = np.full((window * V, window * V), -1)
    for start in range(window * V):
        far[start, start] = 0
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            for there in near[here]:
                if far[start, there] < 0:
                    far[start, there] = far[start, here] + 1
                    waiting.append(there)
    return far


@layouts
@pytest.mark.parametrize("window", [1, 3])
def test_each_scale_is_equation_3_normalised(layout: Layout, window: int) -> None:
    far = distances(layout, window)
    A = scale_adjacency(layout, 5, window=window)
    assert A.shape == (5, *far.shape)
    for k in range(5):
        A_k = ((far == k) | np.eye(len(far), dtype=bool)).astype(np.float64)  # Eq. (3)
        scale = np.diag(A_k.sum(axis=1) ** -0.5)
        np.testing.assert_allclose(A[k], scale @ A_k @ scale, atol=1e-6)


def test_the_scales_are_those_of_the_authors(shared: Path) -> None:
    theirs = torch.load(shared / "parity" / "msg3d_orig_ntu" / "adjacency.pt", weights_only=True)
    for name, graph in theirs.items():
        ours = scale_adjacency(AUTHORS_NTU25, len(graph), window=graph.shape[1] // 25)
        np.testing.assert_allclose(ours, graph.numpy(), atol=1e-6, err_msg=name)


@layouts
@pytest.mark.parametrize("grain", GRAINS)
def test_parts_hang_together_as_their_joints_do(layout: Layout, grain: str) -> None:
    skeleton, groups = part_layout(layout, grain), parts(layout, grain)
    bones = {frozenset(bone) for bone in layout.bone_indices}
    for (one, group), (other, another) in product(enumerate(groups), repeat=2):
        joined = one != other and any(frozenset(pair) in bones for pair in product(group, another))
        assert joined == ((one, other) in skeleton.bone_indices or (other, one) in skeleton.bone_indices)
    assert len(skeleton.bone_indices) == len(skeleton) - 1
    assert layout.index(layout.centre) in groups[skeleton.index(skeleton.centre)]


def test_a_skeleton_of_single_joints_is_the_skeleton() -> None:
    ntu25 = LAYOUTS["ntu25"]
    assert part_layout(ntu25, "joint").joints == ntu25.joints
    assert part_layout(ntu25, "joint").parents == ntu25.parents
