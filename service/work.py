"""Work leaves the event loop here: so much at once, so much waiting, so long, and only while somebody waits for it.

Python cannot stop a thread. Work therefore reports progress, and the report raises ``Stopped`` once nobody waits for
it; its place becomes free when its thread really has ended, so that no more than ``max_concurrent`` ever run.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar

from service.errors import ClientGone, DeadlineExceeded, NotReady, QueueFull

Result = TypeVar("Result")
# Before anything has been measured; afterwards the mean of what was, in which the last has this weight.
FIRST_GUESS_S, LAST_WEIGHT = 5.0, 0.2


class Stopped(Exception):
    """Raised inside work that nobody waits for any more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What work learns when its turn comes: how long it waited, and where to report progress."""

    waited_ms: float
    report: Callable[[float], None]


class Closable(Protocol):
    """Anything that holds on to something until it is closed."""

    def close(self) -> None:
        """Let go of it."""


Kept = TypeVar("Kept", bound=Closable)


class WorkQueue:
    """A bounded number of places; one belongs to each request from its first byte to the end of its work."""

    def __init__(self, *, max_concurrent: int, max_queue: int, deadline_s: float) -> None:
        self.max_places = max_concurrent + max_queue
        self._max_concurrent = max_concurrent
        self._deadline_s = deadline_s
        self._executor = ThreadPoolExecutor(max_concurrent, thread_name_prefix="work")
        self._lock = threading.Lock()
        self._taken = 0
        self._mean_s = FIRST_GUESS_S
        self._closing = threading.Event()

    @property
    def taken(self) -> int:
        """Places taken now."""
        return self._taken

    def admit(self) -> "Place":
        """Take a place; ``QueueFull`` if there is none."""
        with self._lock:
            if self._taken >= self.max_places:
                raise QueueFull(
                    f"{self._taken} requests are being worked on or waiting, and no more may wait; try again later",
                    retry_after_s=max(1, math.ceil(self._mean_s * self._taken / self._max_concurrent)),
                )
            self._taken += 1
        return Place(self, asyncio.get_running_loop().time() + self._deadline_s)

    def submit(self, work: Callable[[Turn], Result], stop: threading.Event) -> "Future[Result]":
        """Queue work for a thread; ``stop`` ends it at its next report."""
        asked_s = time.perf_counter()

        def report(_: float) -> None:
            if stop.is_set() or self._closing.is_set():
                raise Stopped

        def turn() -> Result:
            started_s = time.perf_counter()
            report(0.0)
            result = work(Turn((started_s - asked_s) * 1000, report))
            self._mean_s += LAST_WEIGHT * (time.perf_counter() - started_s - self._mean_s)
            return result

        return self._executor.submit(turn)

    def give_back(self) -> None:
        """Free one place."""
        with self._lock:
            self._taken -= 1

    def close(self) -> None:
        """Stop all work at its next report and wait for its threads."""
        self._closing.set()
        self._executor.shutdown(cancel_futures=True)


class Place:
    """One request's place in the queue, and what is kept for as long as it is taken.

    Leaving the context ends it, or leaves that to its work if that is still running. ``deadline_s`` is on the event
    loop's clock.
    """

    def __init__(self, queue: WorkQueue, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._queue = queue
        self._work: Future[Any] | None = None
        self._kept = contextlib.ExitStack()

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._work is None:
            self._end()
        else:
            self._work.add_done_callback(lambda _: self._end())

    def keep(self, resource: Kept) -> Kept:
        """Close something when the place ends, and not while its work may still be using it."""
        self._kept.callback(resource.close)
        return resource

    async def run(self, work: Callable[[Turn], Result], *, gone: Awaitable[None]) -> Result:
        """Run work in a thread when its turn comes; ``gone`` returns once nobody waits for the answer.

        Raises:
            ClientGone: the client hung up.
            DeadlineExceeded: the answer took too long.
            NotReady: the queue was closed meanwhile.

        """
        stop = threading.Event()
        future = self._queue.submit(work, stop)
        self._work = future
        answer, hung_up = asyncio.wrap_future(future), asyncio.ensure_future(gone)
        either: set[asyncio.Future[Any]] = {answer, hung_up}
        remaining_s = self.deadline_s - asyncio.get_running_loop().time()
        try:
            await asyncio.wait(either, timeout=max(0.0, remaining_s), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if hung_up.done():
                raise ClientGone("the client hung up before the answer")
            raise DeadlineExceeded(
                "expected an answer before the deadline; send a shorter video, or raise MAREY_DEADLINE_S"
            )
        except Stopped as error:
            raise NotReady("the service is being stopped; ask again when it is back") from error
        finally:
            stop.set()
            future.cancel()
            answer.cancel()
            hung_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hung_up

    def _end(self) -> None:
        self._kept.close()
        self._queue.give_back()
