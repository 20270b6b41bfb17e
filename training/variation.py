"""How a whole sequence becomes a network's input: the part that is taken, how it fills the window, how it is varied.

What ``training.augment`` does for windows as cameras would see them, this does for sequences as papers train on them:
skeletons stay in the space that they were recorded in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from pipeline.features import FeatureSpec, frame_times
from pipeline.values import SkeletonClip
from training.augment import cut, rotation, torso_length
from training.sampling import TEST_SEED, sample_frames

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

NUM_DRIFT_KNOTS = 3
DRIFT_TURN = np.deg2rad(10)
DRIFT_SCALE = 0.1
# CSTA-CNN makes as many copies of a sample in this way as by crops.
SCATTERED_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How inputs stray from the recording; the defaults change nothing.

    ``fill``: "stretch" plays the sequence faster or slower until it fills the window, "repeat" plays it over and over,
    "pad" plays it once; of what is longer than a window, "repeat" and "pad" take a random part in training and the
    middle in a test. "sample" takes one frame at random out of each of as many equal parts as the network sees frames,
    in a test always the same ones (PoseC3D: see ``training.sampling``); "scatter" stretches, but for half of the inputs
    takes as many frames from anywhere in the whole sequence, in their order (CSTA-CNN). ``crop`` is the least and the
    largest share of the sequence that is taken before that, in a test the largest, from the middle. Angles turn about a
    random axis of each kind by up to so much; a skeleton in the plane has only a roll. ``stretch`` scales each axis by
    up to exp(+-stretch), ``jitter`` moves joints by so many torsos, ``lost_joints`` is the share of samples in which
    some joint is not seen, ``drift`` the random moves of ST-GCN (Yan et al. 2018): a shift by up to so many torsos, a
    turn by up to 10 degrees and a scale by up to 10 %, which change slowly along the clip.
    """

    fill: str = "stretch"
    crop: tuple[float, float] = (1.0, 1.0)
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    stretch: float = 0.0
    mirror_rate: float = 0.0
    jitter: float = 0.0
    lost_joints: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise ValueError(f"fill {self.fill!r}: expected one of {', '.join(FILLS)}")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"expected a crop such as (0.5, 1.0), got {self.crop}")


def vary(clip: SkeletonClip, settings: Variation, rng: np.random.Generator, *, spec: FeatureSpec) -> SkeletonClip:
    """Return a random input's clip, a window as the spec has it."""
    scattered = settings.fill == "scatter" and rng.random() < SCATTERED_SHARE
    share = 1.0 if scattered else rng.uniform(*settings.crop)
    part = _part(clip, share, rng.random())
    varied = _distort(_turn(_mirror(part, settings, rng), settings, rng), settings, rng)
    if scattered:
        return _frames(varied, _anywhere(varied.num_frames, spec.num_frames, rng), spec)
    if settings.fill == "sample":
        chance = np.random.RandomState(rng.integers(2**32))
        return _frames(varied, sample_frames(varied.num_frames, spec.num_frames, rng=chance)[0], spec)
    return FILLS[settings.fill](varied, spec.window_s, rng.random())


def settle(clip: SkeletonClip, settings: Variation, *, spec: FeatureSpec) -> SkeletonClip:
    """Return a test's clip: the middle of the sequence as it was recorded."""
    part = _part(clip, settings.crop[1], 0.5)
    if settings.fill == "sample":
        chance = np.random.RandomState(TEST_SEED)
        return _frames(part, sample_frames(part.num_frames, spec.num_frames, rng=chance, testing=True)[0], spec)
    return FILLS[settings.fill](part, spec.window_s, 0.5)


def _anywhere(num_frames: int, wanted: int, rng: np.random.Generator) -> Int64[I64, " T"]:
    """Draw frames in their order, none twice where there are enough."""
    return np.sort(rng.choice(num_frames, wanted, replace=num_frames < wanted))


def _frames(clip: SkeletonClip, places: Int64[I64, " T"], spec: FeatureSpec) -> SkeletonClip:
    """Take frames as a window's, at the very moments that features are made of."""
    return replace(
        clip,
        keypoints=clip.keypoints[places],
        scores=clip.scores[places],
        times_s=frame_times(0.0, spec.window_s, len(places)),
        start_s=0.0,
        end_s=spec.window_s,
    )


def _part(clip: SkeletonClip, share: float, place: float) -> SkeletonClip:
    """Take a share of the sequence, at a place between its beginning (0) and its end (1); its times start at 0."""
    whole_s = clip.end_s - clip.start_s
    start_s = clip.start_s + (1 - share) * whole_s * place
    part = cut(clip, start_s, start_s + share * whole_s) if share < 1 else clip
    return replace(part, times_s=part.times_s - part.start_s, start_s=0.0, end_s=part.end_s - part.start_s)


