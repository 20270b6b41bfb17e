"""Coordinates are counted from where other codes count them, number by number, or differ for a reason."""

from pathlib import Path

import numpy as np
import pytest
from factories import make_figure
from numpy.typing import NDArray

from pipeline.errors import UnfitClip
from pipeline.layouts import COCO17, HAND21, KINECT20, NTU25, OPENPOSE18, PENN13, Layout
from pipeline.normalisation import (
    NORMALISATIONS,
    body_axes,
    check_normalisation,
    extent_halves,
    frame_halves,
    normalise,
    rotation_onto,
    torso_lengths,
)
from pipeline.values import B1, F32

SIZE_WH = (1920, 1080)
# Least score of a joint that PYSKL takes for seen.
THEIR_SCORE = 0.01


def all_known(coordinates: F32) -> B1:
    return np.ones(coordinates.shape[:-1], np.bool_)


def people(seed: int = 0, *, num_axes: int = 3, layout: Layout = NTU25) -> F32:
    """Two people of random joints over 6 frames."""
    return np.random.default_rng(seed).normal(1.0, 0.5, (6, 2, len(layout), num_axes)).astype(np.float32)


# Against loops and by hand.


def test_a_frame_reaches_from_minus_one_to_one() -> None:
    corners = np.array([[0, 0], [1920, 1080], [960, 540]], np.float32)
    assert frame_halves(corners, SIZE_WH).tolist() == [[-1, -1], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("name", "expected"), [("frame", (1.0, -0.5)), ("half_frame", (0.5, -0.25)), ("upright_frame", (0.5, 0.25))]
)
def test_frames_differ_in_length_and_in_what_is_up(name: str, expected: tuple[float, float]) -> None:
    point = np.full((1, 1, 17, 2), [1920, 270], np.float32)
    placed = normalise(point, all_known(point), name, layout=COCO17, size_wh=SIZE_WH)
    assert placed[0, 0, 0].tolist() == list(expected)


def test_an_extent_is_that_of_all_known_joints_of_everybody() -> None:
    figure = people(num_axes=2) * 100
    known = all_known(figure)
    known[2, 1, 3] = False
    figure[2, 1, 3] = 1e6
    stretched = extent_halves(figure, known, NTU25)
    assert stretched[known].min(axis=0) == pytest.approx([-1, -1])
    assert stretched[known].max(axis=0) == pytest.approx([1, 1])


def test_a_hand_of_a_few_px_is_stretched_like_any_other() -> None:
    # PYSKL leaves it as it is, in px: its network was trained on hands of more than 10 px.
    hand = people(num_axes=2, layout=HAND21)
    np.testing.assert_allclose(
        extent_halves(hand, all_known(hand), HAND21), extent_halves(hand * 100, all_known(hand), HAND21), atol=1e-5
    )


def test_a_point_has_an_extent_of_nothing_and_stays_finite() -> None:
    figure = np.full((4, 1, 21, 2), 7, np.float32)
    assert not extent_halves(figure, all_known(figure), HAND21).any()


@pytest.mark.parametrize("layout", [NTU25, KINECT20], ids=lambda layout: layout.name)
def test_an_aligned_body_stands_along_z_with_its_shoulders_along_x(layout: Layout) -> None:
    figure = people(layout=layout)
    turned = body_axes(figure, all_known(figure), layout)[0, 0]
    pelvis, spine, right, left = (
        turned[layout.index(joint)] for joint in ("pelvis", "spine", "right_shoulder", "left_shoulder")
    )
    assert spine == pytest.approx([0, 0, 0], abs=1e-6)
    across = right - left
    assert across[1:] == pytest.approx([0, 0], abs=1e-5)
    assert across[0] > 0
    # The second turn is about an axis of its own, and may tilt the spine again: so do MMAction2 and PYSKL.
    assert np.linalg.norm(spine - pelvis) == pytest.approx(
        np.linalg.norm(figure[0, 0, layout.index("spine")] - figure[0, 0, layout.index("pelvis")]), rel=1e-5
    )


