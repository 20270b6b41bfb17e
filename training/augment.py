"""Make one recorded sequence into the many windows that real cameras and real pose networks would give of it.

Every function takes a clip and an ``rng`` and returns a new clip. The order in ``draw_window`` is the order of the
world: a camera looks (``view``), the action happens at some speed and place in time (``place``), the camera samples it
(``resample_frames``), the pose network errs (``add_pose_noise``).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from pipeline.layouts import Layout
from pipeline.values import SkeletonClip

F32 = NDArray[np.float32]

FOCAL_PX = 1000.0
# How far from an action somebody is at rest: nearer, they may be about to begin.
REST_S = (0.4, 1.2)
# What legs are made of; all else goes with the trunk.
LEG_JOINTS = ("hip", "knee", "ankle", "heel", "foot", "toe")
# Hands and feet are found less exactly than shoulders: COCO's own per-joint spread, rounded.
LOOSE_JOINTS = ("wrist", "ankle", "elbow", "knee", "hand", "foot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far windows stray from the recording: lengths in torsos, times in s, ``*_share`` and ``*_rate`` in [0, 1]."""

    yaw_deg: float = 75.0
    pitch_deg: tuple[float, float] = (-10.0, 30.0)
    roll_deg: float = 8.0
    distance_m: tuple[float, float] = (2.5, 9.0)
    stretch: float = 0.25
    mirror_rate: float = 0.5
    speed: float = 1.5
    repeat_rate: float = 0.8
    hold_rate: float = 0.6
    partial_rate: float = 0.2
    shortest_s: float = 0.8
    camera_fps: tuple[float, float] = (8.0, 30.0)
    jitter: float = 0.05
    wander: float = 0.05
    head_shift: float = 0.12
    missing_share: float = 0.2
    lost_joint_rate: float = 0.3
    cut_off_rate: float = 0.12
    swap_rate: float = 0.1


def draw_window(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, *, window_s: float, repeats: bool
) -> SkeletonClip:
    """Return one random window of a sequence as a camera and a pose network would have given it, in 2D px.

    ``repeats`` says that the action is one that people do over and over, so that a short recording is one cycle of it.
    """
    return film(perform(clip, settings, rng, window_s=window_s, repeats=repeats), settings, rng)


def perform(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, *, window_s: float, repeats: bool
) -> SkeletonClip:
    """Return one random window of a sequence as it happens before a camera, in 2D px, before anybody records it."""
    return place(mirror(view(clip, settings, rng), settings, rng), settings, rng, window_s=window_s, repeats=repeats)


