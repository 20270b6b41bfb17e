"""The second half of the chain, from followed poses to actions: clips, features, recognise, segments."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.clips import LOWEST_FPS, Windower
from pipeline.layouts import Layout
from pipeline.people import People
from pipeline.recognise import LARGEST_BATCH, ClipRecogniser, Recogniser
from pipeline.segments import SegmentSettings
from pipeline.values import Poses, Recognition, SkeletonClip, VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one request may choose; the defaults are what most people want.

    ``threshold`` in [0, 1] replaces the model's own a label; ``window_s`` below the model's own decides on less;
    ``max_people`` are followed at a time, the surest first; ``keypoints`` returns them all; ``pose_fps`` frames a
    second are looked at.
    """

    top_k: int = 5
    threshold: float | None = None
    window_s: float | None = None
    stride_s: float = 0.25
    max_people: int = 10
    keypoints: bool = False
    explain: bool = True
    pose_fps: float = 15.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold: expected a number from 0 to 1, got {self.threshold}")
        for name, value in (("top_k", self.top_k), ("max_people", self.max_people)):
            if value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")
        for name, number in (("window_s", self.window_s), ("stride_s", self.stride_s), ("pose_fps", self.pose_fps)):
            if number is not None and not 0 < number < float("inf"):
                raise ValueError(f"{name}: expected a number above 0, got {number}")

    @property
    def segment_settings(self) -> SegmentSettings:
        """The part that decides on segments."""
        return SegmentSettings(threshold=self.threshold, top_k=self.top_k, explain=self.explain)


DEFAULT_OPTIONS = Options()


class Stopwatch:
    """Adds up how long each stage takes, ms."""

    def __init__(self) -> None:
        self._spent_s: defaultdict[str, float] = defaultdict(float)
        self._started_s = time.perf_counter()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Charge the time inside the block to a stage."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self._spent_s[stage] += time.perf_counter() - started_s

    def read_ms(self) -> dict[str, float]:
        """Return each stage's time and the total so far."""
        spent = {**self._spent_s, "total": time.perf_counter() - self._started_s}
        return {stage: round(seconds * 1e3, 2) for stage, seconds in spent.items()}


class ActionReader:
    """Reads the actions of one stream's people out of their poses, batching over people and moments."""

    def __init__(self, recogniser: Recogniser, options: Options, *, layout: Layout) -> None:
        self.stopwatch = Stopwatch()
        self._recogniser, self._options = recogniser, options
        self._people = People(keep_keypoints=options.keypoints)
        self._windower = windower_for(recogniser, options, layout=layout)
        self._waiting: list[SkeletonClip] = []
        self._num_recognised = 0

    def see_size(self, size_wh: tuple[int, int] | None) -> None:
        """Hear how large the video's picture is, px, as some models must know."""
        self._windower.size_wh = size_wh

    def take(self, poses: Poses, time_s: float) -> None:
        """Take one frame's people, followed and in px of the video."""
        self._people.see(poses, time_s)
        with self.stopwatch.time("features"):
            self._waiting += self._windower.push(poses, time_s)
        if len(self._waiting) >= LARGEST_BATCH:
            self._recognise()

    def finish(self, video: VideoInfo, warnings: Sequence[str] = ()) -> Recognition:
        """Return the answer for everything that was taken."""
        self._waiting += self._windower.finish()
        self._recognise()
        with self.stopwatch.time("segments"):
            tracks = self._people.tracks(self._recogniser.card, self._options.segment_settings)
        notes = [*warnings]
        if 0 < video.fps < LOWEST_FPS:
            notes.append(
                f"{video.fps:.1f} frames a second are too few to name actions: expected {LOWEST_FPS:g} or more"
            )
        if not tracks:
            notes.append("nobody was found in the video")
        return Recognition(video, tracks, self.stopwatch.read_ms(), tuple(notes), self._num_recognised)

    def _recognise(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._num_recognised += len(waiting)
        with self.stopwatch.time("recognise"):
            self._people.hear(self._recogniser.recognise(waiting, explain=self._options.explain))


def windower_for(recogniser: ClipRecogniser, options: Options, *, layout: Layout) -> Windower:
    """Return what cuts the windows that a recogniser takes; ``ValueError`` for windows longer than those."""
    longest_s = recogniser.card.features.window_s
    window_s = options.window_s or longest_s
    if window_s > longest_s:
        raise ValueError(f"window_s: model {recogniser.bundle.name!r} takes at most {longest_s} s, got {window_s}")
    return Windower(layout, window_s=window_s, stride_s=options.stride_s)
