"""How a sequence becomes an input: which part, how it fills the window, and how it is varied."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.features import FeatureSpec, make_features
from pipeline.layouts import KINECT20, PENN13, Layout
from pipeline.values import SkeletonClip
from training.augment import torso_length
from training.variation import DRIFT_SCALE, FILLS, Variation, settle, vary

F32 = NDArray[np.float32]
MakeClip = Callable[..., SkeletonClip]

# A window of 30 frames at 30 a second.
SPEC = FeatureSpec(layout="penn13", num_frames=30, window_s=1.0)
EVERYTHING = Variation(
    crop=(0.5, 0.9), roll_deg=20, stretch=0.1, mirror_rate=0.5, jitter=0.02, lost_joints=0.5, drift=0.2
)


def varied(clip: SkeletonClip, *, seed: int = 0, **settings: object) -> SkeletonClip:
    return vary(clip, replace(Variation(), **settings), np.random.default_rng(seed), spec=SPEC)


def distances(keypoints: F32) -> F32:
    """Return how far joints are from each other: [T, M, V, V]."""
    apart: F32 = np.linalg.norm(keypoints[:, :, :, None] - keypoints[:, :, None], axis=-1)
    return apart


def numbered(num_frames: int, *, fps: float = 30.0, layout: Layout = PENN13) -> SkeletonClip:
    """Return a clip whose coordinates say which frame they are of."""
    numbers = np.arange(num_frames, dtype=np.float32)[:, None, None, None]
    return SkeletonClip(
        np.broadcast_to(numbers, (num_frames, 1, len(layout), 2)).copy(),
        np.ones((num_frames, 1, len(layout)), np.float32),
        np.arange(num_frames) / fps,
        np.zeros(1, np.int64),
        layout,
        start_s=0.0,
        end_s=num_frames / fps,
    )


def frames_of(clip: SkeletonClip) -> list[int]:
    return clip.keypoints[:, 0, 0, 0].astype(int).tolist()


def test_the_defaults_change_nothing_but_the_speed(make_clip: MakeClip) -> None:
    clip = make_clip("walk", num_frames=60)
    for one in (varied(clip), settle(clip, Variation(), spec=SPEC)):
        assert np.allclose(one.keypoints, clip.keypoints, rtol=1e-6)
        assert np.array_equal(one.scores, clip.scores)
        assert np.allclose(one.times_s, clip.times_s / 2)
        assert (one.start_s, one.end_s) == (0.0, 1.0)


@pytest.mark.parametrize("num_frames", [7, 30, 90])
@pytest.mark.parametrize("fill", FILLS)
def test_a_sequence_of_any_length_becomes_a_window(num_frames: int, fill: str) -> None:
    for seed in range(5):
        one = varied(numbered(num_frames), seed=seed, fill=fill)
        assert one.end_s - one.start_s == pytest.approx(SPEC.window_s)
        assert ((one.times_s >= one.start_s) & (one.times_s < one.end_s)).all()
        assert (np.diff(one.times_s) > 0).all()


def test_what_is_short_is_repeated_from_its_beginning_on() -> None:
    one = varied(numbered(12), fill="repeat")
    assert frames_of(one) == [*range(12), *range(12), *range(6)]
    assert np.allclose(np.diff(one.times_s), 1 / 30)
    assert settle(numbered(12), Variation(fill="repeat"), spec=SPEC).num_frames == 30


def test_what_is_short_is_played_once_and_leaves_the_rest_empty() -> None:
    one = varied(numbered(12), fill="pad")
    assert frames_of(one) == list(range(12))
    mask = make_features(one, SPEC).mask[:, 0]
    assert mask[:12].all()
    assert not mask[13:].any()


@pytest.mark.parametrize("fill", ["repeat", "pad"])
def test_of_what_is_long_training_takes_any_part_and_a_test_the_middle(fill: str) -> None:
    starts = [frames_of(varied(numbered(120), seed=seed, fill=fill))[0] for seed in range(200)]
    assert min(starts) < 5
    assert max(starts) > 85
    assert all(len(frames_of(varied(numbered(120), seed=seed, fill=fill))) in (30, 31) for seed in range(20))
    middle = frames_of(settle(numbered(120), Variation(fill=fill), spec=SPEC))
    assert middle[0] == 45
    assert middle[-1] == 74


def test_a_crop_takes_a_share_within_its_bounds_and_a_test_the_largest() -> None:
    crops = [frames_of(varied(numbered(100), seed=seed, crop=(0.5, 0.8))) for seed in range(300)]
    lengths, starts = [len(crop) for crop in crops], [crop[0] for crop in crops]
    assert 49 <= min(lengths) <= 52
    assert 78 <= max(lengths) <= 81
    assert min(starts) < 3
    assert max(crop[-1] for crop in crops) > 96
    assert frames_of(settle(numbered(100), Variation(crop=(0.5, 0.8)), spec=SPEC)) == list(range(10, 90))


def test_a_sequence_that_begins_late_is_cropped_as_one_that_does_not() -> None:
    clip = numbered(100)
    late = replace(clip, times_s=clip.times_s + 7, start_s=7.0, end_s=clip.end_s + 7)
    first, second = (varied(one, crop=(0.5, 0.8), seed=4) for one in (clip, late))
    assert frames_of(first) == frames_of(second)
    assert np.allclose(first.times_s, second.times_s)


def test_turns_in_space_keep_lengths_and_change_directions(make_clip: MakeClip) -> None:
    clip = make_clip("wave", num_axes=3, layout=KINECT20)
    for angle in ("yaw_deg", "pitch_deg", "roll_deg"):
        turned = varied(clip, **{angle: 40.0})
        assert np.allclose(distances(turned.keypoints), distances(clip.keypoints), atol=1e-5)
        assert np.abs(turned.keypoints - clip.keypoints).max() > 0.05


def test_a_skeleton_in_the_plane_only_rolls(make_clip: MakeClip) -> None:
    clip = make_clip("wave")
    still = varied(clip, yaw_deg=40.0, pitch_deg=40.0)
    assert np.allclose(still.keypoints, clip.keypoints, atol=1e-3)
    rolled = varied(clip, roll_deg=40.0)
    assert np.allclose(distances(rolled.keypoints), distances(clip.keypoints), rtol=1e-4)
    assert np.abs(rolled.keypoints - clip.keypoints).max() > 5


def test_each_axis_is_stretched_by_itself_about_the_middle(make_clip: MakeClip) -> None:
    clip = make_clip("wave", num_axes=3, layout=KINECT20)
    clip = replace(clip, keypoints=clip.keypoints * np.array([1, 1, 0.1], np.float32) + 3)
    middle = clip.keypoints.mean(axis=(0, 1, 2))
    stretched = varied(clip, stretch=0.3).keypoints
    assert np.allclose(stretched.mean(axis=(0, 1, 2)), middle, atol=1e-4)
    factors = (stretched - middle)[..., :2].std(axis=(0, 1, 2)) / (clip.keypoints - middle)[..., :2].std(axis=(0, 1, 2))
    assert factors[0] != pytest.approx(factors[1], rel=1e-3)
    assert (np.abs(np.log(factors)) <= 0.3).all()


def test_a_mirror_exchanges_sides_and_twice_is_none(make_clip: MakeClip) -> None:
    clip = make_clip("wave")
    clip.scores[:, :, clip.layout.index("left_wrist")] = 0.4
    once = varied(clip, mirror_rate=1.0)
    left, right = clip.layout.index("left_wrist"), clip.layout.index("right_wrist")
    assert np.allclose(once.keypoints[:, :, right, 0], -clip.keypoints[:, :, left, 0], rtol=1e-5)
    assert np.allclose(once.keypoints[:, :, right, 1], clip.keypoints[:, :, left, 1], rtol=1e-5)
    assert np.allclose(once.scores[:, :, right], 0.4)
    assert np.allclose(varied(once, mirror_rate=1.0).keypoints, clip.keypoints, rtol=1e-5)


def test_so_many_are_mirrored(make_clip: MakeClip) -> None:
    clip = make_clip("wave")
    mirrored = [varied(clip, mirror_rate=0.3, seed=seed).keypoints.mean() < 150 for seed in range(300)]
    assert np.mean(mirrored) == pytest.approx(0.3, abs=0.08)


def test_joints_jitter_by_shares_of_the_torso(make_clip: MakeClip) -> None:
    clip = make_clip("wave", num_frames=200)
    off = varied(clip, jitter=0.05).keypoints - clip.keypoints
    assert off.std() == pytest.approx(0.05 * torso_length(clip), rel=0.05)


def test_a_joint_is_lost_for_the_whole_clip(make_clip: MakeClip) -> None:
    clip = make_clip("wave")
    lost = [varied(clip, lost_joints=0.4, seed=seed) for seed in range(300)]
    gone = [np.flatnonzero((one.scores == 0).all(axis=(0, 1))) for one in lost]
    assert {len(joints) for joints in gone} == {0, 1}
    assert np.mean([len(joints) for joints in gone]) == pytest.approx(0.4, abs=0.08)
    assert {int(joints[0]) for joints in gone if len(joints)} == set(range(len(clip.layout)))
    assert all(
        (one.scores[:, :, np.setdiff1d(np.arange(13), joints)] == 1).all()
        for one, joints in zip(lost, gone, strict=True)
    )


def test_drifting_moves_turns_and_scales_all_joints_of_a_frame_together(make_clip: MakeClip) -> None:
    clip = make_clip("wave", num_axes=3, layout=KINECT20)
    moved = varied(clip, drift=0.5)
    assert np.array_equal(moved.keypoints[..., 2], clip.keypoints[..., 2])
    apart = distances(clip.keypoints[..., :2])
    scales = distances(moved.keypoints[..., :2]) / np.where(apart > 0.05, apart, np.nan)
    least, most = np.nanmin(scales, axis=(1, 2, 3)), np.nanmax(scales, axis=(1, 2, 3))
    assert np.allclose(least, most, rtol=1e-4)  # a frame is only turned, moved and scaled as a whole
    assert 1 - DRIFT_SCALE <= least.min() < most.max() - 0.01 < most.max() <= 1 + DRIFT_SCALE


def test_drifting_is_slow_and_no_further_than_it_may(make_clip: MakeClip) -> None:
    clip = make_clip("stand", num_frames=100)
    clip = replace(clip, keypoints=np.repeat(clip.keypoints[:1], 100, axis=0))
    for seed in range(10):
        centre = varied(clip, drift=0.5, seed=seed).keypoints.mean(axis=(1, 2))
        shift = centre - clip.keypoints.mean(axis=(0, 1, 2))
        assert np.abs(shift).max() <= 0.5 * torso_length(clip) + 1e-3
        assert np.abs(np.diff(centre, axis=0)).max() < 0.03 * torso_length(clip)


def test_sampling_takes_one_frame_of_each_part_and_features_see_exactly_those() -> None:
    spec = replace(SPEC, normalisation="extent")
    for seed in range(20):
        one = varied(numbered(90), fill="sample", seed=seed)
        assert [frame // 3 for frame in frames_of(one)] == list(range(30))
        values = make_features(one, spec).values[:, 0, 0, 0]
        low, high = min(frames_of(one)), max(frames_of(one))
        assert np.allclose((values + 1) / 2 * (high - low) + low, frames_of(one), atol=1e-3)


def test_samples_of_training_differ_and_those_of_a_test_do_not() -> None:
    drawn = {tuple(frames_of(varied(numbered(90), fill="sample", seed=seed))) for seed in range(10)}
    assert len(drawn) == 10
    settings = Variation(fill="sample")
    tested = {tuple(frames_of(settle(numbered(90), settings, spec=SPEC))) for _ in range(3)}
    assert len(tested) == 1
    assert [frame // 3 for frame in tested.pop()] == list(range(30))


def test_a_sequence_shorter_than_a_sample_is_looped() -> None:
    assert frames_of(settle(numbered(12), Variation(fill="sample"), spec=SPEC)) == [*range(12), *range(12), *range(6)]


def test_half_of_the_inputs_are_frames_from_anywhere_in_order_and_the_others_crops() -> None:
    inputs = [varied(numbered(90), fill="scatter", crop=(0.9, 0.9), seed=seed) for seed in range(300)]
    scattered = [frames_of(one) for one in inputs if one.num_frames == 30]
    assert len(scattered) / 300 == pytest.approx(0.5, abs=0.1)
    assert all(frames == sorted(set(frames)) for frames in scattered)
    assert min(frames[0] for frames in scattered) == 0
    assert max(frames[-1] for frames in scattered) == 89
    assert {one.num_frames for one in inputs} <= {30, 80, 81, 82}
    assert settle(numbered(90), Variation(fill="scatter"), spec=SPEC).num_frames == 90


def test_frames_from_anywhere_are_taken_twice_where_there_are_too_few() -> None:
    inputs = [varied(numbered(12), fill="scatter", seed=seed) for seed in range(20)]
    assert {one.num_frames for one in inputs} == {12, 30}
    assert all(frames_of(one) == sorted(frames_of(one)) for one in inputs)


@pytest.mark.parametrize("fill", FILLS)
def test_the_same_seed_gives_the_same_input_and_another_one_another(fill: str, make_clip: MakeClip) -> None:
    clip, settings = make_clip("walk", num_frames=90), replace(EVERYTHING, fill=fill)
    first, again, other = (vary(clip, settings, np.random.default_rng(seed), spec=SPEC) for seed in (1, 1, 2))
    assert np.array_equal(first.keypoints, again.keypoints)
    assert np.array_equal(first.scores, again.scores)
    assert np.array_equal(first.times_s, again.times_s)
    assert first.keypoints.shape != other.keypoints.shape or not np.allclose(first.keypoints, other.keypoints)


@pytest.mark.parametrize("fill", FILLS)
def test_a_test_sees_the_recording_and_nothing_of_chance(fill: str, make_clip: MakeClip) -> None:
    clip, settings = make_clip("walk", num_frames=90), replace(EVERYTHING, fill=fill)
    first, second = (settle(clip, settings, spec=SPEC) for _ in range(2))
    assert np.array_equal(first.keypoints, second.keypoints)
    assert (first.keypoints[:, None] == clip.keypoints).all(axis=(2, 3, 4)).any(axis=1).all()
    assert (first.scores == 1).all()


def test_a_clip_is_left_as_it_was(make_clip: MakeClip) -> None:
    clip = make_clip("walk", num_frames=90)
    before = clip.keypoints.copy(), clip.scores.copy(), clip.times_s.copy()
    vary(clip, EVERYTHING, np.random.default_rng(0), spec=SPEC)
    assert all(np.array_equal(*pair) for pair in zip(before, (clip.keypoints, clip.scores, clip.times_s), strict=True))


def test_someone_who_is_never_seen_can_be_varied_too() -> None:
    clip = numbered(40)
    unseen = replace(clip, scores=np.zeros_like(clip.scores))
    assert np.isfinite(vary(unseen, EVERYTHING, np.random.default_rng(0), spec=SPEC).keypoints).all()


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="fill 'loop': expected one of stretch, repeat, pad, sample, scatter"):
        Variation(fill="loop")
    for crop in ((0.0, 1.0), (0.8, 0.5), (0.5, 1.2)):
        with pytest.raises(ValueError, match=r"expected a crop such as \(0.5, 1.0\), got"):
            Variation(crop=crop)
