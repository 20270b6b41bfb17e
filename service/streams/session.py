"""One stream from its config to its close: it reads, looks and reports, each in a task of its own.

The event loop only moves messages. Pictures are decoded and looked at in a thread, one at a time, and what is sent
waits until the client reads it; so a stream takes up a bounded amount of memory whatever its client does.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from typing import Literal

import structlog
from pydantic import ValidationError

from pipeline.errors import LimitExceeded
from service.errors import BadOptions, BadRequest, ClientGone, Fault, StreamSilent, StreamTooFast, faults_in, kind_of
from service.requests import refuse_wide
from service.schemas import ModelName
from service.streams.batching import BatchedEngine
from service.streams.connection import Connection, close_code_of
from service.streams.frame_queue import FrameQueue
from service.streams.intake import FLOOD_S, Arrival, Intake, Pace
from service.streams.messages import CLIENT_MESSAGES, CloseCode, Config, Dropped, End, FramePoses, Ready
from service.streams.meter import Meter
from service.streams.streams import Streams
from service.streams.view import View

# A live view is of use while it shows the present: what cannot be answered in that time makes room for newer frames.
LIVE_LAG_S = 0.3
STATS_EVERY_S = 1.0
MAX_TEXT = 64 * 1024

logger = structlog.get_logger(__name__)


class Session:
    """A stream on a connection that is open."""

    def __init__(self, connection: Connection, streams: Streams) -> None:
        self._connection, self._streams = connection, streams
        self._meter = Meter()

    async def run(self) -> None:
        """Serve it until it ends, and say on the connection and in the log how it did."""
        started_s = time.monotonic()
        logger.info("stream_opened", request_id=self._connection.stream_id)
        try:
            with ExitStack() as place:
                await self._connection.close(await self._serve(place))
        finally:
            logger.info(
                "stream_closed",
                request_id=self._connection.stream_id,
                code=self._connection.code,
                received=self._meter.received,
                processed=self._meter.processed,
                dropped=self._meter.dropped,
                duration_s=round(time.monotonic() - started_s, 1),
            )

    async def _serve(self, place: ExitStack) -> Exception | None:
        """Serve until the end; return why it came, None if the client asked for it."""
        try:
            place.enter_context(self._streams.place())
            await _first_to_end(self._talk(), self._streams.until_stopped())
        except Exception as error:
            if not isinstance(error, ClientGone) and close_code_of(error) is CloseCode.INTERNAL:
                logger.exception("unforeseen", request_id=self._connection.stream_id)
            self._streams.metrics.saw_problem(kind_of(error).slug)
            return error
        return None

    async def _talk(self) -> None:
        config = await self._read_config()
        engine = await self._streams.in_thread(lambda: self._streams.engine(config.model, config.pose))
        refuse_wide(config, engine.recogniser.card.features)
        view = await self._streams.in_thread(lambda: View(engine, config.for_engine()))
        await self._connection.send(self._ready(config, engine))
        queue = FrameQueue(self._streams.credit, drop=config.drop)
        await _first_to_end(self._look(config, queue, view), self._read(config, queue), self._report())

    async def _read_config(self) -> Config:
        text = await self._connection.receive(within_s=self._streams.limits.idle_s)
        if len(text) > MAX_TEXT:
            raise LimitExceeded(f"expected a config of at most {MAX_TEXT} characters", limit="config")
        try:
            message = CLIENT_MESSAGES.validate_json(text) if isinstance(text, str) else None
        except ValidationError as error:
            raise BadOptions(faults_in(error, known=tuple(Config.model_fields))) from error
        if not isinstance(message, Config):
            raise BadOptions([Fault(field="type", expected="a config as the first message")])
        return message

    def _ready(self, config: Config, engine: BatchedEngine) -> Ready:
        recogniser, layout = engine.recogniser, engine.pose.layout
        card = recogniser.card
        return Ready(
            stream_id=self._connection.stream_id,
            model=ModelName(
                name=card.name, version=card.version, sha256=recogniser.bundle.sha256, provider=recogniser.provider
            ),
            labels=list(card.labels),
            layout=layout.name,
            joints=list(layout.joints),
            limbs=list(layout.bone_indices),
            window_s=config.window_s or card.features.window_s,
            stride_s=config.stride_s,
            credit=self._streams.credit,
            max_side=engine.pose.max_side,
            limits=self._streams.limits,
        )

    async def _read(self, config: Config, queue: FrameQueue) -> None:
        """Take in frames until the client says that there are no more, and then see whether it hangs up."""
        intake, pace = Intake(self._streams.limits, fps=config.fps), Pace(self._streams.limits.fps)
        while isinstance(message := await self._receive_frame(), bytes):
            arrival = intake.accept(message, now_s=time.monotonic())
            self._meter.received += 1
            await self._keep(pace, config)
            if intake.wants(arrival):
                await self._leave_out(await queue.put(arrival), "late")
            else:
                await self._leave_out([arrival], "rate")
        _check_end(message)
        await queue.end()
        await self._connection.receive(within_s=None)
        raise BadRequest("expected nothing after the end")

    async def _receive_frame(self) -> bytes | str:
        idle_s = self._streams.limits.idle_s
        try:
            return await self._connection.receive(within_s=idle_s)
        except StreamSilent as error:
            raise StreamSilent(f"expected a frame within {idle_s:g} s") from error

    async def _keep(self, pace: Pace, config: Config) -> None:
        """Refuse a flood; where nothing may be lost, let it wait in the network instead."""
        early_s = pace.count(time.monotonic())
        if early_s and config.drop == "oldest":
            raise StreamTooFast(
                f"expected at most {self._streams.limits.fps:g} frames a second over {FLOOD_S:g} s; got more"
            )
        await asyncio.sleep(early_s)

    async def _look(self, config: Config, queue: FrameQueue, view: View) -> None:
        """Answer frames until there are no more."""
        work_s = 0.0
        while True:
            patience_s = max(0.0, LIVE_LAG_S - work_s)
            await self._leave_out(queue.drop_late(time.monotonic() - patience_s), "late")
            if (arrival := await queue.take()) is None:
                break
            started_s = time.monotonic()
            await self._answer(arrival, config, view)
            work_s = time.monotonic() - started_s
        for action in await self._streams.in_thread(view.finish):
            await self._connection.send(action)
        await self._connection.send(self._meter.stats(time.monotonic()))

    async def _answer(self, arrival: Arrival, config: Config, view: View) -> None:
        seen = await self._streams.in_thread(lambda: view.look(arrival))
        for action in seen.actions:
            await self._connection.send(action)
        now_s = time.monotonic()
        lag_ms = (now_s - arrival.arrived_s) * 1000
        self._meter.saw_answer(now_s, lag_ms=lag_ms)
        self._streams.metrics.saw_answer("stream", lag_s=lag_ms / 1000)
        width, height = seen.size_wh
        await self._connection.send(
            FramePoses(
                seq=arrival.seq,
                time_s=arrival.time_s,
                lag_ms=round(lag_ms, 1),
                width=width,
                height=height,
                people=seen.people if config.poses else None,
            )
        )

    async def _leave_out(self, arrivals: Sequence[Arrival], reason: Literal["late", "rate"]) -> None:
        if arrivals:
            self._meter.dropped += len(arrivals)
            self._streams.metrics.left_out("stream", reason, len(arrivals))
            await self._connection.send(Dropped(seqs=[arrival.seq for arrival in arrivals], reason=reason))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            await self._connection.send(self._meter.stats(time.monotonic()))


def _check_end(text: str) -> None:
    try:
        message = CLIENT_MESSAGES.validate_json(text)
    except ValidationError as error:
        raise BadRequest("expected a frame or the end, got text that is neither") from error
    if not isinstance(message, End):
        raise BadRequest("expected a frame or the end, got another config")


async def _first_to_end(*talks: Coroutine[object, object, None]) -> None:
    """Run all of them until one ends, raise what it raised, and cancel the others."""
    tasks = [asyncio.ensure_future(talk) for talk in talks]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