def _stretched(clip: SkeletonClip, window_s: float, _place: float) -> SkeletonClip:
    return replace(clip, times_s=clip.times_s * (window_s / clip.end_s), end_s=window_s)


def _padded(clip: SkeletonClip, window_s: float, place: float) -> SkeletonClip:
    """Let what is short begin at the window's beginning, as papers pad with zeros at the end."""
    start_s = max(clip.end_s - window_s, 0.0) * place
    return cut(clip, start_s, start_s + window_s)


def _repeated(clip: SkeletonClip, window_s: float, place: float) -> SkeletonClip:
    rounds = int(np.ceil(window_s / clip.end_s))
    if rounds > 1:
        clip = replace(
            clip,
            keypoints=np.tile(clip.keypoints, (rounds, 1, 1, 1)),
            scores=np.tile(clip.scores, (rounds, 1, 1)),
            times_s=np.concatenate([clip.times_s + number * clip.end_s for number in range(rounds)]),
        )
        place = 0.0
    return _padded(clip, window_s, place)


# "sample" and "scatter" are stretched wherever no frames are drawn for them.
FILLS: Mapping[str, Callable[[SkeletonClip, float, float], SkeletonClip]] = {
    "stretch": _stretched,
    "repeat": _repeated,
    "pad": _padded,
    "sample": _stretched,
    "scatter": _stretched,
}


def _mirror(clip: SkeletonClip, settings: Variation, rng: np.random.Generator) -> SkeletonClip:
    if rng.random() >= settings.mirror_rate:
        return clip
    order = list(clip.layout.mirrored)
    flip = np.ones(clip.keypoints.shape[-1], np.float32)
    flip[0] = -1
    return replace(clip, keypoints=clip.keypoints[:, :, order] * flip, scores=clip.scores[:, :, order])


def _turn(clip: SkeletonClip, settings: Variation, rng: np.random.Generator) -> SkeletonClip:
    """Turn and scale the scene about its middle."""
    num_axes = clip.keypoints.shape[-1]
    limits = np.deg2rad([settings.yaw_deg, settings.pitch_deg, settings.roll_deg])
    yaw, pitch, roll = rng.uniform(-1, 1, 3) * limits
    matrix = rotation(yaw, pitch, roll) if num_axes == 3 else rotation(0.0, 0.0, roll)[:2, :2]
    scale = np.exp(rng.uniform(-settings.stretch, settings.stretch, num_axes)).astype(np.float32)
    middle = _middle(clip)
    return replace(clip, keypoints=((clip.keypoints - middle) @ matrix * scale + middle).astype(np.float32))


def _middle(clip: SkeletonClip) -> Float32[F32, " D"]:
    seen = clip.scores > 0
    middle: F32 = clip.keypoints[seen].mean(axis=0) if seen.any() else np.zeros(clip.keypoints.shape[-1], np.float32)
    return middle


def _distort(clip: SkeletonClip, settings: Variation, rng: np.random.Generator) -> SkeletonClip:
    """Err as sensors and people do: joints a little off, one of them lost, everything slowly drifting."""
    keypoints, scores = clip.keypoints, clip.scores
    torso = torso_length(clip) if settings.jitter or settings.drift else 0.0
    if settings.jitter:
        keypoints = keypoints + (settings.jitter * torso * rng.standard_normal(keypoints.shape)).astype(np.float32)
    if settings.drift:
        keypoints = _drifting(replace(clip, keypoints=keypoints), settings.drift * torso, rng)
    if rng.random() < settings.lost_joints:
        kept = np.ones(scores.shape[-1], np.float32)
        kept[rng.integers(len(kept))] = 0
        scores = scores * kept
    return replace(clip, keypoints=keypoints, scores=scores)


def _drifting(clip: SkeletonClip, reach: float, rng: np.random.Generator) -> Float32[F32, "T M V D"]:
    """Move, turn and scale the picture plane along paths through a few random points, the same for all joints."""
    knots = rng.uniform(-1, 1, (4, NUM_DRIFT_KNOTS)) * np.array([[DRIFT_TURN], [DRIFT_SCALE], [reach], [reach]])
    moments = np.linspace(clip.start_s, clip.end_s, NUM_DRIFT_KNOTS)
    turn, scale, x, y = (np.interp(clip.times_s, moments, row).astype(np.float32)[:, None, None] for row in knots)
    plane = clip.keypoints[..., :2] - _middle(clip)[:2]
    turned = np.stack(
        [
            (1 + scale) * (np.cos(turn) * plane[..., 0] - np.sin(turn) * plane[..., 1]) + x,
            (1 + scale) * (np.sin(turn) * plane[..., 0] + np.cos(turn) * plane[..., 1]) + y,
        ],
        axis=-1,
    )
    return np.concatenate([turned + _middle(clip)[:2], clip.keypoints[..., 2:]], axis=-1).astype(np.float32)
