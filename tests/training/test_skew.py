"""No train/serve skew: a data set's window and the one that serving cuts of the same person are equal bit for bit."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pipeline.clips import Windower
from pipeline.features import FeatureSpec, make_features
from pipeline.values import Features, Poses, SkeletonClip
from training.datasets.skeleton_set import SkeletonSet
from training.evaluate import as_seen
from training.recipes.everyday import everyday
from training.windows import cover

# Windows and strides are binary fractions, so that both ways of counting come to the same moments.
SPEC = FeatureSpec(layout="penn13", num_frames=36, window_s=2.5)
STRIDE_S = 0.25


def frames_of(clip: SkeletonClip) -> Iterator[tuple[Poses, float]]:
    """Yield a clip frame by frame, as a tracker would hand it on."""
    for keypoints, scores, time_s in zip(clip.keypoints, clip.scores, clip.times_s.tolist(), strict=True):
        boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=-1)
        yield Poses(keypoints, scores, boxes, scores.mean(axis=-1), np.array([7])), time_s


def served(clip: SkeletonClip, spec: FeatureSpec, *, stride_s: float = STRIDE_S) -> dict[float, Features]:
    """Return what serving makes of a clip: features by the moment that their window begins."""
    windower = Windower(clip.layout, window_s=spec.window_s, stride_s=stride_s)
    windows = [window for poses, time_s in frames_of(clip) for window in windower.push(poses, time_s)]
    return {window.start_s: make_features(window, spec) for window in (*windows, *windower.finish())}


def assert_equal_windows(clip: SkeletonClip, spec: FeatureSpec, *, stride_s: float = STRIDE_S) -> int:
    """Compare every window that both sides have; return how many there are."""
    by_start, compared = served(clip, spec, stride_s=stride_s), 0
    for window in cover(clip, window_s=spec.window_s, stride_s=stride_s):
        if window.start_s in by_start:
            trained, here = make_features(window, spec), by_start[window.start_s]
            assert np.array_equal(trained.values, here.values)
            assert np.array_equal(trained.mask, here.mask)
            assert trained.motion == here.motion
            compared += 1
    return compared


def test_every_window_of_a_sequence_is_the_one_that_is_served(make_clip: Callable[..., SkeletonClip]) -> None:
    assert assert_equal_windows(make_clip("walk", num_frames=150), SPEC) == 11


def test_a_short_sequence_in_the_middle_of_its_window_is_as_served(make_clip: Callable[..., SkeletonClip]) -> None:
    clip = make_clip("wave", num_frames=60, fps=32.0)  # 1.875 s; its middle is at 0.9375 s
    assert assert_equal_windows(clip, SPEC, stride_s=0.9375) == 1


def test_windows_of_real_sequences_are_those_that_are_served(real_set: SkeletonSet, rng: np.random.Generator) -> None:
    lengths = np.diff(real_set.offsets) / real_set.fps
    spec = replace(SPEC, window_s=2.5 if lengths.max() > 3 else 1.0)
    longest = np.argsort(-lengths, kind="stable")[:4]
    compared = [assert_equal_windows(as_seen(real_set.clip(int(index)), rng), spec) for index in longest]
    assert min(compared) >= 1
    assert sum(compared) >= 8


def test_the_everyday_recipe_trains_on_the_features_that_its_card_will_name() -> None:
    spec = everyday().features
    assert (spec.layout, spec.num_frames, spec.window_s, spec.channels) == ("penn13", 36, 2.4, ("x", "y"))
