"""What a stream sends, checked when it arrives: header, order, pace, kind and size of each frame."""

from dataclasses import dataclass

from pipeline.clock import Grid
from pipeline.errors import LimitExceeded
from service.errors import BadRequest, OutOfOrder
from service.streams.messages import HEADER, Limits, SentFrame, unpack_frame
from service.streams.pictures import size_in_header

# A link that was stuck hands over at once what it held back; a flood goes on.
FLOOD_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame that came: ``time_s`` on the stream's clock, ``arrived_s`` on this process' monotonic clock."""

    seq: int
    index: int
    time_s: float
    picture: bytes
    arrived_s: float


class Pace:
    """How far a sender is ahead of ``fps`` frames a second; a burst of ``FLOOD_S`` is nothing."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1 / fps
        self._due_s = 0.0

    def count(self, now_s: float) -> float:
        """Count a frame; return the seconds by which it came too early, 0 if it did not."""
        self._due_s = max(self._due_s, now_s) + self._interval_s
        return max(0.0, self._due_s - now_s - FLOOD_S)


class Intake:
    """Checks the frames of one stream; ``fps`` of them a second are wanted."""

    def __init__(self, limits: Limits, *, fps: float) -> None:
        self._limits = limits
        self._grid = Grid(fps)
        self._first: SentFrame | None = None
        self._last: SentFrame | None = None
        self._count = 0

    def accept(self, message: bytes, *, now_s: float) -> Arrival:
        """Read a binary message.

        Raises:
            BadRequest, UnsupportedContent, Undecodable: it is no frame.
            OutOfOrder: an earlier frame came after it.
            LimitExceeded: it has more bytes or pixels than allowed.

        """
        frame = self._unpack(message)
        self._check_order(frame)
        self._check_size(frame.picture)
        self._first, self._last = self._first or frame, frame
        self._count += 1
        time_s = (frame.capture_us - self._first.capture_us) / 1e6
        return Arrival(frame.seq, self._count - 1, time_s, frame.picture, now_s)

    def wants(self, arrival: Arrival) -> bool:
        """Tell whether a frame belongs to those that the stream's rate has room for; asked once of each, in order."""
        return self._grid.wants(arrival.time_s)

    def _unpack(self, message: bytes) -> SentFrame:
        if len(message) > (allowed := self._limits.frame_bytes) + HEADER.size:
            raise LimitExceeded(f"expected at most {allowed} bytes of picture, got {len(message)}", limit="frame_bytes")
        try:
            return unpack_frame(message)
        except ValueError as error:
            raise BadRequest(str(error)) from error

    def _check_order(self, frame: SentFrame) -> None:
        last = self._last
        if last and frame.seq <= last.seq:
            raise OutOfOrder(f"expected a number above {last.seq}, got {frame.seq}")
        if last and frame.capture_us <= last.capture_us:
            raise OutOfOrder(f"expected a capture time above {last.capture_us} us, got {frame.capture_us}")

    def _check_size(self, picture: bytes) -> None:
        width, height = size_in_header(picture)
        if width * height > self._limits.pixels:
            raise LimitExceeded(f"expected at most {self._limits.pixels} px, got {width} x {height}", limit="pixels")
