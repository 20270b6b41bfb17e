"""Each layout is one tree of joints with two sides, and joints map from layout to layout by name."""

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from factories import BODIES, COCO17, make_figure
from hypothesis import given
from hypothesis import strategies as st

from pipeline.layouts import (
    COARSE_PARTS,
    FINE_PARTS,
    FINGERS,
    HAND21,
    LAYOUTS,
    SUBSTITUTES,
    TRUNK,
    Layout,
    layout_named,
    map_joints,
)
from pipeline.values import F32

PENN13 = LAYOUTS["penn13"]
FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
NUM_JOINTS = {"coco17": 17, "penn13": 13, "openpose18": 18, "kinect20": 20, "ntu25": 25, "hand21": 21}

every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
every_body = pytest.mark.parametrize("layout", BODIES.values(), ids=BODIES)
every_pair = pytest.mark.parametrize(
    ("source", "target"), list(permutations(LAYOUTS.values(), 2)), ids=lambda layout: layout.name
)
every_pair_of_bodies = pytest.mark.parametrize(
    ("source", "target"), list(permutations(BODIES.values(), 2)), ids=lambda layout: layout.name
)


def map_named(layout: Layout, target: Layout, seen: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Map somebody of whom only these joints are seen; return what is seen then."""
    keypoints = np.full((len(layout), 2), np.nan, np.float32)
    scores = np.zeros(len(layout), np.float32)
    for joint, point in seen.items():
        keypoints[layout.index(joint)], scores[layout.index(joint)] = point, 1.0
    mapped, mapped_scores = map_joints(keypoints, scores, layout.joints, target)
    return {
        joint: (float(mapped[place, 0]), float(mapped[place, 1]))
        for place, joint in enumerate(target.joints)
        if mapped_scores[place] > 0
    }


@every_layout
def test_a_layout_has_as_many_joints_as_its_source_says(layout: Layout) -> None:
    assert len(layout) == len(set(layout.joints)) == NUM_JOINTS[layout.name]


@every_layout
def test_every_joint_but_the_centre_has_one_parent(layout: Layout) -> None:
    children = Counter(child for child, _ in layout.bones)
    assert children == Counter(set(layout.joints) - {layout.centre})
    assert layout.parents[layout.index(layout.centre)] == layout.index(layout.centre)


@every_layout
def test_every_chain_of_parents_ends_at_the_centre(layout: Layout) -> None:
    for place in range(len(layout)):
        chain = [place]
        while layout.parents[chain[-1]] != chain[-1]:
            chain.append(layout.parents[chain[-1]])
            assert len(chain) <= len(layout), f"{layout.joints[place]} is in a circle"
        assert layout.joints[chain[-1]] == layout.centre


@every_layout
def test_bones_by_name_and_by_index_are_the_same(layout: Layout) -> None:
    assert tuple((layout.joints[child], layout.joints[parent]) for child, parent in layout.bone_indices) == layout.bones


@every_layout
def test_mirrored_twice_is_itself(layout: Layout) -> None:
    mirrored = np.array(layout.mirrored)
    assert mirrored[mirrored].tolist() == list(range(len(layout)))


@every_layout
def test_a_mirror_swaps_sides_and_leaves_the_middle(layout: Layout) -> None:
    for joint, place in zip(layout.joints, layout.mirrored, strict=True):
        side, _, rest = joint.partition("_")
        other = {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, joint)
        assert layout.joints[place] == other


@every_layout
def test_the_mirror_of_a_bone_is_a_bone(layout: Layout) -> None:
    mirror = layout.mirrored
    assert {(mirror[child], mirror[parent]) for child, parent in layout.bone_indices} == set(layout.bone_indices)


@every_layout
@pytest.mark.parametrize("grain", ["fine_parts", "coarse_parts"])
def test_parts_share_out_the_joints(layout: Layout, grain: str) -> None:
    parts = getattr(layout, grain)
    assert sorted(joint for part in parts for joint in part) == list(range(len(layout)))
    assert all(parts)


@every_body
def test_a_body_has_five_coarse_parts_and_a_trunk(layout: Layout) -> None:
    assert len(layout.coarse_parts) == 5
    assert tuple(layout.joints[joint] for joint in layout.trunk) == TRUNK


def test_a_hand_has_a_palm_and_five_fingers_and_is_its_own_mirror() -> None:
    assert HAND21.coarse_parts == ((0,), *(tuple(range(first, first + 4)) for first in (1, 5, 9, 13, 17)))
    assert len(HAND21.fine_parts) == 1 + 2 * len(FINGERS)
    assert HAND21.mirrored == tuple(range(21))
    assert HAND21.trunk == ()


def test_a_hands_joints_are_in_the_order_of_mediapipe_with_the_bones_of_pyskl() -> None:
    assert HAND21.joints[:6] == ("wrist", "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip", "index_mcp")
    assert HAND21.parents == (0, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)


@every_body
def test_nothing_of_a_body_is_a_hand(layout: Layout) -> None:
    for source, target in ((HAND21, layout), (layout, HAND21)):
        seen = np.ones((2, len(source)), np.float32)
        mapped, scores = map_joints(np.ones((2, len(source), 2), np.float32), seen, source.joints, target)
        assert not mapped.any()
        assert not scores.any()


@every_layout
def test_a_fine_part_lies_in_one_coarse_part(layout: Layout) -> None:
    for part in layout.fine_parts:
        assert sum(set(part) <= set(coarse) for coarse in layout.coarse_parts) == 1


def test_every_name_in_a_table_is_a_joint_of_some_layout() -> None:
    known = {joint for layout in LAYOUTS.values() for joint in layout.joints}
    substitutes = {name for rules in SUBSTITUTES.values() for _, names in rules for name in names}
    parts = {joint for table in (FINE_PARTS, COARSE_PARTS) for part in table.values() for joint in part}
    assert {*SUBSTITUTES, *substitutes, *parts} <= known


def test_a_layout_is_found_by_name() -> None:
    assert all(layout_named(name) is layout for name, layout in LAYOUTS.items())


def test_an_unknown_layout_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown layout 'coco18': expected one of coco17, penn13"):
        layout_named("coco18")


@every_pair_of_bodies
def test_whoever_is_seen_whole_is_whole_in_any_layout(source: Layout, target: Layout) -> None:
    person = np.arange(len(source) * 2, dtype=np.float32).reshape(-1, 2) + 1
    mapped, scores = map_joints(person, np.full(len(source), 0.8, np.float32), source.joints, target)
    assert scores == pytest.approx(np.full(len(target), 0.8))
    assert np.isfinite(mapped).all()
    shared = [joint for joint in target.joints if joint in source.joints]
    assert all((mapped[target.index(joint)] == person[source.index(joint)]).all() for joint in shared)


@every_pair
def test_nobody_seen_is_zero_in_any_layout(source: Layout, target: Layout) -> None:
    anywhere = np.full((4, 2, len(source), 3), np.nan, np.float32)
    mapped, scores = map_joints(anywhere, np.zeros((4, 2, len(source)), np.float32), source.joints, target)
    assert mapped.shape == (4, 2, len(target), 3)
    assert not mapped.any()
    assert not scores.any()


@pytest.mark.parametrize("shape", [(0, 17, 2), (0, 1, 17, 2), (5, 0, 17, 2)], ids=str)
def test_no_frames_and_no_people_map_to_none(shape: tuple[int, ...]) -> None:
    mapped, scores = map_joints(np.zeros(shape, np.float32), np.zeros(shape[:-1], np.float32), COCO17.joints, PENN13)
    assert mapped.shape == (*shape[:-2], 13, 2)
    assert scores.shape == (*shape[:-2], 13)


@pytest.mark.parametrize("seen", [points for count in (1, 2, 5) for points in combinations(FACE, count)], ids="+".join)
def test_the_head_is_the_mean_of_the_face_that_is_seen(seen: tuple[str, ...]) -> None:
    points = {joint: (10.0 * place, 5.0 + place) for place, joint in enumerate(FACE) if joint in seen}
    mapped = map_named(COCO17, PENN13, points)
    assert mapped == {"head": pytest.approx(np.mean(list(points.values()), axis=0))}


def test_the_head_is_as_sure_as_the_face_that_is_seen() -> None:
    scores = np.zeros(17, np.float32)
    scores[:2] = 0.4, 0.8
    _, mapped = map_joints(make_figure(), scores, COCO17.joints, PENN13)
    assert mapped[0] == pytest.approx(0.6)


@pytest.mark.parametrize("seen", [(), ("left",), ("right",), ("left", "right")], ids="+".join)
def test_the_neck_needs_both_shoulders(seen: tuple[str, ...]) -> None:
    shoulders = {"left_shoulder": (10.0, 4.0), "right_shoulder": (20.0, 8.0)}
    mapped = map_named(
        COCO17, LAYOUTS["openpose18"], {f"{side}_shoulder": shoulders[f"{side}_shoulder"] for side in seen}
    )
    assert mapped.get("neck") == ((15.0, 6.0) if len(seen) == 2 else None)


def test_face_points_stand_where_the_head_is_if_that_is_all_there_is() -> None:
    assert map_named(PENN13, COCO17, {"head": (7.0, 9.0)}) == dict.fromkeys(FACE, (7.0, 9.0))


@pytest.mark.parametrize(
    ("joint", "becomes"),
    [
        ("left_wrist", {"left_wrist", "left_hand", "left_handtip", "left_thumb"}),
        ("right_ankle", {"right_ankle", "right_foot"}),
        ("left_knee", {"left_knee"}),
    ],
)
def test_what_lies_beyond_a_joint_stands_where_the_joint_is(joint: str, becomes: set[str]) -> None:
    assert map_named(COCO17, LAYOUTS["ntu25"], {joint: (3.0, 4.0)}) == dict.fromkeys(becomes, (3.0, 4.0))


def test_a_data_set_may_name_joints_that_no_layout_has() -> None:
    points = np.array([[1, 2], [3, 4]], np.float32)
    mapped, scores = map_joints(points, np.ones(2, np.float32), ("tail", "left_knee"), PENN13)
    assert mapped[PENN13.index("left_knee")].tolist() == [3.0, 4.0]
    assert scores.sum() == 1.0


@given(st.integers(0, 2**32 - 1))
def test_there_and_back_the_limbs_are_what_they_were(seed: int) -> None:
    rng = np.random.default_rng(seed)
    person: F32 = rng.normal(0, 100, (17, 2)).astype(np.float32)
    scores: F32 = rng.integers(0, 2, 17).astype(np.float32)
    penn, penn_scores = map_joints(person, scores, COCO17.joints, PENN13)
    back, back_scores = map_joints(penn, penn_scores, PENN13.joints, COCO17)
    limbs = [place for place, joint in enumerate(COCO17.joints) if joint in PENN13.joints]
    assert back_scores[limbs].tolist() == scores[limbs].tolist()
    assert back[limbs].tolist() == np.where(scores[limbs, None] > 0, person[limbs], 0).tolist()


@given(st.integers(0, 2**32 - 1))
def test_mapping_a_mirrored_person_is_mirroring_the_mapped_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    person: F32 = rng.normal(0, 100, (17, 2)).astype(np.float32)
    scores: F32 = rng.integers(0, 2, 17).astype(np.float32)
    mirror = list(COCO17.mirrored)
    kinect = LAYOUTS["kinect20"]
    mapped, mapped_scores = map_joints(person, scores, COCO17.joints, kinect)
    of_mirrored, scores_of_mirrored = map_joints(person[mirror], scores[mirror], COCO17.joints, kinect)
    assert of_mirrored == pytest.approx(mapped[list(kinect.mirrored)], abs=1e-3)
    assert scores_of_mirrored == pytest.approx(mapped_scores[list(kinect.mirrored)])
