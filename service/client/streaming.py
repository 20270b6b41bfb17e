"""A stream over a WebSocket: pictures out as credit allows, messages in, every picture answered once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from service.client.errors import ServiceProblem, Unreachable
from service.client.transport import CONNECT_S, Transport
from service.streams.messages import (
    PROTOCOL,
    SERVER_MESSAGES,
    Action,
    CloseCode,
    Config,
    Dropped,
    End,
    ErrorMessage,
    FramePoses,
    Ready,
    SentFrame,
    Stats,
    pack_frame,
)

PATH = "v1/stream"
# Of a stream that may leave pictures out, so many times the credit may be on the line; more would only be late.
ON_THE_LINE = 4

TimedPicture = tuple[float, bytes]
Pictures = AsyncIterable[TimedPicture] | Iterable[TimedPicture]
# They may depend on what the service says of itself, such as how large pictures are of use to it.
PictureSource = Pictures | Callable[[Ready], Pictures]
Message = Ready | FramePoses | Dropped | Action | Stats


async def open_stream(transport: Transport, frames: PictureSource, config: Config) -> AsyncGenerator[Message]:
    """Yield what the service says of pictures; see ``AsyncClient.stream``."""
    async with _connected(transport) as line:
        await line.send(config.model_dump_json())
        sender = Sender(line, frames, config)
        try:
            async for text in line:
                message = SERVER_MESSAGES.validate_json(text)
                if isinstance(message, ErrorMessage):
                    raise ServiceProblem(message.problem)
                sender.hear(message)
                yield message
                if left_out := sender.take_left_out():
                    yield Dropped(seqs=left_out, reason="late")
        except ConnectionClosed as error:
            raise _broken_off(line) from error
        finally:
            await sender.stop()
        if line.close_code != CloseCode.DONE:
            raise _broken_off(line)
        sender.check()


class Sender:
    """Sends pictures beside whatever is received, and counts those that are unanswered."""

    def __init__(self, line: ClientConnection, frames: PictureSource, config: Config) -> None:
        self._line = line
        self._frames = frames
        self._waits = config.drop == "never"
        self._room = asyncio.Semaphore(0)
        self._left_out: list[int] = []
        self._task: asyncio.Task[None] | None = None

    def hear(self, message: Message) -> None:
        """Begin when the service is ready, and go on as it answers."""
        if isinstance(message, Ready):
            self._make_room(message.credit if self._waits else message.credit * ON_THE_LINE)
            frames = self._frames(message) if callable(self._frames) else self._frames
            self._task = asyncio.create_task(self._send_all(frames))
        elif isinstance(message, FramePoses):
            self._make_room(1)
        elif isinstance(message, Dropped):
            self._make_room(len(message.seqs))

    def take_left_out(self) -> list[int]:
        """Return the pictures that were not sent since this was last asked."""
        left_out, self._left_out = self._left_out, []
        return left_out

    async def stop(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def check(self) -> None:
        """Raise what stopped the pictures, if it was an error of theirs."""
        if self._task is not None and not self._task.cancelled():
            self._task.result()

    async def _send_all(self, frames: Pictures) -> None:
        seq = 0
        try:
            async for time_s, picture in _awaited(frames):
                if self._waits or not self._room.locked():
                    await self._room.acquire()
                    await self._line.send(pack_frame(SentFrame(seq, round(time_s * 1e6), picture)))
                else:
                    self._left_out.append(seq)
                seq += 1
        finally:
            await self._line.send(End().model_dump_json())

    def _make_room(self, num_frames: int) -> None:
        for _ in range(num_frames):
            self._room.release()


@asynccontextmanager
async def _connected(transport: Transport) -> AsyncIterator[ClientConnection]:
    url = transport.url
    target = url.copy_with(scheme="wss" if url.scheme == "https" else "ws", path=f"{url.path.rstrip('/')}/{PATH}")
    connecting = connect(
        str(target),
        subprotocols=[Subprotocol(PROTOCOL)],
        additional_headers=transport.headers,
        compression=None,  # pictures are compressed already
        open_timeout=CONNECT_S,
    )
    try:
        line = await connecting
    except InvalidStatus as error:
        reply = error.response
        headers = httpx.Headers(list(reply.headers.raw_items()))
        raise ServiceProblem.of(reply.status_code, headers, bytes(reply.body)) from error
    except (WebSocketException, OSError) as error:  # of which TimeoutError is one
        raise Unreachable(f"{target} cannot be reached ({error}); is the service running?") from error
    async with line:
        yield line


async def _awaited(frames: Pictures) -> AsyncIterator[TimedPicture]:
    """Yield from either kind; one that blocks does so in a thread."""
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
        return
    iterator = iter(frames)
    while (frame_or_end := await asyncio.to_thread(next, iterator, None)) is not None:
        yield frame_or_end


def _broken_off(line: ClientConnection) -> Unreachable:
    return Unreachable(f"the stream was broken off ({line.close_code}: {line.close_reason or 'no reason given'})")
