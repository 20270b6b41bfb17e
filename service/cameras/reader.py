"""One connection to a camera, read in a thread of its own, of which only the newest frame is kept.

A thread that waits for a camera cannot be stopped, and its decoder must not be closed by another. The thread is
therefore left to itself: it closes what it opened once its read returns, ``CAMERA_TIMEOUT_S`` later at most, and is a
daemon, so that the process need not wait for that.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.errors import NotAVideo
from pipeline.values import Frame
from pipeline.video import Video
from service.cameras.clocks import Clocks


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame, when it came, in seconds and time of day, and how many before it came too quickly to be taken."""

    frame: Frame
    arrived_s: float
    arrived_at: datetime
    num_missed: int


class Reader:
    """Opens and reads a camera from the moment it is made until it fails or is closed."""

    def __init__(self, open_camera: Callable[[], Video], *, fps: float, max_side: int | None, clocks: Clocks) -> None:
        self._open, self._fps, self._max_side, self._clocks = open_camera, fps, max_side, clocks
        self._changed = threading.Condition()
        self._newest: Arrival | None = None
        self._error: Exception | None = None
        self._is_closed = False
        threading.Thread(target=self._run, name="camera-reader", daemon=True).start()

    def take(self) -> Arrival | None:
        """Wait for a frame that was not taken yet; None once closed.

        Raises:
            VideoError: the camera cannot be reached, is none, or went away, and its last frame was taken.

        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error or self._is_closed)
            if self._is_closed:
                return None
            newest, self._newest = self._newest, None
            if newest is None and self._error:
                raise self._error
            return newest

    def close(self) -> None:
        """Take nothing more, and wait for nobody."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # raised again where frames are taken
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _read(self) -> None:
        with self._open() as video:
            if not video.is_live:
                raise NotAVideo("it sends a file that ends; a camera sends without end")
            for frame in video.frames(fps=self._fps, max_side=self._max_side):
                with self._changed:
                    if self._is_closed:
                        return
                    num_missed = self._newest.num_missed + 1 if self._newest else 0
                    self._newest = Arrival(frame, self._clocks.seconds(), self._clocks.now(), num_missed)
                    self._changed.notify_all()
