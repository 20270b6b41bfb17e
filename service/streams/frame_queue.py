"""Where frames wait for their turn: few, and in a live view the newest."""

import asyncio
from collections import deque

from service.streams.intake import Arrival
from service.streams.messages import DropPolicy


class FrameQueue:
    """At most ``credit`` frames of one stream; past that the oldest falls out, or whoever brings more must wait."""

    def __init__(self, credit: int, *, drop: DropPolicy) -> None:
        self._credit, self._drop = credit, drop
        self._waiting: deque[Arrival] = deque()
        self._ended = False
        self._changed = asyncio.Condition()

    async def put(self, arrival: Arrival) -> list[Arrival]:
        """Add a frame; return those that fell out for it."""
        async with self._changed:
            if self._drop == "never":
                await self._changed.wait_for(lambda: len(self._waiting) < self._credit)
            self._waiting.append(arrival)
            self._changed.notify_all()
            return [self._waiting.popleft() for _ in range(len(self._waiting) - self._credit)]

    def drop_late(self, before_s: float) -> list[Arrival]:
        """Remove and return frames that arrived before a time, but never the newest."""
        late: list[Arrival] = []
        while self._drop == "oldest" and len(self._waiting) > 1 and self._waiting[0].arrived_s < before_s:
            late.append(self._waiting.popleft())
        return late

    async def take(self) -> Arrival | None:
        """Return the frame that has waited the longest, as soon as there is one; None after the last."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._ended)
            self._changed.notify_all()
            return self._waiting.popleft() if self._waiting else None

    async def end(self) -> None:
        """Say that no more will come."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
