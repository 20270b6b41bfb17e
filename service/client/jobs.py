"""Jobs of a service: submitted, waited for through server-sent events or by asking again, cancelled."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Unpack

import httpx

from pipeline.errors import RemoteError
from service.client.errors import JobCancelled, ServiceProblem, Unreachable
from service.client.orders import Options, Order, VideoSource, recognition
from service.client.transport import Transport
from service.jobs.schemas import JobAnswer, JobList
from service.jobs.store import Status
from service.schemas import Answer

PATH = "/v1/jobs"
POLL_S = 0.5
# The service says something every 10 s; a line that is silent for longer is dead.
SILENCE_S = 30.0
# How long a service may take to come back when it is restarted.
PATIENCE_S = 120.0
# An annotated video is made before its first byte is sent.
FILM_S = 3600.0
PASSING = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)

OnProgress = Callable[[float], None]


class AsyncJob:
    """One job; ``state`` is what was last heard of it."""

    def __init__(self, transport: Transport, state: JobAnswer) -> None:
        self.state = state
        self._transport = transport
        self._path = f"{PATH}/{state.job_id}"

    async def refresh(self) -> JobAnswer:
        """Ask how far it is."""
        reply = await self._transport.send(Order("GET", self._path))
        self.state = JobAnswer.model_validate_json(reply.content)
        return self.state

    async def wait(self, on_progress: OnProgress | None = None, *, patience_s: float = PATIENCE_S) -> Answer:
        """Return the answer when there is one; ``on_progress`` hears of the share done, in [0, 1].

        A service that cannot be reached is waited for up to ``patience_s``: jobs survive its restart.

        Raises:
            ServiceProblem: the job failed, or there is none of that id any more.
            JobCancelled: somebody cancelled it.
            Unreachable: the service did not come back.
        """
        given_up_s = math.inf
        while True:
            try:
                await self.refresh()
                given_up_s = math.inf
            except (Unreachable, ServiceProblem) as error:
                given_up_s = min(given_up_s, time.monotonic() + patience_s)
                if not _may_pass(error) or time.monotonic() >= given_up_s:
                    raise
            else:
                await self._follow(on_progress or (lambda _: None))
                if self.state.status.is_final and not self._lacks_result():
                    return self._outcome()
            await asyncio.sleep(POLL_S)

    async def cancel(self) -> None:
        """Stop it, and have the service forget its result and upload."""
        await self._transport.send(Order("DELETE", self._path))

    async def annotated(self, path: str | Path) -> None:
        """Write the video with skeletons and labels (.mp4) to ``path``; nothing is left there if that fails."""
        path = Path(path)
        part = path.with_name(f"{path.name}.part")
        try:
            order = Order("GET", f"{self._path}/annotated.mp4")
            async with self._transport.open(order, silence_s=FILM_S) as response:
                with part.open("wb") as file:
                    async for piece in response.aiter_bytes():
                        await asyncio.to_thread(file.write, piece)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    async def _follow(self, on_progress: OnProgress) -> None:
        """Report what is known, and what the events say for as long as they come."""
        on_progress(self.state.progress)
        async with aclosing(self._events()) as events:
            async for state in events:
                self.state = state
                on_progress(state.progress)

    async def _events(self) -> AsyncGenerator[JobAnswer]:
        if self.state.status.is_final:
            return
        with suppress(RemoteError):  # asking again will tell what is the matter
            order = Order("GET", f"{self._path}/events")
            async with self._transport.open(order, silence_s=SILENCE_S) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        yield JobAnswer.model_validate_json(line.removeprefix("data:"))

    def _lacks_result(self) -> bool:
        """Whether a result was too long for an event."""
        return self.state.status is Status.DONE and self.state.result is None

    def _outcome(self) -> Answer:
        if self.state.problem is not None:
            raise ServiceProblem(self.state.problem)
        if self.state.result is None:
            raise JobCancelled(f"job {self.state.job_id} was {self.state.status}")
        return self.state.result


class AsyncJobs:
    """The jobs of one service."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def submit(
        self, video: VideoSource, *, idempotency_key: str | None = None, **options: Unpack[Options]
    ) -> AsyncJob:
        """Hand in a video; the same ``idempotency_key`` names the same job, however often it is handed in."""
        reply = await self._transport.send(recognition(PATH, video, options, idempotency_key=idempotency_key))
        return AsyncJob(self._transport, JobAnswer.model_validate_json(reply.content))

    async def find(self, job_id: str) -> AsyncJob:
        """Return a job by its id."""
        reply = await self._transport.send(Order("GET", f"{PATH}/{job_id}"))
        return AsyncJob(self._transport, JobAnswer.model_validate_json(reply.content))

    async def latest(self, *, limit: int | None = None) -> list[JobAnswer]:
        """List jobs, the latest first and without results."""
        reply = await self._transport.send(Order("GET", PATH, params={} if limit is None else {"limit": limit}))
        return JobList.model_validate_json(reply.content).jobs


def _may_pass(error: RemoteError) -> bool:
    return not isinstance(error, ServiceProblem) or error.status in PASSING
