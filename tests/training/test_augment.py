"""What windows are drawn: clips that hold together, from the seed alone, with the recording left as it was."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.layouts import KINECT20, PENN13, Layout
from pipeline.values import SkeletonClip
from training.augment import (
    Augmentation,
    add_pose_noise,
    cut,
    draw_rest_window,
    draw_still_window,
    draw_window,
    mirror,
    place,
    resample_frames,
    rotation,
    splice,
    strum,
    sway,
    view,
)

WINDOW_S = 2.4
MOST = Augmentation(
    mirror_rate=1, partial_rate=1, lost_joint_rate=1, cut_off_rate=1, swap_rate=1, repeat_rate=0.5, hold_rate=0.5
)
ALWAYS_MIRRORED = Augmentation(mirror_rate=1)

MakeClip = Callable[..., SkeletonClip]
Change = Callable[[SkeletonClip, np.random.Generator], SkeletonClip]

KEEP_FRAMES: dict[str, Change] = {
    "view": lambda clip, rng: view(clip, MOST, rng),
    "mirror": lambda clip, rng: mirror(clip, MOST, rng),
    "strum": strum,
    "sway": sway,
    "splice": lambda clip, rng: splice(clip, clip),
    "add_pose_noise": lambda clip, rng: add_pose_noise(clip, MOST, rng),
}
CHANGE_FRAMES: dict[str, Change] = {
    "place": lambda clip, rng: place(clip, MOST, rng, window_s=WINDOW_S, repeats=False),
    "place, repeated": lambda clip, rng: place(clip, MOST, rng, window_s=WINDOW_S, repeats=True),
    "resample_frames": lambda clip, rng: resample_frames(clip, MOST, rng),
    "cut": lambda clip, rng: cut(clip, 0.5, 1.0),
}
DRAW: dict[str, Change] = {
    "draw_window": lambda clip, rng: draw_window(clip, MOST, rng, window_s=WINDOW_S, repeats=False),
    "draw_window, repeated": lambda clip, rng: draw_window(clip, MOST, rng, window_s=WINDOW_S, repeats=True),
    "draw_still_window": lambda clip, rng: draw_still_window(clip, MOST, rng, window_s=WINDOW_S),
    "draw_rest_window": lambda clip, rng: draw_rest_window(clip, MOST, rng, window_s=WINDOW_S),
}
EVERY = KEEP_FRAMES | CHANGE_FRAMES | DRAW


def every(changes: dict[str, Change]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("change", list(changes.values()), ids=list(changes))


def assert_sound(clip: SkeletonClip, num_joints: int = 13) -> None:
    frames = clip.num_frames
    assert frames >= 1
    assert clip.keypoints.shape == (frames, 1, num_joints, 2)
    assert clip.scores.shape == (frames, 1, num_joints)
    assert clip.keypoints.dtype == clip.scores.dtype == np.float32
    assert np.isfinite(clip.keypoints).all()
    assert clip.scores.min() >= 0
    assert clip.scores.max() <= 1
    assert (np.diff(clip.times_s) > 0).all()


@every(EVERY)
@pytest.mark.parametrize("num_frames", [1, 2, 3, 20, 60, 900])
def test_clips_stay_sound_however_long_they_are(make_clip: MakeClip, change: Change, num_frames: int) -> None:
    clip = make_clip(num_frames=num_frames)
    for seed in range(15):
        assert_sound(change(clip, np.random.default_rng(seed)))


@every(KEEP_FRAMES)
def test_what_moves_joints_keeps_the_moments(make_clip: MakeClip, change: Change, rng: np.random.Generator) -> None:
    clip = make_clip()
    changed = change(clip, rng)
    assert np.array_equal(changed.times_s, clip.times_s)
    assert (changed.start_s, changed.end_s) == (clip.start_s, clip.end_s)


@every(EVERY)
def test_the_recording_is_left_as_it_was(make_clip: MakeClip, change: Change) -> None:
    clip = make_clip()
    before = [array.copy() for array in (clip.keypoints, clip.scores, clip.times_s)]
    for array in (clip.keypoints, clip.scores, clip.times_s):
        array.flags.writeable = False
    for seed in range(10):
        change(clip, np.random.default_rng(seed))
    assert all(map(np.array_equal, before, (clip.keypoints, clip.scores, clip.times_s)))


@every(DRAW)
def test_a_seed_draws_the_same_window_and_another_seed_another(make_clip: MakeClip, change: Change) -> None:
    clip = make_clip()
    one, again, other = (change(clip, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.keypoints, again.keypoints)
    assert np.array_equal(one.scores, again.scores)
    assert not np.array_equal(one.keypoints.shape, other.keypoints.shape) or not np.array_equal(
        one.keypoints, other.keypoints
    )


@every(DRAW | {name: CHANGE_FRAMES[name] for name in ("place", "place, repeated")})
@pytest.mark.parametrize("num_frames", [1, 30, 300])
def test_a_window_is_as_long_as_asked_for_with_its_frames_inside(
    make_clip: MakeClip, change: Change, num_frames: int
) -> None:
    for seed in range(20):
        window = change(make_clip(num_frames=num_frames), np.random.default_rng(seed))
        assert window.end_s - window.start_s == pytest.approx(WINDOW_S)
        inside = (window.times_s >= window.start_s - 1e-9) & (window.times_s < window.end_s)
        assert inside.all() or window.num_frames == 1  # one frame stands for a window that has none


@every(DRAW)
def test_3d_recordings_become_2d_windows(make_clip: MakeClip, change: Change) -> None:
    clip = make_clip(layout=KINECT20, num_axes=3)
    for seed in range(10):
        assert_sound(change(clip, np.random.default_rng(seed)), num_joints=20)


@every(DRAW)
def test_people_of_whom_no_joint_was_seen_do_not_disturb(make_clip: MakeClip, change: Change) -> None:
    clip = make_clip()
    unseen = replace(clip, keypoints=np.zeros_like(clip.keypoints), scores=np.zeros_like(clip.scores))
    assert_sound(change(unseen, np.random.default_rng(0)))


@pytest.mark.parametrize("layout", [PENN13, KINECT20], ids=lambda layout: layout.name)
def test_mirroring_twice_changes_nothing(make_clip: MakeClip, rng: np.random.Generator, layout: Layout) -> None:
    clip = make_clip(layout=layout)
    clip = replace(clip, scores=rng.random(clip.scores.shape).astype(np.float32))
    there = mirror(clip, ALWAYS_MIRRORED, rng)
    back = mirror(there, ALWAYS_MIRRORED, rng)
    assert not np.array_equal(there.keypoints, clip.keypoints)
    assert np.array_equal(back.keypoints, clip.keypoints)
    assert np.array_equal(back.scores, clip.scores)


def test_in_a_mirror_the_left_hand_waves_as_the_right_one_and_faces_still_face(
    make_clip: MakeClip, rng: np.random.Generator
) -> None:
    left, right = PENN13.index("left_wrist"), PENN13.index("right_wrist")
    clip = make_clip("wave")
    mirrored = mirror(clip, ALWAYS_MIRRORED, rng)
    assert np.ptp(clip.keypoints[:, 0, left, 0]) > np.ptp(clip.keypoints[:, 0, right, 0])
    assert np.ptp(mirrored.keypoints[:, 0, right, 0]) == np.ptp(clip.keypoints[:, 0, left, 0])
    shoulders = (mirrored.keypoints[0, 0, PENN13.index(f"{side}_shoulder"), 0] for side in ("left", "right"))
    assert next(shoulders) > next(shoulders)


def test_windows_are_mirrored_about_as_often_as_asked_for(make_clip: MakeClip) -> None:
    clip, rng = make_clip(), np.random.default_rng(0)
    mirrored = [mirror(clip, Augmentation(mirror_rate=0.3), rng) is not clip for _ in range(1000)]
    assert 0.25 < np.mean(mirrored) < 0.35


def test_rotations_turn_and_do_nothing_else(rng: np.random.Generator) -> None:
    for yaw, pitch, roll in rng.uniform(-np.pi, np.pi, (50, 3)):
        turned = rotation(yaw, pitch, roll)
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(turned) == pytest.approx(1, abs=1e-5)


def test_no_rotation_is_none() -> None:
    assert np.array_equal(rotation(0, 0, 0), np.eye(3))


@pytest.mark.parametrize(
    ("angles", "row", "expected"),
    [
        ((np.pi / 2, 0, 0), (1, 0, 0), (0, 0, 1)),
        ((0, np.pi / 2, 0), (0, 1, 0), (0, 0, -1)),
        ((0, 0, np.pi / 2), (1, 0, 0), (0, -1, 0)),
    ],
    ids=["yaw", "pitch", "roll"],
)
def test_each_angle_turns_about_its_own_axis(
    angles: tuple[float, float, float], row: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    np.testing.assert_allclose(np.array(row, np.float32) @ rotation(*angles), expected, atol=1e-6)


def test_whoever_faces_a_camera_in_3d_faces_it_in_2d(make_clip: MakeClip) -> None:
    clip = make_clip(layout=KINECT20, num_axes=3)
    frontal = Augmentation(yaw_deg=45)
    left, right, head, hip = map(KINECT20.index, ("left_shoulder", "right_shoulder", "head", "left_hip"))
    for seed in range(50):
        seen = view(clip, frontal, np.random.default_rng(seed)).keypoints[:, 0]
        assert (seen[:, left, 0] > seen[:, right, 0]).all()
        assert (seen[:, head, 1] < seen[:, hip, 1]).all()


def test_a_camera_straight_on_sees_proportions_and_what_is_near_larger(make_clip: MakeClip) -> None:
    clip = make_clip("nothing", layout=KINECT20, num_axes=3)
    straight = {"yaw_deg": 0.0, "pitch_deg": (0.0, 0.0), "roll_deg": 0.0}
    rng = np.random.default_rng(0)
    near = view(clip, Augmentation(**straight, distance_m=(3.0, 3.0)), rng).keypoints
    far = view(clip, Augmentation(**straight, distance_m=(6.0, 6.0)), rng).keypoints
    np.testing.assert_allclose(near, 2 * far, rtol=1e-5, atol=1e-3)
    moved = clip.keypoints[:, :, 0, :2] - clip.keypoints[:, :, 5, :2]
    np.testing.assert_allclose(near[:, :, 0] - near[:, :, 5], 1000 / 3 * moved, rtol=1e-4, atol=1e-2)


def test_people_who_walk_past_the_camera_do_not_turn_inside_out(make_clip: MakeClip) -> None:
    clip = make_clip(layout=KINECT20, num_axes=3)
    behind = clip.keypoints.copy()
    behind[-20:, ..., 2] -= 12
    window = view(replace(clip, keypoints=behind), Augmentation(), np.random.default_rng(0))
    assert np.isfinite(window.keypoints).all()


@pytest.mark.parametrize(("repeats", "repeat_rate"), [(True, 1.0), (False, 1.0)], ids=["repeated", "once"])
def test_only_repeated_actions_go_on_in_cycles(make_clip: MakeClip, repeats: bool, repeat_rate: float) -> None:
    settings = Augmentation(speed=1.0, repeat_rate=repeat_rate, hold_rate=0.0, partial_rate=0.0)
    clip = make_clip(num_frames=30)  # one second
    window = place(clip, settings, np.random.default_rng(0), window_s=WINDOW_S, repeats=repeats)
    assert window.num_frames == (round(WINDOW_S * 30) if repeats else 30)


def test_whoever_holds_still_does_so_at_both_ends(make_clip: MakeClip) -> None:
    settings = Augmentation(speed=1.0, hold_rate=1.0, partial_rate=0.0)
    clip = make_clip(num_frames=30)
    window = place(clip, settings, np.random.default_rng(0), window_s=WINDOW_S, repeats=False)
    moves = np.abs(np.diff(window.keypoints[:, 0, PENN13.index("left_wrist"), 0])) > 1e-4
    assert window.num_frames == pytest.approx(WINDOW_S * 30, abs=1)
    assert not moves[0] or not moves[-1]
    assert moves.any()


def test_a_camera_takes_frames_at_its_own_rate(make_clip: MakeClip, rng: np.random.Generator) -> None:
    clip = make_clip(num_frames=300)
    taken = resample_frames(clip, Augmentation(camera_fps=(10.0, 10.0)), rng)
    assert taken.num_frames == pytest.approx(100, abs=2)
    assert set(taken.times_s) <= set(clip.times_s)
    assert resample_frames(clip, Augmentation(camera_fps=(40.0, 50.0)), rng) is clip


def test_a_cut_keeps_the_frames_from_its_start_until_before_its_end(make_clip: MakeClip) -> None:
    window = cut(make_clip(fps=10.0, num_frames=20), 0.5, 1.0)
    assert window.times_s.tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert (window.start_s, window.end_s) == (0.5, 1.0)


def test_a_cut_without_a_frame_takes_the_nearest_one(make_clip: MakeClip) -> None:
    assert cut(make_clip(fps=10.0, num_frames=20), 5.0, 6.0).times_s.tolist() == [1.9]


def test_a_strumming_hand_keeps_its_distance_from_the_elbow(make_clip: MakeClip, rng: np.random.Generator) -> None:
    clip = make_clip("squat")
    strummed = strum(clip, rng)
    moved = np.flatnonzero(np.abs(strummed.keypoints - clip.keypoints).max(axis=(0, 1, 3)) > 0).tolist()
    assert len(moved) == 1
    assert PENN13.joints[moved[0]].endswith("wrist")
    elbow = moved[0] - 2
    lengths = [
        np.linalg.norm(window.keypoints[:, 0, moved[0]] - window.keypoints[:, 0, elbow], axis=-1)
        for window in (clip, strummed)
    ]
    np.testing.assert_allclose(*lengths, rtol=1e-4)


def test_pose_noise_only_ever_loses_joints(make_clip: MakeClip) -> None:
    clip = make_clip()
    guessed = replace(clip, scores=np.full_like(clip.scores, 0.4))
    for seed in range(20):
        scores = add_pose_noise(guessed, MOST, np.random.default_rng(seed)).scores
        assert set(np.unique(scores)) <= {np.float32(0), np.float32(0.4)}


def test_without_noise_a_window_is_the_recording(make_clip: MakeClip, rng: np.random.Generator) -> None:
    clip = make_clip()
    none = Augmentation(
        jitter=0, wander=0, head_shift=0, missing_share=0, lost_joint_rate=0, cut_off_rate=0, swap_rate=0
    )
    noisy = add_pose_noise(clip, none, rng)
    assert np.array_equal(noisy.keypoints, clip.keypoints)
    assert np.array_equal(noisy.scores, clip.scores)


def test_in_a_still_window_nobody_goes_far(make_clip: MakeClip) -> None:
    calm = Augmentation(jitter=0, wander=0, swap_rate=0)
    for seed in range(20):
        window = draw_still_window(make_clip("walk"), calm, np.random.default_rng(seed), window_s=WINDOW_S)
        body = window.keypoints[:, 0] - window.keypoints[:, 0].mean(axis=1, keepdims=True)
        torso = np.linalg.norm(body[0, PENN13.index("left_shoulder")] - body[0, PENN13.index("left_hip")])
        assert np.ptp(body, axis=0).max() < 0.2 * torso


def test_a_rest_window_is_still_in_its_middle(make_clip: MakeClip) -> None:
    calm = Augmentation(
        jitter=0, wander=0, missing_share=0, lost_joint_rate=0, cut_off_rate=0, swap_rate=0, camera_fps=(30.0, 30.0)
    )
    clip = make_clip("jumping_jacks", num_frames=90)
    for seed in range(20):
        window = draw_rest_window(clip, calm, np.random.default_rng(seed), window_s=WINDOW_S)
        body = window.keypoints[:, 0] - window.keypoints[:, 0].mean(axis=1, keepdims=True)
        middle = np.abs(window.times_s - (window.start_s + window.end_s) / 2) < 0.3
        torso = np.linalg.norm(body[0, PENN13.index("left_shoulder")] - body[0, PENN13.index("left_hip")])
        assert np.ptp(body[middle], axis=0).max() < 0.2 * torso


def test_spliced_windows_have_the_legs_of_one_and_all_else_of_the_other(make_clip: MakeClip) -> None:
    upper, lower = make_clip("wave", num_frames=40), make_clip("walk", num_frames=60)
    larger = replace(
        upper, keypoints=2 * upper.keypoints + 500, start_s=7.0, end_s=7 + 40 / 30, times_s=upper.times_s + 7
    )
    spliced = splice(larger, lower)
    legs = [place for place, name in enumerate(PENN13.joints) if name.split("_")[1:] in (["hip"], ["knee"], ["ankle"])]
    trunk = [place for place in range(13) if place not in legs]
    assert (len(legs), spliced.start_s, spliced.end_s) == (6, lower.start_s, lower.end_s)
    assert np.array_equal(spliced.keypoints[:, :, legs], lower.keypoints[:, :, legs])
    # Both stand upright with equal torsos but for the larger picture, so that arms are where the waver's are.
    hips = [PENN13.index("left_hip"), PENN13.index("right_hip")]
    above = spliced.keypoints - spliced.keypoints[:, :, hips].mean(axis=2, keepdims=True)
    waving = upper.keypoints - upper.keypoints[:, :, hips].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(above[:40, :, trunk], waving[:, :, trunk], atol=0.01)
    np.testing.assert_allclose(above[40:, :, trunk], np.broadcast_to(waving[-1:, :, trunk], (20, 1, 7, 2)), atol=0.01)


def test_spliced_joints_are_as_sure_as_they_were(make_clip: MakeClip) -> None:
    upper, lower = make_clip("wave"), make_clip("walk")
    spliced = splice(replace(upper, scores=upper.scores * 0.25), replace(lower, scores=lower.scores * 0.5))
    assert {float(score) for score in spliced.scores[:, 0, PENN13.index("left_knee")]} == {0.5}
    assert {float(score) for score in spliced.scores[:, 0, PENN13.index("left_wrist")]} == {0.25}
