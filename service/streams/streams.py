"""The live streams of one application: how many there are, what they share, and how they end with it."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.engines import Engines
from service.errors import NotReady, TooManyStreams
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.streams.batching import BatchedEngine, BatchedEngines
from service.streams.messages import Limits

Result = TypeVar("Result")


class Streams:
    """What the streams of one application share: engines, threads, and places, ``max_streams`` of them."""

    def __init__(self, settings: Settings, engines: Engines, readiness: Readiness, metrics: Metrics) -> None:
        self.metrics = metrics
        self.credit = settings.stream_credit
        self.limits = Limits(
            frame_bytes=settings.stream_frame_bytes,
            pixels=settings.max_pixels,
            fps=settings.stream_max_fps,
            idle_s=settings.stream_idle_s,
        )
        self._max_streams = settings.max_streams
        self._engines, self._readiness = engines, readiness
        self._batched = BatchedEngines(metrics)
        self._threads = ThreadPoolExecutor(settings.max_streams, thread_name_prefix="stream")
        self._num_open = 0
        self._all_closed = asyncio.Event()
        self._stopping = asyncio.Event()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for a stream; ``TooManyStreams`` if there is none, ``NotReady`` if all are being stopped."""
        if self._stopping.is_set():
            raise NotReady("the service is being stopped")
        if self._num_open >= self._max_streams:
            raise TooManyStreams(f"expected at most {self._max_streams} streams at once; try again later")
        self._num_open += 1
        try:
            with self.metrics.stream_open():
                yield
        finally:
            self._num_open -= 1
            if not self._num_open:
                self._all_closed.set()

    def engine(self, model: str | None, pose: str | None) -> BatchedEngine:
        """Return the engine that a stream asks for, warm; seconds, so in a thread.

        Raises:
            UnknownModel, ...: see ``Engines``.

        """
        self._engines.check_names(model, pose)
        engine = self._engines.engine(model, pose)
        self._readiness.wait()
        return self._batched.of(engine)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run a stream's work in one of the threads that streams have."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def until_stopped(self) -> None:
        """Raise ``NotReady`` once the streams are to end."""
        await self._stopping.wait()
        raise NotReady("the service is being stopped; come back when it is up again")

    async def close(self) -> None:
        """End all streams, and wait for their threads."""
        self._stopping.set()
        if self._num_open:
            self._all_closed.clear()
            await self._all_closed.wait()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