def film(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    """Return what a camera and a pose network would have given of what happened."""
    return add_pose_noise(resample_frames(clip, settings, rng), settings, rng)


def draw_still_window(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, *, window_s: float
) -> SkeletonClip:
    """Return a window in which the person holds one pose of the sequence, swaying a little."""
    moment = int(rng.integers(clip.num_frames))
    fps = 30.0
    num = int(window_s * fps)
    still = replace(
        clip,
        keypoints=np.repeat(clip.keypoints[moment : moment + 1], num, axis=0),
        scores=np.repeat(clip.scores[moment : moment + 1], num, axis=0),
        times_s=np.arange(num) / fps,
        start_s=0.0,
        end_s=window_s,
    )
    seen = sway(mirror(view(still, settings, rng), settings, rng), rng)
    placed = place(seen, settings, rng, window_s=window_s, repeats=False)
    return film(placed, settings, rng)


def draw_rest_window(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, *, window_s: float
) -> SkeletonClip:
    """Return a window about a moment of rest, some 0.4 to 1.2 s after an action or before it."""
    seen = mirror(view(clip, settings, rng), settings, rng)
    held = _hold_ends(seen, window_s)
    away_s = rng.uniform(*REST_S)
    middle_s = window_s - away_s if rng.random() < 0.5 else _duration(held) - window_s + away_s
    window = cut(held, middle_s - window_s / 2, middle_s + window_s / 2)
    return film(sway(window, rng), settings, rng)


def view(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    """Look at a 3D clip through a random camera; turn, stretch and shear a 2D one a little."""
    if clip.keypoints.shape[-1] == 3:
        return _project(clip, settings, rng)
    roll = np.deg2rad(rng.uniform(-settings.roll_deg, settings.roll_deg))
    wide = np.exp(rng.uniform(-settings.stretch, settings.stretch))
    shear = rng.uniform(-0.1, 0.1)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    matrix = np.array([[wide, 0.0], [shear, 1.0]]) @ turn
    return replace(clip, keypoints=clip.keypoints @ matrix.astype(np.float32))


def _project(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    yaw, pitch, roll = np.deg2rad(
        (
            rng.uniform(-settings.yaw_deg, settings.yaw_deg),
            rng.uniform(*settings.pitch_deg),
            rng.uniform(-settings.roll_deg, settings.roll_deg),
        )
    )
    known = clip.scores > 0
    centre = clip.keypoints[known].mean(axis=0) if known.any() else np.zeros(3, np.float32)
    turned = (clip.keypoints - centre) @ rotation(yaw, pitch, roll)
    depth = turned[..., 2:] + np.float32(rng.uniform(*settings.distance_m))
    return replace(clip, keypoints=np.float32(FOCAL_PX) * turned[..., :2] / np.maximum(depth, np.float32(0.3)))


def rotation(yaw: float, pitch: float, roll: float) -> Float32[F32, "3 3"]:
    """Return the matrix that turns row vectors (x right, y down, z away) by these angles in radians."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turned: F32 = (about_y @ about_x @ about_z).astype(np.float32)
    return turned


def mirror(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    """Exchange left and right, as in a mirror, at random."""
    if rng.random() >= settings.mirror_rate:
        return clip
    order = list(clip.layout.mirrored)
    flip = np.array([-1, 1], np.float32)
    return replace(clip, keypoints=clip.keypoints[:, :, order] * flip, scores=clip.scores[:, :, order])


def place(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, *, window_s: float, repeats: bool
) -> SkeletonClip:
    """Play the sequence at a random speed, fill up what is shorter than a window, and cut a random window out of it.

    A short recording of a repeated action goes on in cycles; in another one the person may hold still before and after,
    and the window's middle is somewhere in the action. Some windows are only partly covered, as where a track begins.
    """
    played = replace(clip, times_s=clip.times_s * np.exp(rng.uniform(-1, 1) * np.log(settings.speed)))
    duration = _duration(played)
    if duration < window_s:
        if repeats and rng.random() < settings.repeat_rate:
            played = _repeat(played, int(np.ceil(window_s / duration)) + 1)
        elif rng.random() < settings.hold_rate:
            start = rng.uniform(0.0, duration)
            return cut(_hold_ends(played, window_s / 2), start, start + window_s)
    return _cut_somewhere(played, settings, rng, window_s)


def _cut_somewhere(
    clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator, window_s: float
) -> SkeletonClip:
    duration = _duration(clip)
    start = rng.uniform(min(0.0, duration - window_s), max(0.0, duration - window_s))
    if rng.random() < settings.partial_rate and duration > settings.shortest_s:
        start += rng.choice([-1.0, 1.0]) * rng.uniform(0.0, window_s - min(settings.shortest_s, window_s))
    start = float(np.clip(start, settings.shortest_s - window_s, max(duration - settings.shortest_s, 0.0)))
    return cut(clip, start, start + window_s)


def cut(clip: SkeletonClip, start_s: float, end_s: float) -> SkeletonClip:
    """Return the frames of [start_s, end_s), as a window with those bounds."""
    chosen = (clip.times_s >= start_s) & (clip.times_s < end_s)
    if not chosen.any():
        chosen[np.abs(clip.times_s - (start_s + end_s) / 2).argmin()] = True
    return replace(
        clip,
        keypoints=clip.keypoints[chosen],
        scores=clip.scores[chosen],
        times_s=clip.times_s[chosen],
        start_s=start_s,
        end_s=end_s,
    )


def _step(clip: SkeletonClip) -> float:
    return float(np.median(np.diff(clip.times_s))) if clip.num_frames > 1 else 1 / 30


def _duration(clip: SkeletonClip) -> float:
    return float(clip.times_s[-1]) + _step(clip)


def _repeat(clip: SkeletonClip, cycles: int) -> SkeletonClip:
    length = float(clip.times_s[-1]) + _step(clip)
    return replace(
        clip,
        keypoints=np.tile(clip.keypoints, (cycles, 1, 1, 1)),
        scores=np.tile(clip.scores, (cycles, 1, 1)),
        times_s=np.concatenate([clip.times_s + cycle * length for cycle in range(cycles)]),
    )


def _hold_ends(clip: SkeletonClip, held_s: float) -> SkeletonClip:
    """Let the person stand as they began for a while, and stay as they ended."""
    step = _step(clip)
    counts = np.ones(clip.num_frames, int)
    counts[[0, -1]] += round(held_s / step)
    return replace(
        clip,
        keypoints=np.repeat(clip.keypoints, counts, axis=0),
        scores=np.repeat(clip.scores, counts, axis=0),
        times_s=np.arange(counts.sum()) * step,
    )


def strum(clip: SkeletonClip, rng: np.random.Generator) -> SkeletonClip:
    """Swing one hand about the elbow as a guitarist does: Penn Action's annotators left those hands where they were."""
    side = rng.choice(["left", "right"])
    wrist, elbow = (clip.layout.index(f"{side}_{joint}") for joint in ("wrist", "elbow"))
    swing = np.sin(2 * np.pi * rng.uniform(1.0, 4.0) * clip.times_s + rng.uniform(0, 2 * np.pi))
    angle = rng.uniform(0.1, 0.6) * swing
    arm = clip.keypoints[:, 0, wrist] - clip.keypoints[:, 0, elbow]
    across = np.stack([-arm[:, 1], arm[:, 0]], axis=-1)
    keypoints = clip.keypoints.copy()
    keypoints[:, 0, wrist] += (np.cos(angle) - 1)[:, None] * arm + np.sin(angle)[:, None] * across
    return replace(clip, keypoints=keypoints)


def splice(upper: SkeletonClip, lower: SkeletonClip) -> SkeletonClip:
    """Put the trunk, arms and head of one window on the legs of another, at its hips and as large as it is, in 2D."""
    is_leg = np.array([name.split("_")[-1] in LEG_JOINTS for name in lower.layout.joints])
    hips = [lower.layout.index(f"{side}_hip") for side in ("left", "right")]
    moving = _at(upper, lower.times_s - lower.start_s + upper.start_s)
    larger = np.float32(torso_length(lower) / max(torso_length(upper), 1e-6))
    middle, wanted = (clip.keypoints[:, :, hips].mean(axis=2, keepdims=True) for clip in (moving, lower))
    return replace(
        lower,
        keypoints=np.where(is_leg[:, None], lower.keypoints, wanted + larger * (moving.keypoints - middle)),
        scores=np.where(is_leg, lower.scores, moving.scores),
    )


def _at(clip: SkeletonClip, times_s: NDArray[np.float64]) -> SkeletonClip:
    """Return the clip at other moments, between its frames in a straight line; before and after, people keep still."""
    places = np.interp(times_s, clip.times_s, np.arange(clip.num_frames))
    keypoints, scores = (_between(rows, places).astype(np.float32) for rows in (clip.keypoints, clip.scores))
    return replace(clip, keypoints=keypoints, scores=scores, times_s=times_s)


def sway(clip: SkeletonClip, rng: np.random.Generator) -> SkeletonClip:
    """Let a standing person drift and sway: up to 4 % of a torso, and a slow pan of the camera."""
    size = torso_length(clip)
    times = clip.times_s[:, None, None, None].astype(np.float32)
    rate, phase = rng.uniform(0.2, 1.0, (2, 1, 1, 2)), rng.uniform(0, 2 * np.pi, (2, 1, 1, 2))
    reach = size * rng.uniform(0, 0.03, (2, 1, 1, 2)) * np.array([[[[1, 1]]], [[[0.5, 0.5]]]])
    upper = np.linspace(1, 0, clip.keypoints.shape[2])[None, None, :, None]
    wave = reach[0] * np.sin(2 * np.pi * rate[0] * times + phase[0]) + upper * reach[1] * np.sin(
        2 * np.pi * rate[1] * times + phase[1]
    )
    pan = size * rng.normal(0, 0.04, 2) * times
    return replace(clip, keypoints=(clip.keypoints + wave + pan).astype(np.float32))


def resample_frames(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    """Keep the frames that a camera of a random rate would have taken."""
    fps = rng.uniform(*settings.camera_fps)
    if clip.num_frames < 3 or fps >= 1 / _step(clip):
        return clip
    ticks = np.floor((clip.times_s - clip.times_s[0]) * fps + rng.random())
    chosen = np.concatenate([[True], np.diff(ticks) > 0])
    return replace(clip, keypoints=clip.keypoints[chosen], scores=clip.scores[chosen], times_s=clip.times_s[chosen])


def add_pose_noise(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> SkeletonClip:
    """Err as pose networks do: jitter, slow wander, joints missing, limbs exchanged, people cut off by the picture."""
    frames, people, joints, _ = clip.keypoints.shape
    size = torso_length(clip)
    loose = _looseness(clip.layout)[:, None]
    jitter = rng.normal(size=clip.keypoints.shape) * rng.uniform(0, settings.jitter) * size * loose
    knots = rng.normal(size=(4, people, joints, 2)) * rng.uniform(0, settings.wander) * size * loose
    wander = _between(knots, np.linspace(0, len(knots) - 1, frames))
    keypoints = clip.keypoints + (jitter + wander + _head_offset(clip, settings, rng)).astype(np.float32)
    scores = clip.scores * (rng.random(clip.scores.shape) >= rng.uniform(0, settings.missing_share))
    if rng.random() < settings.swap_rate:
        keypoints = _swap_limbs(keypoints, clip.layout, rng)
    if rng.random() < settings.lost_joint_rate:
        scores = scores * _lose_joints(clip, rng)
    if rng.random() < settings.cut_off_rate:
        scores = scores * _cut_off(keypoints, rng)
    return replace(clip, keypoints=keypoints, scores=scores.astype(np.float32))


def torso_length(clip: SkeletonClip) -> float:
    """Return the median distance between the middles of the shoulders and of the hips, in the clip's unit."""
    joints = [clip.layout.index(f"{side}_{joint}") for joint in ("shoulder", "hip") for side in ("left", "right")]
    points = clip.keypoints[:, 0, joints]
    spans = np.linalg.norm(points[:, :2].mean(axis=1) - points[:, 2:].mean(axis=1), axis=-1)
    return float(np.median(spans))


def _looseness(layout: Layout) -> F32:
    return np.array([1.3 if name.split("_")[-1] in LOOSE_JOINTS else 0.8 for name in layout.joints], np.float32)


def _head_offset(clip: SkeletonClip, settings: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return one shift of the head for all frames: annotators mean its top, its middle or the face."""
    offset = np.zeros((1, 1, clip.keypoints.shape[2], 2))
    if "head" in clip.layout.joints:
        offset[..., clip.layout.index("head"), :] = rng.normal(size=2) * settings.head_shift * torso_length(clip)
    return offset


def _between(rows: NDArray[np.floating], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows at places that need not be whole, each in a straight line between its neighbours."""
    before, after = np.floor(places).astype(int), np.ceil(places).astype(int)
    share = (places - before).reshape(-1, *[1] * (rows.ndim - 1))
    between: NDArray[np.float64] = rows[before] * (1 - share) + rows[after] * share
    return between


def _span(frames: int, rng: np.random.Generator) -> slice:
    length = int(rng.integers(1, max(frames // 2, 2)))
    start = int(rng.integers(0, max(frames - length, 1)))
    return slice(start, start + length)


def _swap_limbs(keypoints: F32, layout: Layout, rng: np.random.Generator) -> F32:
    """Exchange left and right arms or legs for a while."""
    chosen = ("elbow", "wrist") if rng.random() < 0.5 else ("knee", "ankle")
    order = [
        other if name.split("_")[-1] in chosen else place
        for place, (name, other) in enumerate(zip(layout.joints, layout.mirrored, strict=True))
    ]
    span = _span(len(keypoints), rng)
    swapped = keypoints.copy()
    swapped[span] = keypoints[span][:, :, order]
    return swapped


def _lose_joints(clip: SkeletonClip, rng: np.random.Generator) -> F32:
    """Return a mask that loses one to three joints, for a while or all along."""
    kept = np.ones_like(clip.scores)
    for joint in rng.choice(clip.scores.shape[-1], size=int(rng.integers(1, 4)), replace=False):
        kept[slice(None) if rng.random() < 0.4 else _span(len(kept), rng), :, joint] = 0
    return kept


def _cut_off(keypoints: F32, rng: np.random.Generator) -> F32:
    """Return a mask that loses everything below, or beyond one side of, a line through the person."""
    axis = 1 if rng.random() < 0.7 else 0
    low, high = np.quantile(keypoints[..., axis], [0.0, 1.0])
    line = low + (high - low) * rng.uniform(0.55, 0.9)
    beyond = (
        keypoints[..., axis] > line if axis == 1 or rng.random() < 0.5 else keypoints[..., axis] < low + high - line
    )
    kept: F32 = (~beyond).astype(np.float32)
    return kept
