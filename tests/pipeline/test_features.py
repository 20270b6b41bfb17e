"""Features keep real time and motion, and nothing of where the camera stood or how often it looked."""

from dataclasses import replace

import numpy as np
import pytest
from factories import BODIES, COCO17, TORSO_PX, make_clip, make_figure, make_times, make_waver
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UnfitClip
from pipeline.features import FeatureSpec, frame_times, make_features, stack_features
from pipeline.layouts import Layout
from pipeline.values import F32, SkeletonClip

SPEC = FeatureSpec(layout="coco17", num_frames=32, window_s=2.0)
LEFT_WRIST = COCO17.index("left_wrist")
LEFT_HIP = COCO17.index("left_hip")
WINDOW_S = make_times(2.0)


def moved(clip: SkeletonClip, *, by: float | tuple[float, float] = 0.0, times: float = 1.0) -> SkeletonClip:
    return replace(clip, keypoints=(clip.keypoints * times + by).astype(np.float32))


def thinned(clip: SkeletonClip, every: int) -> SkeletonClip:
    return replace(clip, keypoints=clip.keypoints[::every], scores=clip.scores[::every], times_s=clip.times_s[::every])


def without_frames(clip: SkeletonClip, start_s: float, end_s: float) -> SkeletonClip:
    kept = (clip.times_s <= start_s) | (clip.times_s >= end_s)
    return replace(clip, keypoints=clip.keypoints[kept], scores=clip.scores[kept], times_s=clip.times_s[kept])


def without_joints(clip: SkeletonClip, *joints: str) -> SkeletonClip:
    scores = clip.scores.copy()
    scores[..., [clip.layout.index(joint) for joint in joints]] = 0
    return replace(clip, scores=scores)


@pytest.mark.parametrize("channels", [("x",), ("x", "y"), ("x", "y", "score"), ("x", "y", "z", "score")], ids="-".join)
@pytest.mark.parametrize("layout", BODIES.values(), ids=BODIES)
def test_features_have_the_shape_that_the_card_says(layout: Layout, channels: tuple[str, ...]) -> None:
    spec = FeatureSpec(layout=layout.name, num_frames=24, window_s=2.0, num_people=2, channels=channels)
    clip = make_waver(WINDOW_S)
    in_space = replace(clip, keypoints=np.concatenate([clip.keypoints, clip.keypoints[..., :1]], axis=-1))
    features = make_features(in_space, spec)
    assert features.values.shape == (24, 2, len(layout), len(channels))
    assert features.mask.shape == (24, 2)
    assert features.values.dtype == np.float32
    assert np.isfinite(features.values).all()


@pytest.mark.parametrize(
    ("num_frames", "num_people"), [(0, 1), (30, 0), (0, 0)], ids=["no frames", "no people", "neither"]
)
def test_nobody_is_all_zero_and_not_known_to_be_still(num_frames: int, num_people: int) -> None:
    clip = make_clip(np.zeros((num_frames, num_people, 17, 2)), np.arange(num_frames) / 15, bounds_s=(0.0, 2.0))
    features = make_features(clip, SPEC)
    assert features.values.shape == (32, 1, 17, 2)
    assert not features.values.any()
    assert not features.mask.any()
    assert features.motion == np.inf