@pytest.mark.parametrize(("name", "follow"), [("body", False), ("moving_body", True)])
def test_a_body_is_aligned_from_where_the_camera_sees_it(name: str, *, follow: bool) -> None:
    figure, from_camera = people(), np.array([-1, -1, 1], np.float32)
    turned = normalise(figure, all_known(figure), name, layout=NTU25, size_wh=None)
    assert np.array_equal(turned, body_axes(figure * from_camera, all_known(figure), NTU25, follow=follow))


def test_an_aligned_body_with_level_shoulders_is_the_same_from_every_side() -> None:
    figure = people()
    for joint, place in {"pelvis": (0, -1, 0), "spine": (0, 0, 0), "right_shoulder": (1, 1, 0)}.items():
        figure[0, 0, NTU25.index(joint)] = place
    figure[0, 0, NTU25.index("left_shoulder")] = -1, 1, 0
    about_y = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]], np.float32)
    expected = body_axes(figure, all_known(figure), NTU25)
    np.testing.assert_allclose(body_axes(figure @ about_y + 2, all_known(figure), NTU25), expected, atol=1e-5)


def test_whoever_is_there_longer_is_aligned_and_the_other_keeps_their_place_beside_them() -> None:
    figure = people()
    known = all_known(figure)
    known[:2, 0] = False
    turned = body_axes(figure, known, NTU25)
    spine = NTU25.index("spine")
    assert turned[0, 1, spine] == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.linalg.norm(turned[3, 0, 5] - turned[3, 1, 5]) == pytest.approx(
        np.linalg.norm(figure[3, 0, 5] - figure[3, 1, 5]), rel=1e-5
    )


def test_a_moving_body_has_its_spine_in_the_origin_of_every_frame() -> None:
    figure = people()
    turned = normalise(figure, all_known(figure), "moving_body", layout=NTU25, size_wh=None)
    assert turned[:, 0, NTU25.index("spine")] == pytest.approx(np.zeros((6, 3)), abs=1e-6)
    still = normalise(figure, all_known(figure), "body", layout=NTU25, size_wh=None)
    np.testing.assert_allclose(turned, still - still[:, :1, 1:2], atol=1e-5)


