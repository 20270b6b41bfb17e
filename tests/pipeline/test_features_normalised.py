"""Features whose coordinates are counted from elsewhere than the body: as public checkpoints were trained on."""

from dataclasses import replace

import numpy as np
import pytest
from factories import BODIES, make_clip

from pipeline.errors import UnfitClip
from pipeline.features import FeatureSpec, make_features
from pipeline.layouts import COCO17, HAND21, NTU25, Layout
from pipeline.normalisation import NORMALISATIONS, body_axes, frame_halves
from pipeline.values import SkeletonClip

FRAMES = (0.0, 16 / 15)  # so that a window's frames are the clip's own


def moving(layout: Layout, *, num_people: int = 1, num_axes: int = 2) -> SkeletonClip:
    """Return 16 frames in the middles of 16 equal parts, in the left half of a picture or 2 m from a sensor."""
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 4 if num_axes == 2 else 0.05, (16, num_people, len(layout), num_axes)).cumsum(axis=0)
    start = rng.uniform(100, 200, (num_people, len(layout), num_axes)) / (1 if num_axes == 2 else 100)
    return make_clip(start + steps, (np.arange(16) + 0.5) / 15, layout=layout, bounds_s=FRAMES)


def spec_of(name: str, layout: Layout, *, num_people: int = 1) -> FeatureSpec:
    channels = ("x", "y", "z") if name in ("body", "moving_body", "camera") else ("x", "y", "score")
    return FeatureSpec(
        layout=layout.name,
        num_frames=16,
        window_s=16 / 15,
        num_people=num_people,
        channels=channels,
        normalisation=name,
    )


def test_a_spec_says_torso_unless_told_otherwise() -> None:
    assert FeatureSpec(layout="coco17", num_frames=16, window_s=1.0).normalisation == "torso"
    with pytest.raises(ValueError, match="unknown normalisation 'unit': expected one of torso, frame"):
        spec_of("unit", COCO17)
    with pytest.raises(ValueError, match="'coco17' lacks pelvis, spine"):
        spec_of("body", COCO17)


def test_coordinates_in_the_frame_are_those_of_the_picture() -> None:
    clip = replace(moving(COCO17), size_wh=(640, 360))
    values = make_features(clip, spec_of("frame", COCO17)).values
    np.testing.assert_allclose(values[..., :2], frame_halves(clip.keypoints, (640, 360)), atol=1e-6)
    assert (values[..., 2] == 1).all()


def test_coordinates_of_a_body_are_those_of_the_camera_aligned() -> None:
    clip = moving(NTU25, num_people=2, num_axes=3)
    expected = body_axes(clip.keypoints * np.array([-1, -1, 1], np.float32), np.ones((16, 2, 25), bool), NTU25)
    values = make_features(clip, spec_of("body", NTU25, num_people=2)).values
    np.testing.assert_allclose(values, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["body", "moving_body"])
def test_whoever_is_seen_longest_comes_first_where_one_of_them_is_the_origin(name: str) -> None:
    clip = moving(NTU25, num_people=2, num_axes=3)
    scores = clip.scores.copy()
    scores[:6, 0] = 0
    features = make_features(replace(clip, scores=scores), spec_of(name, NTU25, num_people=2))
    assert features.mask.sum(axis=0)[0] == 16 > features.mask.sum(axis=0)[1]
    assert features.values[0, 0, NTU25.index("spine")] == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("name", ["frame", "half_frame", "upright_frame", "extent"])
def test_joints_that_were_never_seen_are_zero_wherever_zero_is(name: str) -> None:
    clip = replace(moving(COCO17), size_wh=(640, 360))
    hidden = [COCO17.index("left_wrist"), COCO17.index("nose")]
    scores = clip.scores.copy()
    scores[..., hidden] = 0
    values = make_features(replace(clip, scores=scores), spec_of(name, COCO17)).values
    assert not values[:, :, hidden].any()
    assert values[:, :, COCO17.index("left_hip")].all()


def test_motion_is_in_lengths_of_the_torso_whatever_coordinates_are_in() -> None:
    clip = replace(moving(COCO17), size_wh=(640, 360))
    motions = [make_features(clip, spec_of(name, COCO17)).motion for name in ("torso", "frame", "extent")]
    assert motions == [motions[0]] * 3
    assert 0 < motions[0] < np.inf


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_window_of_nobody_is_zero_in_any_normalisation(name: str) -> None:
    layout = NTU25 if name in ("body", "moving_body") else COCO17
    clip = replace(moving(layout, num_axes=3 if name in ("body", "moving_body", "camera") else 2), size_wh=(640, 360))
    unseen = replace(clip, scores=np.zeros_like(clip.scores))
    assert not make_features(unseen, spec_of(name, layout)).values.any()


@pytest.mark.parametrize("name", ["torso", "frame", "extent"])
def test_a_hand_has_features(name: str) -> None:
    clip = replace(moving(HAND21), size_wh=(640, 360))
    features = make_features(clip, spec_of(name, HAND21))
    assert features.values.shape == (16, 1, 21, 3)
    assert features.mask.all()
    assert np.isfinite(features.motion)
    if name != "frame":
        elsewhere = make_features(replace(clip, keypoints=clip.keypoints + np.float32(50)), spec_of(name, HAND21))
        np.testing.assert_allclose(features.values, elsewhere.values, atol=1e-4)


@pytest.mark.parametrize("layout", BODIES.values(), ids=BODIES)
def test_a_hand_is_no_body_and_a_body_no_hand(layout: Layout) -> None:
    for clip, wanted in ((moving(HAND21), layout), (moving(layout), HAND21)):
        with pytest.raises(UnfitClip, match=f"takes skeletons of {wanted.name}, got {clip.layout.name}"):
            make_features(clip, spec_of("torso", wanted))
