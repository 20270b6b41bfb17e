"""From a skeleton clip to the one input that all recognisers share: float32 [T, M, V, C].

Training and serving call the same ``make_features`` with the same ``FeatureSpec``, which travels in the card; what is
particular to one recogniser (bones, motion, heatmaps) happens inside that model.

The time axis keeps real time: a window of ``window_s`` seconds becomes T frames whatever the camera's rate, so speed
means speed. The root's motion is kept too: a window is centred and scaled once, not frame by frame, or walking would
look like marking time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray

from pipeline.layouts import Layout, layout_named, map_joints
from pipeline.values import Features, SkeletonClip

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
B1 = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

CHANNELS = ("x", "y", "z", "score")
# A joint below this score is where the pose network guesses; interpolation in time guesses better.
MIN_JOINT_SCORE = 0.1
# Length of a bone seen at right angles, in lengths of the torso (Drillis and Contini 1966, segment lengths by stature).
BONES_IN_TORSOS = (("hip", "knee", 0.85), ("knee", "ankle", 0.85))
# A gap longer than this is not filled: the person was away, not blinked over.
MAX_FRAME_GAP_S = 0.5
# Motion counts this far to both sides of a window's middle.
MOTION_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """What a recogniser expects: T frames over ``window_s`` seconds, M people, and channels out of x, y, z, score."""

    layout: str
    num_frames: int
    window_s: float
    num_people: int = 1
    channels: tuple[str, ...] = ("x", "y")

    def __post_init__(self) -> None:
        layout_named(self.layout)
        if self.num_frames < 2 or self.num_people < 1 or not self.window_s > 0:
            raise ValueError(
                f"expected num_frames >= 2, num_people >= 1 and window_s > 0, got {self.num_frames}, "
                f"{self.num_people} and {self.window_s}"
            )
        if not self.channels or not set(self.channels) <= set(CHANNELS):
            raise ValueError(
                f"expected channels out of {', '.join(CHANNELS)}, got {', '.join(self.channels) or 'none'}"
            )


def make_features(clip: SkeletonClip, spec: FeatureSpec) -> Features:
    """Choose people, map joints, fill gaps, resample in time, centre and scale.

    The T frames span ``window_s`` about the middle of the clip's window; a shorter window leaves the rest empty.
    Values are in lengths of the torso about the window's mean body centre, y down. Frames that the clip does not cover
    (``mask`` false), people who are not there and joints never seen are zero.
    """
    layout = layout_named(spec.layout)
    keypoints, scores = clip.keypoints, clip.scores
    if not scores.size:
        return _nobody(spec, layout)
    if clip.layout is not layout:
        keypoints, scores = map_joints(keypoints, scores, clip.layout.joints, layout)
    people = _choose_people(scores, spec.num_people)
    keypoints, scores = keypoints[:, people], scores[:, people]
    centre_s, half_s = (clip.start_s + clip.end_s) / 2, spec.window_s / 2
    grid_s = frame_times(centre_s - half_s, centre_s + half_s, spec.num_frames)
    seen: B1 = scores > MIN_JOINT_SCORE
    mask = _cover(grid_s, clip.times_s, np.asarray(seen.any(axis=-1)))
    coordinates = _resample(keypoints, seen, clip.times_s, grid_s)
    known = np.broadcast_to(seen.any(axis=0), (spec.num_frames, len(people), len(layout))) & mask[..., None]
    coordinates = np.where(known[..., None], _normalise(coordinates, known, layout), np.float32(0))
    values = _stack_channels(coordinates, scores, clip.times_s, grid_s, spec)
    values *= mask[..., None, None]
    motion = _motion(coordinates[:, 0], known[:, 0], spec.window_s / spec.num_frames, layout)
    return Features(_pad_people(values, spec.num_people), _pad_people(mask, spec.num_people), motion)


def frame_times(start_s: float, end_s: float, num_frames: int) -> Float64[F64, " T"]:
    """Return the moments that a window's T frames stand for: the middles of T equal parts."""
    moments = (np.arange(num_frames) + 0.5) / num_frames
    return (start_s + (end_s - start_s) * moments).astype(np.float64)


def stack_features(features: Sequence[Features]) -> Float32[F32, "N T M V C"]:
    """Batch windows for a recogniser."""
    return np.stack([window.values for window in features])


def _nobody(spec: FeatureSpec, layout: Layout) -> Features:
    shape = spec.num_frames, spec.num_people
    values = np.zeros((*shape, len(layout), len(spec.channels)), np.float32)
    return Features(values, np.zeros(shape, np.bool_), float("inf"))


def _choose_people(scores: Float32[F32, "T M V"], num_people: int) -> NDArray[np.int64]:
    """Return the best-seen people, in their own order."""
    best = np.argsort(-scores.sum(axis=(0, 2)), kind="stable")[:num_people]
    return np.sort(best)


def _cover(grid_s: Float64[F64, " T"], times_s: Float64[F64, " T0"], there: Bool[B1, "T0 M"]) -> Bool[B1, "T M"]:
    """Say which moments of the grid have a frame with the person close by."""
    mask = np.zeros((len(grid_s), there.shape[1]), bool)
    for person in range(there.shape[1]):
        times = times_s[there[:, person]]
        if len(times):
            after = np.searchsorted(times, grid_s).clip(0, len(times) - 1)
            before = (np.searchsorted(times, grid_s, side="right") - 1).clip(0)
            inside = (times[after] - times[before]) <= MAX_FRAME_GAP_S
            step = np.median(np.diff(times)) if len(times) > 1 else 0.0
            near = np.minimum(np.abs(times[after] - grid_s), np.abs(times[before] - grid_s)) <= max(step, 1e-6)
            mask[:, person] = near | (inside & (times[0] <= grid_s) & (grid_s <= times[-1]))
    return mask


