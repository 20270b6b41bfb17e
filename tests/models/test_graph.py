"""Graphs against their definition, and against the graphs of other implementations."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.graph import GRAINS, PARTITIONS, adjacency, directed_adjacency, hops_to_centre, links, part_pooling
from pipeline.layouts import LAYOUTS, Layout

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@layouts
def test_the_subsets_add_up_to_the_normalised_graph(layout: Layout) -> None:
    A = links(layout)
    scale = np.diag(A.sum(axis=0) ** -0.5)
    np.testing.assert_allclose(adjacency(layout).sum(axis=0), scale @ A @ scale, atol=1e-6)


@layouts
def test_taking_the_mean_gives_every_joint_weights_that_sum_to_one(layout: Layout) -> None:
    np.testing.assert_allclose(adjacency(layout, "mean").sum(axis=(0, 1)), 1, atol=1e-6)


@layouts
def test_each_link_is_in_the_subset_of_its_direction(layout: Layout) -> None:
    A, hops = adjacency(layout), hops_to_centre(layout)
    for partition, v, w in zip(*np.nonzero(A), strict=True):
        farther = int(hops[v]) - int(hops[w])
        assert PARTITIONS[partition] == {0: "root", 1: "centripetal", -1: "centrifugal"}[farther]


def test_hops_count_the_bones_to_the_centre() -> None:
    coco17 = LAYOUTS["coco17"]
    hops = dict(zip(coco17.joints, hops_to_centre(coco17).tolist(), strict=True))
    assert (hops["nose"], hops["left_ear"], hops["right_wrist"], hops["left_ankle"]) == (0, 2, 3, 4)


def test_a_joint_without_bones_is_refused() -> None:
    with pytest.raises(ValueError, match="no bones lead from hand"):
        hops_to_centre(Layout("broken", ("head", "neck", "hand"), (("head", "neck"),), "neck"))


@layouts
@pytest.mark.parametrize("grain", GRAINS)
def test_every_joint_is_in_one_part_of_each_grain(layout: Layout, grain: str) -> None:
    pooling = part_pooling(layout, grain)
    np.testing.assert_allclose(pooling.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal((pooling > 0).sum(axis=0), 1)


def test_an_unknown_grain_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown grain 'finger': expected one of joint, fine, coarse"):
        part_pooling(LAYOUTS["coco17"], "finger")


@pytest.mark.parametrize(
    ("layout", "folder"), [("ntu25", "mmaction2_stgcn_ntu"), ("openpose18", "mmaction2_stgcn_openpose18")]
)
def test_the_graph_is_that_of_mmaction2_near_the_centre(layout: str, folder: str, shared: Path) -> None:
    theirs = torch.load(shared / "parity" / folder / "state_dict.pt", weights_only=True)["backbone.gcn.0.gcn.A"]
    root, inwards, outwards = adjacency(LAYOUTS[layout], "mean")
    # Theirs counts no further than one hop, and takes every link beyond for centripetal.
    beyond = outwards * (hops_to_centre(LAYOUTS[layout]) > 1)[:, None]
    expected = np.stack([root, inwards + beyond, outwards - beyond])
    np.testing.assert_allclose(theirs.float().numpy(), expected, atol=1e-3)  # stored in half precision


def test_the_graph_links_the_joints_that_pyskl_links(shared: Path) -> None:
    folder = shared / "parity" / "pyskl_ctrgcn_coco17"
    theirs = torch.load(folder / "state_dict.pt", weights_only=True)["backbone.A"].float().numpy()
    assert {frozenset(pair) for pair in np.argwhere(theirs.sum(axis=0)).tolist()} == {
        frozenset(pair) for pair in np.argwhere(adjacency(LAYOUTS["coco17"]).sum(axis=0)).tolist()
    }


@layouts
def test_in_the_directed_graph_a_joint_takes_from_itself_its_parent_and_its_children(layout: Layout) -> None:
    itself, parent, children = directed_adjacency(layout)
    np.testing.assert_array_equal(itself, np.eye(len(layout)))
    for w in range(len(layout)):
        above = {layout.parents[w]} - {w}
        below = {place for place, joint in enumerate(layout.parents) if joint == w} - {w}
        assert {int(v): float(parent[v, w]) for v in np.flatnonzero(parent[:, w])} == dict.fromkeys(above, 1.0)
        assert set(np.flatnonzero(children[:, w]).tolist()) == below
        np.testing.assert_allclose(children[:, w].sum(), min(len(below), 1), atol=1e-6)


def test_the_directed_graph_is_that_of_pyskl(shared: Path) -> None:
    folder = shared / "parity" / "pyskl_ctrgcn_coco17"
    theirs = torch.load(folder / "state_dict.pt", weights_only=True)["backbone.A"].float().numpy()
    np.testing.assert_allclose(directed_adjacency(LAYOUTS["coco17"]), theirs, atol=1e-3)  # stored in half precision