def test_a_cameras_x_points_to_its_left_and_its_y_up() -> None:
    figure = people()
    seen = normalise(figure, all_known(figure), "camera", layout=NTU25, size_wh=None)
    assert np.array_equal(seen, figure * np.array([-1, -1, 1], np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_a_rotation_turns_onto_an_axis_and_keeps_lengths_and_hands(seed: int) -> None:
    vector, axis = np.random.default_rng(seed).normal(size=3), np.array([0.0, 0.0, 1.0])
    rotation = rotation_onto(vector, axis)
    np.testing.assert_allclose(rotation @ vector, np.linalg.norm(vector) * axis, atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("vector", [(0, 0, 0), (0, 0, 2), (0, 0, -2)], ids=["nothing", "along", "against"])
def test_what_has_no_shortest_rotation_is_not_turned(vector: tuple[float, float, float]) -> None:
    assert np.array_equal(rotation_onto(np.array(vector, float), np.array([0.0, 0.0, 1.0])), np.eye(3))


def test_a_hand_is_measured_by_its_spread() -> None:
    hand = np.random.default_rng(0).normal(300, 40, (5, 1, 21, 2)).astype(np.float32)
    hand[:] = hand[:1]
    lengths = torso_lengths(hand, all_known(hand), HAND21)
    assert lengths.mean(axis=(0, 1, 2)) == pytest.approx([0, 0], abs=1e-5)
    assert np.linalg.norm(lengths, axis=-1).mean() == pytest.approx(1, rel=1e-5)


# What cannot be had.


def test_an_unknown_normalisation_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown normalisation 'whole': expected one of torso, frame, half_frame"):
        check_normalisation("whole", COCO17)


@pytest.mark.parametrize("name", ["body", "moving_body"])
@pytest.mark.parametrize("layout", [COCO17, PENN13, OPENPOSE18, HAND21], ids=lambda layout: layout.name)
def test_layouts_without_a_spine_are_not_aligned(name: str, layout: Layout) -> None:
    with pytest.raises(ValueError, match=f"expected a layout with pelvis, spine, .*; '{layout.name}' lacks pelvis"):
        check_normalisation(name, layout)


@pytest.mark.parametrize("name", ["frame", "half_frame", "upright_frame"])
def test_a_frame_of_unknown_size_is_asked_for(name: str) -> None:
    figure = make_figure()[None, None]
    with pytest.raises(UnfitClip, match="expected x, y and size_wh, got 2 coordinates a joint and size_wh None"):
        normalise(figure, all_known(figure), name, layout=COCO17, size_wh=None)


@pytest.mark.parametrize(("name", "num_axes"), [("frame", 3), ("body", 2), ("moving_body", 2), ("camera", 2)])
def test_px_are_no_metres_and_metres_no_px(name: str, num_axes: int) -> None:
    figure = people(num_axes=num_axes)
    with pytest.raises(UnfitClip, match=f"got {num_axes} coordinates a joint"):
        normalise(figure, all_known(figure), name, layout=NTU25, size_wh=SIZE_WH)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_nobody_is_nobody_in_any_normalisation(name: str) -> None:
    num_axes = 3 if name in ("body", "moving_body", "camera") else 2
    nobody = np.zeros((4, 2, 25, num_axes), np.float32)
    known = np.zeros((4, 2, 25), np.bool_)
    assert not normalise(nobody, known, name, layout=NTU25, size_wh=SIZE_WH).any()


# Against MMAction2 and PYSKL.


def read(shared: Path, name: str) -> dict[str, NDArray[np.generic]]:
    return dict(np.load(shared / "parity" / "transforms" / f"{name}.npz"))


def test_frames_are_mmaction2s_bit_by_bit_in_half_precision(shared: Path) -> None:
    keypoints = read(shared, "input_coco2d_T150_M2")["keypoint"]
    theirs = read(shared, "mma_PreNormalize2D")["keypoint"]
    assert np.array_equal(frame_halves(keypoints, SIZE_WH), theirs)
    # It works in place, and so in the half precision of its files, whose steps are 0.0005 long here.
    np.testing.assert_allclose(frame_halves(keypoints.astype(np.float32), SIZE_WH), theirs, atol=5e-4)


@pytest.mark.parametrize("mode", ["fix", "auto"])
def test_frames_and_extents_are_pyskls(mode: str, shared: Path) -> None:
    clip = read(shared, "input_coco2d_T150_M2")
    keypoints = clip["keypoint"].astype(np.float32)
    known = clip["keypoint_score"] > THEIR_SCORE
    ours = frame_halves(keypoints, SIZE_WH) if mode == "fix" else extent_halves(keypoints, known, COCO17)
    theirs = read(shared, f"pyskl_PreNormalize2D_{mode}")["keypoint"]
    np.testing.assert_allclose(ours * known[..., None], theirs[..., :2], atol=1e-5)


def test_joints_that_were_not_seen_are_zero_as_in_pyskl_and_not_as_in_mmaction2(shared: Path) -> None:
    clip = read(shared, "input_coco2d_T150_M2")
    absent = (clip["keypoint_score"] == 0) & (clip["keypoint"] == 0).all(axis=-1)
    assert absent.any()
    assert not read(shared, "pyskl_PreNormalize2D_fix")["keypoint"][absent].any()
    assert (read(shared, "mma_PreNormalize2D")["keypoint"][absent] == -1).all()


@pytest.mark.parametrize("toolbox", ["mma", "pyskl"])
@pytest.mark.parametrize("num_people", [1, 2])
def test_bodies_are_aligned_as_in_mmaction2_and_pyskl(toolbox: str, num_people: int, shared: Path) -> None:
    keypoints = read(shared, f"input_ntu3d_T90_M{num_people}")["keypoint"].swapaxes(0, 1)  # [T, M, V, 3]
    known = (keypoints != 0).any(axis=-1)
    ours = body_axes(keypoints, known, NTU25) * known[..., None]
    theirs = read(shared, f"{toolbox}_PreNormalize3D_M{num_people}")["keypoint"].swapaxes(0, 1)
    there = known[:, 0].any(axis=1)
    assert (len(there), there.sum(), len(theirs)) == (90, 89, 89)  # they drop the frame; we keep it, and time with it
    np.testing.assert_allclose(ours[there], theirs, atol=1e-5)