def _resample(
    keypoints: Float32[F32, "T0 M V D"],
    seen: Bool[B1, "T0 M V"],
    times_s: Float64[F64, " T0"],
    grid_s: Float64[F64, " T"],
) -> Float32[F32, "T M V D"]:
    """Interpolate each joint over the frames in which it was seen; hold it before the first and after the last."""
    _, num_people, num_joints, num_axes = keypoints.shape
    resampled = np.zeros((len(grid_s), num_people, num_joints, num_axes), np.float32)
    for person in range(num_people):
        for joint in range(num_joints):
            chosen = seen[:, person, joint]
            if chosen.any():
                track = keypoints[chosen, person, joint]
                for axis in range(num_axes):
                    resampled[:, person, joint, axis] = np.interp(grid_s, times_s[chosen], track[:, axis])
    return resampled


def _normalise(
    coordinates: Float32[F32, "T M V D"], known: Bool[B1, "T M V"], layout: Layout
) -> Float32[F32, "T M V D"]:
    """Move the first person's body centre to the origin and divide by their torso length, once a window."""
    if not known.any():
        return coordinates
    first = int(np.argmax(known.any(axis=(0, 2))))
    body, there = coordinates[:, first], known[:, first]
    trunk = _trunk(layout, there)
    centre = body[:, trunk][there[:, trunk]].mean(axis=0)
    normalised: F32 = (coordinates - centre) / np.float32(_body_scale(body, there, layout))
    return normalised


def _body_scale(body: Float32[F32, "T V D"], there: Bool[B1, "T V"], layout: Layout) -> float:
    """Estimate the length of the torso.

    A bone turned towards the camera only ever looks shorter, so the longest estimate of several bones is the best one;
    each is a median over time, which single wrong joints do not move.
    """
    frames = there.any(axis=-1)
    points = {
        name: (body[frames, layout.index(name)], bool(there[:, layout.index(name)].any()))
        for side in ("left", "right")
        for name in (f"{side}_shoulder", f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    }
    spans = [
        (points[f"{side}_{upper}"], points[f"{side}_{lower}"], share)
        for side in ("left", "right")
        for upper, lower, share in (("shoulder", "hip", 1.0), *BONES_IN_TORSOS)
    ]
    lengths = [
        float(np.median(np.linalg.norm(upper - lower, axis=-1))) / share
        for (upper, upper_seen), (lower, lower_seen), share in spans
        if upper_seen and lower_seen
    ]
    if lengths and max(lengths) > 0:
        return max(lengths)
    spread = body[there]
    return max(float(np.linalg.norm(spread - spread.mean(axis=0), axis=-1).mean()), 1e-6)


def _stack_channels(
    coordinates: Float32[F32, "T M V D"],
    scores: Float32[F32, "T0 M V"],
    times_s: Float64[F64, " T0"],
    grid_s: Float64[F64, " T"],
    spec: FeatureSpec,
) -> Float32[F32, "T M V C"]:
    values = np.zeros((*coordinates.shape[:3], len(spec.channels)), np.float32)
    nearest = np.abs(times_s[None] - grid_s[:, None]).argmin(axis=1)
    for place, channel in enumerate(spec.channels):
        axis = CHANNELS.index(channel)
        if channel == "score":
            values[..., place] = scores[nearest]
        elif axis < coordinates.shape[-1]:
            values[..., place] = coordinates[..., axis]
    return values


def _pad_people(values: NDArray[Scalar], num_people: int) -> NDArray[Scalar]:
    missing = num_people - values.shape[1]
    if missing <= 0:
        return values
    return np.concatenate([values, np.zeros((len(values), missing, *values.shape[2:]), values.dtype)], axis=1)


def _motion(body: Float32[F32, "T V D"], there: Bool[B1, "T V"], step_s: float, layout: Layout) -> float:
    """Measure how far the second most mobile joint goes, against the trunk, about the middle of the window.

    The second, because one wrong joint is common and two are not; against the trunk, because a camera pans. A mean over
    three frames takes out most of a pose network's jitter. Without enough frames to tell, the answer is infinite.
    """
    middle, reach = len(body) // 2, round(MOTION_S / step_s)
    near = slice(max(middle - reach - 1, 0), middle + reach + 1)
    frames = body[near][there[near].any(axis=-1)]
    joints = np.flatnonzero(there.any(axis=0))
    if len(frames) < 5 or len(joints) < 2:
        return float("inf")
    steady = (frames[:-2] + frames[1:-1] + frames[2:]) / 3
    relative = steady[:, joints] - steady[:, _trunk(layout, there)].mean(axis=1, keepdims=True)
    reaches = np.linalg.norm(relative.max(axis=0) - relative.min(axis=0), axis=-1)
    return float(np.sort(reaches)[-2])


def _trunk(layout: Layout, there: Bool[B1, "T V"]) -> list[int]:
    """Return the corners of the trunk that are there at all; if none is, all joints that are."""
    known = np.flatnonzero(there.any(axis=0)).tolist()
    corners = [layout.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("shoulder", "hip")]
    return [joint for joint in corners if joint in known] or known
