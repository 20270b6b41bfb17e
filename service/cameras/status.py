"""How a camera is doing, written down by its thread and read by whoever asks."""

import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import median

from service.cameras.clocks import Clocks

# The rate and the lag that people are shown are those of the last seconds.
RECENT_S = 5.0


class CameraState(StrEnum):
    """Whether frames come: being opened, coming, or to be tried again after a wait."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera at one moment.

    ``fps`` and ``lag_ms`` are those of the frames looked at in the last seconds; lag runs from a frame's arrival until
    it was looked at. ``last_error`` says why it was last lost, without its address.
    """

    name: str
    state: CameraState
    since: datetime
    last_frame_at: datetime | None = None
    fps: float = 0.0
    lag_ms: float | None = None
    reconnects: int = 0
    last_error: str | None = None


class Ledger:
    """One camera's status, kept up to date; safe to share between threads."""

    def __init__(self, name: str, clocks: Clocks) -> None:
        self._clocks = clocks
        self._lock = threading.Lock()
        self._status = CameraStatus(name, CameraState.CONNECTING, clocks.now())
        self._recent: deque[tuple[float, float]] = deque()  # when, and the lag, seconds

    def enter(self, state: CameraState, *, error: str | None = None) -> None:
        """Note a new state, and what went wrong if something did."""
        with self._lock:
            status = self._status
            is_retry = state is CameraState.CONNECTING and status.state is CameraState.WAITING
            self._status = replace(
                status,
                state=state,
                since=self._clocks.now(),
                reconnects=status.reconnects + is_retry,
                last_error=error or status.last_error,
            )

    def saw_frame(self, arrived_at: datetime, *, lag_s: float) -> None:
        """Note that a frame was looked at."""
        with self._lock:
            self._recent.append((self._clocks.seconds(), lag_s))
            self._forget_old()
            self._status = replace(self._status, last_frame_at=arrived_at)

    def status(self) -> CameraStatus:
        """Return the status as it is now."""
        with self._lock:
            self._forget_old()
            if not self._recent:
                return self._status
            lag_ms = 1000 * median(lag_s for _, lag_s in self._recent)
            return replace(self._status, fps=round(len(self._recent) / RECENT_S, 1), lag_ms=round(lag_ms, 1))

    def _forget_old(self) -> None:
        while self._recent and self._recent[0][0] < self._clocks.seconds() - RECENT_S:
            self._recent.popleft()
