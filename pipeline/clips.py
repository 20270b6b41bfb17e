"""Windows: what each followed person did over the last few seconds, cut at fixed moments of the stream's clock.

Window k is centred on ``k * stride_s``, whoever is in the picture and whatever the frame rate, so that the same scene
gives the same windows from any file or camera. Memory is one window a person.
"""

from collections import deque
from dataclasses import dataclass, field
from math import ceil, inf

import numpy as np

from pipeline.features import MIN_JOINT_SCORE
from pipeline.layouts import Layout
from pipeline.values import F32, Poses, SkeletonClip

# Less than this of a person is not enough to name an action.
SHORTEST_S = 0.7
FEWEST_FRAMES = 4
# Recognisers are trained on 8 frames a second and more. At 3 a squat was seen to pass for sitting down.
LOWEST_FPS = 5.0
# Below this share of joints seen, a window is mostly guesswork.
MIN_SEEN_SHARE = 0.35
# A window of which this share has gone by may be looked at before its time. In real clips half of the actions are then
# called within 1.6 s of their start, and 1 call in 10 is taken back; with 0.67 it is 1.5 s and 1 in 5.
PREVIEW_SHARE = 0.75


@dataclass(slots=True, eq=False)
class _Sightings:
    """The frames of one person that a coming window may still need."""

    times_s: deque[float] = field(default_factory=deque)
    keypoints: deque[F32] = field(default_factory=deque)
    scores: deque[F32] = field(default_factory=deque)

    def add(self, time_s: float, keypoints: F32, scores: F32) -> None:
        self.times_s.append(time_s)
        self.keypoints.append(keypoints)
        self.scores.append(scores)

    def forget_before(self, time_s: float) -> None:
        while self.times_s and self.times_s[0] < time_s:
            for column in (self.times_s, self.keypoints, self.scores):
                column.popleft()


class Windower:
    """Cuts one stream's tracked poses into windows of ``window_s`` every ``stride_s`` seconds, a person each.

    ``size_wh`` is the size of the video's picture, px, as far as it is known; windows carry it.
    """

    def __init__(self, layout: Layout, *, window_s: float, stride_s: float) -> None:
        if not 0 < stride_s <= window_s:
            raise ValueError(f"expected 0 < stride_s <= window_s, got stride {stride_s} s and window {window_s} s")
        self.layout = layout
        self.window_s = window_s
        self.stride_s = stride_s
        self.size_wh: tuple[int, int] | None = None
        self._next: float = -inf
        self._people: dict[int, _Sightings] = {}

    @property
    def next_s(self) -> float:
        """The middle of the windows that are cut next: those before it are final."""
        return self._next * self.stride_s

    def push(self, poses: Poses, time_s: float) -> list[SkeletonClip]:
        """Take one frame's people and return the windows that are complete before it."""
        due = self._cut_until(time_s)
        for person, track_id in enumerate(poses.track_ids.tolist()):
            sightings = self._people.setdefault(track_id, _Sightings())
            sightings.add(time_s, poses.keypoints[person], poses.scores[person])
        return due

    def preview(self, time_s: float) -> list[SkeletonClip]:
        """Return the windows that are nearly complete at the latest frame's time, with what they hold so far."""
        clips, place = [], self._next
        while self._people and place * self.stride_s + self.window_s * (PREVIEW_SHARE - 0.5) <= time_s:
            clips += self._cut_at(place * self.stride_s)
            place += 1
        return clips

    def finish(self) -> list[SkeletonClip]:
        """Return the windows that the end of the stream leaves incomplete."""
        ends = [sightings.times_s[-1] for sightings in self._people.values()]
        return self._cut_until(max(ends) + self.window_s) if ends else []

    def _cut_until(self, time_s: float) -> list[SkeletonClip]:
        clips = []
        while self._people and self._next * self.stride_s + self.window_s / 2 <= time_s:
            clips += self._cut_at(self._next * self.stride_s)
            self._next += 1
            self._forget_before(self._next * self.stride_s - self.window_s / 2)
        if not self._people:
            self._next = max(self._next, ceil((time_s - self.window_s / 2) / self.stride_s))
        return clips

    def _forget_before(self, time_s: float) -> None:
        for sightings in self._people.values():
            sightings.forget_before(time_s)
        self._people = {track_id: sightings for track_id, sightings in self._people.items() if sightings.times_s}

    def _cut_at(self, centre_s: float) -> list[SkeletonClip]:
        start_s, end_s = centre_s - self.window_s / 2, centre_s + self.window_s / 2
        clips = (self._cut_person(track_id, sightings, start_s, end_s) for track_id, sightings in self._people.items())
        return [clip for clip in clips if clip is not None]

    def _cut_person(self, track_id: int, sightings: _Sightings, start_s: float, end_s: float) -> SkeletonClip | None:
        times_s = np.array(sightings.times_s)
        inside = np.flatnonzero((times_s >= start_s) & (times_s < end_s))
        centre_s, half_step_s = (start_s + end_s) / 2, self.stride_s / 2
        span_s = times_s[inside[-1]] - times_s[inside[0]] if len(inside) >= FEWEST_FRAMES else 0.0
        if span_s < SHORTEST_S or len(inside) - 0.5 < LOWEST_FPS * span_s:
            return None
        if not times_s[0] - half_step_s <= centre_s <= times_s[-1] + half_step_s:
            return None
        scores = np.stack([sightings.scores[place] for place in inside])
        if (scores > MIN_JOINT_SCORE).mean() < MIN_SEEN_SHARE:
            return None
        keypoints = np.stack([sightings.keypoints[place] for place in inside])
        return SkeletonClip(
            keypoints[:, None],
            scores[:, None],
            times_s[inside],
            np.array([track_id]),
            self.layout,
            start_s=start_s,
            end_s=end_s,
            size_wh=self.size_wh,
        )
