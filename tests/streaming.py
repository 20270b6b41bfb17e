"""A bare client of live streams, for tests that look at the wire itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import cv2
import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from service.streams.messages import (
    PROTOCOL,
    SERVER_MESSAGES,
    Action,
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

Message = Ready | FramePoses | Dropped | Action | Stats | ErrorMessage
DARK, LIGHT = 20, 240
NOTHING_LOST = Config(drop="never")


@dataclass(slots=True)
class Heard:
    """What a stream said until it was closed."""

    messages: list[Message] = field(default_factory=list)
    code: int = 0
    reason: str = ""

    def of(self, kind: type) -> list:
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def looked_at(self) -> list[int]:
        return [message.seq for message in self.of(FramePoses)]

    def left_out(self, reason: str) -> list[int]:
        return [seq for message in self.of(Dropped) if message.reason == reason for seq in message.seqs]

    @property
    def decided(self) -> list[dict]:
        """Everything that does not depend on how long it took, in order."""
        return [
            message.model_dump(exclude={"lag_ms"})
            for message in self.messages
            if isinstance(message, Action | FramePoses)
        ]


def picture(shade: int = DARK, *, size_wh: tuple[int, int] = (64, 48), ext: str = ".jpg") -> bytes:
    """A picture of one shade of grey."""
    return cv2.imencode(ext, np.full((size_wh[1], size_wh[0], 3), shade, np.uint8))[1].tobytes()


def frame(seq: int, *, shade: int = DARK, fps: float = 10.0) -> bytes:
    """A frame as it is sent."""
    return pack_frame(SentFrame(seq, round((seq + 1) / fps * 1e6), picture(shade)))


def wave(num_frames: int = 60, *, fps: float = 10.0) -> list[bytes]:
    """Frames of somebody who waves from the second third to the third one."""
    third = num_frames // 3
    return [frame(seq, shade=LIGHT if seq // third == 1 else DARK, fps=fps) for seq in range(num_frames)]


@asynccontextmanager
async def opened(
    service: httpx.Client, config: Config | None = NOTHING_LOST, *, path: str = "/v1/stream", **options: object
) -> AsyncIterator[ClientConnection]:
    """Open a stream, and say what is wanted."""
    address = f"ws://{service.base_url.host}:{service.base_url.port}{path}"
    options = {"subprotocols": [PROTOCOL], "proxy": None, "open_timeout": 30} | options
    async with connect(address, **options) as connection:
        if config:
            await say(connection, config.model_dump_json())
        yield connection


async def say(connection: ClientConnection, message: str | bytes) -> None:
    """Send a message, unless the line is closed; what it was closed with is heard."""
    with suppress(ConnectionClosed):
        await connection.send(message)


async def hear(connection: ClientConnection) -> Message:
    """Return the next message."""
    return SERVER_MESSAGES.validate_json(await connection.recv())


async def hear_all(connection: ClientConnection) -> Heard:
    """Listen until the server closes."""
    heard = Heard()
    try:
        while True:
            heard.messages.append(await hear(connection))
    except ConnectionClosed:
        heard.code, heard.reason = connection.close_code, connection.close_reason
    return heard


async def send_all(connection: ClientConnection, frames: Sequence[bytes], *, fps: float | None = None) -> None:
    """Send frames, at a pace or as quickly as the line takes them, and then the end."""
    for sent in frames:
        await say(connection, sent)
        await asyncio.sleep(1 / fps if fps else 0)
    await say(connection, End().model_dump_json())


async def stream(
    service: httpx.Client, frames: Sequence[bytes], config: Config = NOTHING_LOST, *, fps: float | None = None
) -> Heard:
    """Send frames, and return all that is heard."""
    async with opened(service, config) as connection:
        first = await hear(connection)
        heard, _ = await asyncio.gather(hear_all(connection), send_all(connection, frames, fps=fps))
        heard.messages.insert(0, first)
        return heard