def test_somebody_of_whom_no_joint_was_ever_seen_is_nobody() -> None:
    features = make_features(without_joints(make_waver(WINDOW_S), *COCO17.joints), SPEC)
    assert not features.values.any()
    assert not features.mask.any()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_frames", 1),
        ("num_people", 0),
        ("window_s", 0.0),
        ("window_s", float("nan")),
        ("channels", ("x", "w")),
        ("channels", ()),
        ("layout", "coco18"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(SPEC, **{field: value})  # type: ignore[arg-type]  # which is what is refused


def test_the_frames_of_a_window_are_the_middles_of_equal_parts() -> None:
    assert frame_times(1.0, 3.0, 4).tolist() == [1.25, 1.75, 2.25, 2.75]


def test_walking_is_kept() -> None:
    features = make_features(make_waver(WINDOW_S, speed_px_s=TORSO_PX), SPEC)
    walked = features.values[-1, 0, LEFT_HIP, 0] - features.values[0, 0, LEFT_HIP, 0]
    assert walked == pytest.approx(2.0 * 31 / 32, abs=0.01)


@pytest.mark.parametrize("window_s", [1.0, 2.0, 4.0])
def test_speed_is_speed_whatever_the_window(window_s: float) -> None:
    spec = replace(SPEC, window_s=window_s, num_frames=int(16 * window_s))
    features = make_features(make_waver(make_times(window_s), speed_px_s=TORSO_PX), spec)
    steps = np.diff(features.values[1:-1, 0, LEFT_HIP, 0])
    assert steps == pytest.approx(np.full(len(steps), 1 / 16), abs=1e-3)


@pytest.mark.parametrize("every", [2, 3])
def test_a_clip_and_its_copy_at_a_lower_frame_rate_are_alike(every: int) -> None:
    fast = make_waver(make_times(2.4, fps=30, start_s=-0.2), hz=0.7, speed_px_s=40)
    fast = replace(fast, start_s=0.0, end_s=2.0)
    features, copied = make_features(fast, SPEC), make_features(thinned(fast, every), SPEC)
    assert copied.values == pytest.approx(features.values, abs=0.05)
    assert copied.mask.tolist() == features.mask.tolist()
    assert copied.motion == pytest.approx(features.motion, rel=0.1)


def test_frames_that_come_at_odd_times_are_put_where_they_belong(rng: np.random.Generator) -> None:
    odd = np.sort(rng.uniform(0, 2, 60))
    assert make_features(make_waver(odd), SPEC).values[2:-2] == pytest.approx(
        make_features(make_waver(make_times(2.0, fps=60)), SPEC).values[2:-2], abs=0.06
    )


def test_a_window_longer_than_the_clip_is_empty_outside() -> None:
    clip = make_waver(make_times(1.0))
    features = make_features(clip, SPEC)
    moments = frame_times(-0.5, 1.5, 32)
    assert features.mask[:, 0].tolist() == ((moments >= -1 / 15) & (moments <= 1 + 1 / 15)).tolist()
    assert not features.values[~features.mask].any()
    assert features.values[features.mask].any(axis=(1, 2)).all()


def test_a_window_shorter_than_the_models_stays_in_its_middle() -> None:
    clip = make_waver(make_times(4.0))
    short = replace(thinned(clip, 1), start_s=1.0, end_s=3.0)
    assert make_features(short, SPEC).values == pytest.approx(make_features(clip, SPEC).values)


def test_where_a_track_begins_inside_its_window_the_rest_is_empty() -> None:
    clip = make_clip(np.stack([make_figure()] * 16), make_times(1.0, start_s=1.0), bounds_s=(0.0, 2.0))
    mask = make_features(clip, SPEC).mask[:, 0]
    assert not mask[:14].any()
    assert mask[15:].all()


@pytest.mark.parametrize(("gap_s", "is_filled"), [(0.2, True), (0.45, True), (0.7, False), (1.0, False)])
def test_a_gap_is_filled_if_it_is_short(gap_s: float, is_filled: bool) -> None:
    clip = without_frames(make_waver(make_times(2.0, fps=30)), 1 - gap_s / 2, 1 + gap_s / 2)
    features = make_features(clip, SPEC)
    assert features.mask.all() == is_filled
    assert features.values[16].any() == is_filled


def test_a_short_gap_is_filled_by_interpolation() -> None:
    clip = make_waver(make_times(2.0, fps=30), hz=0.4)
    whole, filled = make_features(clip, SPEC), make_features(without_frames(clip, 0.9, 1.2), SPEC)
    assert filled.values == pytest.approx(whole.values, abs=0.1)


def test_a_joint_that_blinks_is_interpolated() -> None:
    clip = make_waver(make_times(2.0, fps=30), hz=0.5)
    scores = clip.scores.copy()
    scores[20:30, 0, LEFT_WRIST] = 0.05
    keypoints = clip.keypoints.copy()
    keypoints[20:30, 0, LEFT_WRIST] = -1000
    blinked = make_features(replace(clip, scores=scores, keypoints=keypoints), SPEC)
    assert blinked.values == pytest.approx(make_features(clip, SPEC).values, abs=0.15)


def test_people_who_are_not_there_are_zero() -> None:
    features = make_features(make_waver(WINDOW_S), replace(SPEC, num_people=3))
    assert features.mask.all(axis=0).tolist() == [True, False, False]
    assert not features.values[:, 1:].any()


def test_of_too_many_people_the_best_seen_are_taken_in_their_order() -> None:
    people = [make_waver(WINDOW_S, hz=hz) for hz in (0.5, 1.0, 2.0)]
    scores = np.concatenate(
        [np.full_like(one.scores, score) for one, score in zip(people, (0.9, 0.3, 0.8), strict=True)], axis=1
    )
    crowd = make_clip(np.concatenate([one.keypoints for one in people], axis=1), WINDOW_S, scores=scores)
    features = make_features(crowd, replace(SPEC, num_people=2))
    pair = make_clip(np.concatenate([people[0].keypoints, people[2].keypoints], axis=1), WINDOW_S)
    assert (features.values == make_features(pair, replace(SPEC, num_people=2)).values).all()


def test_several_people_keep_their_places_to_each_other() -> None:
    pair = np.stack([np.stack([make_figure(x=100), make_figure(x=100 + 3 * TORSO_PX, torso=TORSO_PX / 2)])] * 31)
    features = make_features(make_clip(pair, WINDOW_S), replace(SPEC, num_people=2))
    apart = features.values[:, 1, LEFT_HIP] - features.values[:, 0, LEFT_HIP]
    assert apart[:, 0] == pytest.approx(np.full(32, 3 - 0.2 / 2), abs=0.02)


def test_missing_joints_are_zero() -> None:
    features = make_features(without_joints(make_waver(WINDOW_S), "left_wrist", "nose"), SPEC)
    missing = [LEFT_WRIST, COCO17.index("nose")]
    assert not features.values[:, :, missing].any()
    assert np.delete(features.values, missing, axis=2).any(axis=(0, 1, 3)).all()


def test_joints_that_were_not_seen_may_hold_anything() -> None:
    clip = without_joints(make_waver(WINDOW_S), "nose", "left_elbow")
    keypoints = clip.keypoints.copy()
    keypoints[clip.scores == 0] = np.nan
    for layout in ("coco17", "penn13", "kinect20"):
        spec = replace(SPEC, layout=layout)
        values = make_features(replace(clip, keypoints=keypoints), spec).values
        assert (values == make_features(clip, spec).values).all()
        assert np.isfinite(values).all()


def test_the_unit_is_the_torso_and_the_middle_is_the_body() -> None:
    values = make_features(make_clip(np.stack([make_figure()] * 31), WINDOW_S), SPEC).values[16, 0]
    corners = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("shoulder", "hip")]
    assert values[corners].mean(axis=0) == pytest.approx([0, 0], abs=1e-3)
    torso = np.linalg.norm(values[COCO17.index("left_shoulder")] - values[LEFT_HIP])
    assert torso == pytest.approx(1.0, abs=0.02)
    assert values[COCO17.index("nose"), 1] < 0 < values[COCO17.index("left_ankle"), 1]


