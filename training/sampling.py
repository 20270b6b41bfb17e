"""Which frames of a sequence make up a clip, chosen as MMAction2 and PYSKL do it: one out of each of T equal parts.

H. Duan et al., "Revisiting Skeleton-based Action Recognition", CVPR 2022, section 3.4 (uniform sampling); their
``UniformSampleFrames``, both Apache-2.0. It makes an action of any length T frames long. The pipeline does not: its
windows keep real time (see ``pipeline.features``). This is for measuring what was trained that way as its authors do.

The frames drawn are theirs, number by number, where ``rng`` is numpy's old ``RandomState``, which both codes seed with
255 for every sequence of a test. In MMAction2 frames where people come or go are written as something apart, but the
frames that come out are the same.
"""

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

I64 = NDArray[np.int64]

TEST_SEED = 255


def sample_frames(
    num_frames: int,
    clip_len: int,
    *,
    rng: np.random.RandomState,
    num_clips: int = 1,
    testing: bool = False,
    span: tuple[float, float] | None = None,
) -> Int64[I64, "clips T"]:
    """Choose the frames of so many clips out of a sequence.

    A sequence shorter than a clip is looped, from a random frame on, or in ``testing`` from the beginning, and further
    clips from later on. One shorter than two clips is taken as it is but for random gaps. ``span``: PYSKL's interval,
    between which shares of the sequence a clip covers; it draws two numbers more a clip, so that (1, 1) is not none.

    Raises:
        ValueError: there is no frame to choose from.
    """
    if min(num_frames, clip_len, num_clips) < 1:
        raise ValueError(
            f"expected at least one frame, clip and frame a clip, got {num_frames}, {num_clips} and {clip_len}"
        )
    clips = []
    for number in range(num_clips):
        length, start = _stretch(num_frames, span, rng) if span else (num_frames, 0)
        if length < clip_len:
            first = _loop_start(number, length, num_clips) if testing else int(rng.randint(0, length))
            places = np.arange(first, first + clip_len)
        else:
            places = _spread(length, clip_len, rng)
        clips.append((places + start) % num_frames)
    return np.stack(clips).astype(np.int64)


def _stretch(num_frames: int, span: tuple[float, float], rng: np.random.RandomState) -> tuple[int, int]:
    """Draw how many frames a clip covers, and from which one on."""
    low, high = span
    length = max(int((rng.rand() * (high - low) + low) * num_frames), 1)
    return length, int(rng.randint(num_frames - length + 1))


def _loop_start(number: int, length: int, num_clips: int) -> int:
    return number if length < num_clips else number * length // num_clips


def _spread(length: int, clip_len: int, rng: np.random.RandomState) -> Int64[I64, " T"]:
    """Choose one frame out of each of T equal parts; of less than two frames a part, which frames to pass over."""
    if length < 2 * clip_len:
        passed = np.zeros(clip_len + 1, np.int64)
        passed[rng.choice(clip_len + 1, length - clip_len, replace=False)] = 1
        return np.arange(clip_len) + np.cumsum(passed)[:-1]
    edges = np.arange(clip_len + 1) * length // clip_len
    chosen: I64 = edges[:-1] + rng.randint(np.diff(edges))
    return chosen
