"""From a skeleton clip to the one input that all recognisers share: float32 [T, M, V, C].

Training and serving call the same ``make_features`` with the same ``FeatureSpec``, which travels in the card; what is
particular to one recogniser (bones, motion, heatmaps) happens inside that model.

The time axis keeps real time: a window of ``window_s`` seconds becomes T frames whatever the camera's rate, so speed
means speed. The root's motion is kept too: a window is centred and scaled once, not frame by frame, or walking would
look like marking time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray

from pipeline.errors import UnfitClip
from pipeline.layouts import Layout, layout_named, map_joints
from pipeline.normalisation import ALIGNED, check_normalisation, normalise, torso_lengths, trunk_of
from pipeline.values import Features, SkeletonClip

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
B1 = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

CHANNELS = ("x", "y", "z", "score")
# A joint below this score is where the pose network guesses; interpolation in time guesses better.
MIN_JOINT_SCORE = 0.1
# A gap longer than this is not filled: the person was away, not blinked over.
MAX_FRAME_GAP_S = 0.5
# Motion counts this far to both sides of a window's middle.
MOTION_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """What a recogniser expects: T frames over ``window_s`` seconds, M people, and channels out of x, y, z, score.

    ``normalisation`` is one of ``pipeline.normalisation.NORMALISATIONS``: what the coordinates are counted from and in.
    """

    layout: str
    num_frames: int
    window_s: float
    num_people: int = 1
    channels: tuple[str, ...] = ("x", "y")
    normalisation: str = "torso"

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation, layout_named(self.layout))
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
    Values are normalised as the spec says. Frames that the clip does not cover (``mask`` false), people who are not
    there and joints never seen are zero. ``motion`` is in lengths of the torso, however the values are normalised.

    Raises:
        UnfitClip: the clip has no joint of the spec's layout, no depth where the spec asks for z, or not what its
            normalisation takes.
    """
    layout = layout_named(spec.layout)
    keypoints, scores = clip.keypoints, clip.scores
    if not scores.size:
        return _nobody(spec, layout)
    if clip.layout is not layout:
        _check_kinship(clip.layout, layout)
        keypoints, scores = map_joints(keypoints, scores, clip.layout.joints, layout)
    if "z" in spec.channels and keypoints.shape[-1] < 3:
        raise UnfitClip("the model takes keypoints of a depth sensor: expected x, y and z, got 2 coordinates a joint")
    people = _choose_people(scores, spec)
    keypoints, scores = keypoints[:, people], scores[:, people]
    centre_s, half_s = (clip.start_s + clip.end_s) / 2, spec.window_s / 2
    grid_s = frame_times(centre_s - half_s, centre_s + half_s, spec.num_frames)
    seen: B1 = scores > MIN_JOINT_SCORE
    mask = _cover(grid_s, clip.times_s, np.asarray(seen.any(axis=-1)))
    coordinates = _resample(keypoints, seen, clip.times_s, grid_s)
    known = np.broadcast_to(seen.any(axis=0), (spec.num_frames, len(people), len(layout))) & mask[..., None]
    torsos = np.where(known[..., None], torso_lengths(coordinates, known, layout), np.float32(0))
    if spec.normalisation == "torso":
        normalised = torsos
    else:
        normalised = normalise(coordinates, known, spec.normalisation, layout=layout, size_wh=clip.size_wh)
        normalised = np.where(known[..., None], normalised, np.float32(0))
    values = _stack_channels(normalised, scores, clip.times_s, grid_s, spec)
    values *= mask[..., None, None]
    motion = _motion(torsos[:, 0], known[:, 0], spec.window_s / spec.num_frames, layout)
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


@lru_cache
def _check_kinship(source: Layout, target: Layout) -> None:
    """Raise ``UnfitClip`` for layouts of which nothing can be mapped onto each other: a hand and a body."""
    point, certain = np.zeros((len(source), 1), np.float32), np.ones(len(source), np.float32)
    if not map_joints(point, certain, source.joints, target)[1].any():
        raise UnfitClip(f"the model takes skeletons of {target.name}, got {source.name}, which has no joint of it")


def _choose_people(scores: Float32[F32, "T M V"], spec: FeatureSpec) -> NDArray[np.int64]:
    """Return the best-seen people, in their own order; where one of them is the origin, those seen longest first."""
    best = np.sort(np.argsort(-scores.sum(axis=(0, 2)), kind="stable")[: spec.num_people])
    if spec.normalisation not in ALIGNED:
        return best
    num_frames = (scores[:, best] > MIN_JOINT_SCORE).any(axis=2).sum(axis=0)
    longest: NDArray[np.int64] = best[np.argsort(-num_frames, kind="stable")]
    return longest


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
        else:
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
    relative = steady[:, joints] - steady[:, trunk_of(layout, there)].mean(axis=1, keepdims=True)
    reaches = np.linalg.norm(relative.max(axis=0) - relative.min(axis=0), axis=-1)
    return float(np.sort(reaches)[-2])
