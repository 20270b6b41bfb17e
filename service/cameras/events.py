"""What is told of cameras, and the file that it is written to."""

import threading
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, Field

from service.streams.messages import Action

logger = structlog.get_logger(__name__)
# A stream's clock may run a little fast or slow, or jump; times of day are set anew when they are further off.
MAX_DRIFT = timedelta(seconds=1)

CameraEventType = Literal["camera.up", "camera.down", "action.start", "action.end"]


class CameraEvent(BaseModel):
    """Something that happened before a camera. Times of day are UTC.

    ``stream_id`` is new after each reconnect, and with it ``track_id`` and ``action_id`` begin again. ``at`` is when it
    was known; ``started_at`` and ``ended_at`` are the action's ``start_s`` and ``end_s`` as times of day, and an action
    that ends when it started is taken back.
    """

    event_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    type: CameraEventType
    camera: str
    stream_id: str
    at: datetime
    reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    action: Action | None = None


class TimeOfDay:
    """Turns the seconds of a stream into the time of day."""

    def __init__(self) -> None:
        self._origin: datetime | None = None

    def set_by(self, time_s: float, arrived_at: datetime) -> None:
        """Learn when a frame came."""
        origin = arrived_at - timedelta(seconds=time_s)
        if self._origin is None or abs(origin - self._origin) > MAX_DRIFT:
            self._origin = origin

    def at(self, time_s: float) -> datetime:
        """Return the time of day, to the millisecond, once a frame has come."""
        assert self._origin is not None
        moment = self._origin + timedelta(seconds=time_s)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class EventLog:
    """A file that events are appended to, a JSON object a line; it may be moved away or deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(self, line: bytes) -> None:
        """Write a line through to the file; one that cannot be written is lost, and said so in the service's log."""
        try:
            with self._lock, self._path.open("ab") as file:
                file.write(line + b"\n")
        except OSError as error:
            logger.warning("camera_event_not_written", reason=error.strerror)