def test_somebody_who_bends_towards_the_camera_does_not_grow() -> None:
    upright = make_figure()
    bent = upright.copy()
    upper = [place for place, joint in enumerate(COCO17.joints) if not joint.endswith(("hip", "knee", "ankle"))]
    bent[upper, 1] += 0.7 * (upright[LEFT_HIP, 1] - upright[upper, 1])
    shin = [COCO17.index("left_knee"), COCO17.index("left_ankle")]
    lengths = [
        np.linalg.norm(
            np.diff(make_features(make_clip(np.stack([pose] * 31), WINDOW_S), SPEC).values[16, 0][shin], axis=0)
        )
        for pose in (upright, bent)
    ]
    assert lengths[1] == pytest.approx(lengths[0], abs=0.02)


@given(
    x=st.floats(-2000, 2000),
    y=st.floats(-2000, 2000),
    times=st.floats(0.1, 20),
    hz=st.floats(0.2, 1.5),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_a_shifted_and_scaled_clip_gives_the_same_features(
    x: float, y: float, times: float, hz: float, seed: int
) -> None:
    clip = make_waver(WINDOW_S, hz=hz)
    jitter = np.random.default_rng(seed).normal(0, 1, clip.keypoints.shape).astype(np.float32)
    clip = replace(clip, keypoints=clip.keypoints + jitter)
    features, other = make_features(clip, SPEC), make_features(moved(clip, by=(x, y), times=times), SPEC)
    assert other.values == pytest.approx(features.values, abs=5e-3)
    assert other.motion == pytest.approx(features.motion, abs=5e-3)


@given(start_s=st.floats(-1e5, 1e5))
@settings(max_examples=20, deadline=None)
def test_it_does_not_matter_when_a_clip_was_taken(start_s: float) -> None:
    clip = make_waver(WINDOW_S)
    later = replace(clip, times_s=clip.times_s + start_s, start_s=clip.start_s + start_s, end_s=clip.end_s + start_s)
    assert make_features(later, SPEC).values == pytest.approx(make_features(clip, SPEC).values, abs=1e-4)


def test_the_clip_is_not_touched() -> None:
    clip = make_waver(WINDOW_S)
    before = clip.keypoints.copy(), clip.scores.copy()
    make_features(clip, replace(SPEC, channels=("x", "y", "score")))
    assert (clip.keypoints == before[0]).all()
    assert (clip.scores == before[1]).all()


def test_depth_has_a_channel_of_its_own() -> None:
    flat = make_waver(WINDOW_S).keypoints
    depth = np.broadcast_to(np.arange(17, dtype=np.float32)[:, None], flat[..., :1].shape)
    clip = make_clip(np.concatenate([flat, depth], axis=-1), WINDOW_S)
    features = make_features(clip, replace(SPEC, channels=("x", "y", "z")))
    rises = np.diff(features.values[0, 0, :, 2])
    assert rises == pytest.approx(np.full(16, rises[0]), abs=1e-4)
    assert rises[0] > 0
    assert make_features(clip, replace(SPEC, channels=("z", "x"))).values == pytest.approx(features.values[..., [2, 0]])


def test_a_flat_clip_is_not_for_a_model_of_depth() -> None:
    with pytest.raises(UnfitClip, match="expected x, y and z, got 2 coordinates a joint"):
        make_features(make_waver(make_times(1.0)), replace(SPEC, channels=("x", "z")))


def test_scores_have_a_channel_of_their_own() -> None:
    clip = make_waver(make_times(1.0))
    scores = np.broadcast_to(np.linspace(0.2, 0.9, 17, dtype=np.float32), clip.scores.shape)
    features = make_features(replace(clip, scores=scores), replace(SPEC, channels=("score",)))
    there = features.mask[:, 0]
    assert features.values[there, 0, :, 0] == pytest.approx(np.tile(scores[0, 0], (there.sum(), 1)))
    assert not features.values[~there].any()


def test_windows_are_batched() -> None:
    windows = [make_features(make_waver(WINDOW_S, hz=hz), SPEC) for hz in (0.5, 1.0, 2.0)]
    batch = stack_features(windows)
    assert batch.shape == (3, 32, 1, 17, 2)
    assert all((batch[place] == window.values).all() for place, window in enumerate(windows))


def still_clip(rng: np.random.Generator, *, jitter: float = 0.01, drift_px_s: float = 0.0) -> SkeletonClip:
    figures: F32 = np.stack([make_figure(x=160 + drift_px_s * time_s) for time_s in WINDOW_S])
    return make_clip(figures + rng.normal(0, jitter * TORSO_PX, figures.shape), WINDOW_S)


def test_a_pose_that_is_held_hardly_moves(rng: np.random.Generator) -> None:
    assert make_features(still_clip(rng), SPEC).motion < 0.08


def test_a_wave_moves_far_more_than_the_jitter_of_a_held_pose(rng: np.random.Generator) -> None:
    assert make_features(make_waver(WINDOW_S), SPEC).motion > 10 * make_features(still_clip(rng), SPEC).motion


def test_a_camera_that_pans_moves_nobody(rng: np.random.Generator) -> None:
    assert make_features(still_clip(rng, drift_px_s=90), SPEC).motion < 0.08


@pytest.mark.parametrize(
    "hidden",
    [
        ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        ("left_knee", "right_knee", "left_ankle", "right_ankle"),
        ("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
        tuple(joint for joint in COCO17.joints if joint.endswith(("shoulder", "hip"))),
    ],
    ids=["from behind", "to the knees", "to the waist", "all but the trunk"],
)
def test_joints_that_are_hidden_do_not_move(rng: np.random.Generator, hidden: tuple[str, ...]) -> None:
    clip = without_joints(still_clip(rng, drift_px_s=90), *hidden)
    assert make_features(clip, SPEC).motion < 0.1


def test_one_wrong_joint_is_no_motion(rng: np.random.Generator) -> None:
    clip = still_clip(rng)
    keypoints = clip.keypoints.copy()
    keypoints[10:20, 0, LEFT_WRIST] += 200
    assert make_features(replace(clip, keypoints=keypoints), SPEC).motion < 0.1


def test_only_the_middle_of_the_window_counts() -> None:
    figures = [make_figure(arms_up=float(time_s < 0.4 or time_s > 1.6)) for time_s in WINDOW_S]
    assert make_features(make_clip(np.stack(figures), WINDOW_S), SPEC).motion < 0.01


def test_too_few_frames_cannot_tell_stillness() -> None:
    clip = make_clip(np.stack([make_figure()] * 3), [0.95, 1.0, 1.05], bounds_s=(0.0, 2.0))
    assert make_features(clip, SPEC).motion == np.inf


def test_a_single_joint_cannot_tell_stillness() -> None:
    clip = without_joints(make_waver(WINDOW_S), *(joint for joint in COCO17.joints if joint != "nose"))
    assert make_features(clip, SPEC).motion == np.inf
