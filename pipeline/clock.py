"""The time of a stream: seconds that rise whatever its timestamps do, and the frames nearest to a grid of times."""

from collections.abc import Callable
from math import floor

from av.video.frame import VideoFrame

MIN_STEP_S = 0.001
JUMP_BACK_S = 1.0  # further back than this, a stream's clock was set anew; less is disorder


class Clock:
    """Seconds since the first frame, rising strictly whatever the stream's timestamps do."""

    def __init__(self, fps: float, *, arrival_s: Callable[[], float] | None = None) -> None:
        self.fps = fps
        self.now_s = 0.0
        self.end_s = 0.0  # when the latest frame ends
        self.is_assumed = False
        self._arrival_s = arrival_s
        self._origin_s: float | None = None
        self._is_started = False

    def advance(self, picture: VideoFrame) -> None:
        """Move on to the time of the next frame."""
        expected_s = self.now_s + 1 / self.fps if self._is_started else 0.0
        stamp_s = self._stamp_s(picture)
        if stamp_s is None:
            self.is_assumed = True
            time_s = expected_s
        else:
            self._origin_s = stamp_s - expected_s if self._origin_s is None else self._origin_s
            time_s = stamp_s - self._origin_s
        if self._is_started and time_s <= self.now_s:
            time_s = self._straighten(time_s, expected_s)
        self.now_s, self._is_started = time_s, True
        self.end_s = time_s + self._length_s(picture)

    def _straighten(self, time_s: float, expected_s: float) -> float:
        if self._origin_s is not None and self.now_s - time_s > JUMP_BACK_S:
            self._origin_s -= expected_s - time_s
            return expected_s
        return self.now_s + MIN_STEP_S

    def _stamp_s(self, picture: VideoFrame) -> float | None:
        if self._arrival_s:
            return self._arrival_s()
        stamp = picture.dts if picture.pts is None else picture.pts
        return None if stamp is None or not picture.time_base else float(stamp * picture.time_base)

    def _length_s(self, picture: VideoFrame) -> float:
        stated_s = float(picture.duration * picture.time_base) if picture.duration and picture.time_base else 0.0
        return stated_s if stated_s > 0 else 1 / self.fps


class Grid:
    """Chooses the frames nearest to the times k / fps, one each."""

    def __init__(self, fps: float) -> None:
        self._step_s = 1 / fps
        self._next_k = 0
        self._last_s: float | None = None

    def wants(self, time_s: float) -> bool:
        """Tell whether no later frame is expected to come nearer to the next time."""
        interval_s = 0.0 if self._last_s is None else min(time_s - self._last_s, self._step_s)
        self._last_s = time_s
        if time_s < self._next_k * self._step_s - interval_s / 2 - 1e-9:
            return False
        self._next_k = floor(time_s / self._step_s + 0.5) + 1
        return True
