"""The client for programs that do not await: the asynchronous one, on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack

from service.client.asynchronous import DEFAULT_CONFIG, AsyncClient
from service.client.jobs import PATIENCE_S, AsyncJob, AsyncJobs, OnProgress
from service.client.orders import Options, SkeletonsJson, VideoSource
from service.client.streaming import Message, PictureSource
from service.client.transport import DEFAULT_URL, TIMEOUT_S
from service.jobs.schemas import JobAnswer
from service.schemas import Answer, Models
from service.streams.messages import Config

Result = TypeVar("Result")


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what ``work`` returns; whatever interrupts the waiting cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Job:
    """One job; see ``AsyncJob``."""

    def __init__(self, loop: Loop, job: AsyncJob) -> None:
        self._loop, self._job = loop, job

    @property
    def state(self) -> JobAnswer:
        """What was last heard of it."""
        return self._job.state

    def refresh(self) -> JobAnswer:
        """Ask how far it is."""
        return self._loop.run(self._job.refresh())

    def wait(self, on_progress: OnProgress | None = None, *, patience_s: float = PATIENCE_S) -> Answer:
        """Return the answer when there is one; ``on_progress`` is called in another thread."""
        return self._loop.run(self._job.wait(on_progress, patience_s=patience_s))

    def cancel(self) -> None:
        """Stop it, and have the service forget its result and upload."""
        self._loop.run(self._job.cancel())

    def annotated(self, path: str | Path) -> None:
        """Write the video with skeletons and labels (.mp4) to ``path``."""
        self._loop.run(self._job.annotated(path))


class Jobs:
    """The jobs of one service; see ``AsyncJobs``."""

    def __init__(self, loop: Loop, jobs: AsyncJobs) -> None:
        self._loop, self._jobs = loop, jobs

    def submit(self, video: VideoSource, *, idempotency_key: str | None = None, **options: Unpack[Options]) -> Job:
        """Hand in a video; the same ``idempotency_key`` names the same job, however often it is handed in."""
        work = self._jobs.submit(video, idempotency_key=idempotency_key, **options)
        return Job(self._loop, self._loop.run(work))

    def find(self, job_id: str) -> Job:
        """Return a job by its id."""
        return Job(self._loop, self._loop.run(self._jobs.find(job_id)))

    def latest(self, *, limit: int | None = None) -> list[JobAnswer]:
        """List jobs, the latest first and without results."""
        return self._loop.run(self._jobs.latest(limit=limit))


class Client:
    """A client of the service at ``url``; ``with`` closes its connections. See ``AsyncClient``."""

    def __init__(
        self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S, retries: int = 0
    ) -> None:
        self._client = AsyncClient(url, api_key=api_key, timeout_s=timeout_s, retries=retries)
        self._loop = Loop()
        self.jobs = Jobs(self._loop, self._client.jobs)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end the thread."""
        self._loop.run(self._client.close())
        self._loop.close()

    def recognize(self, video: VideoSource, **options: Unpack[Options]) -> Answer:
        """Return who does what in a video, from when to when."""
        return self._loop.run(self._client.recognize(video, **options))

    def recognize_skeletons(self, skeletons: SkeletonsJson, **options: Unpack[Options]) -> Answer:
        """Return what people do whose keypoints are known already."""
        return self._loop.run(self._client.recognize_skeletons(skeletons, **options))

    def models(self) -> Models:
        """List the recognisers with their cards, and the pose backends."""
        return self._loop.run(self._client.models())

    def stream(self, frames: PictureSource, config: Config = DEFAULT_CONFIG) -> Iterator[Message]:
        """Send pictures, which are taken in another thread, and yield all that the service says, until the end."""
        messages = self._client.stream(frames, config)
        try:
            while (message := self._loop.run(_next(messages))) is not None:
                yield message
        finally:
            self._loop.run(messages.aclose())


async def _next(messages: AsyncGenerator[Message]) -> Message | None:
    return await anext(messages, None)
