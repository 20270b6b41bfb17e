"""One WebSocket as a stream uses it: bounded waits, bounded memory, and an ending that says why."""

import asyncio
import contextlib
from collections.abc import Mapping

import structlog
from pydantic import BaseModel
from starlette.websockets import WebSocket, WebSocketDisconnect

from pipeline.errors import LimitExceeded, Undecodable, UnknownModel, WeightsMissing
from service.errors import (
    BadOptions,
    BadRequest,
    ClientGone,
    NotReady,
    OutOfOrder,
    StreamRefused,
    StreamSilent,
    StreamUnread,
    TooManyStreams,
    UnsupportedContent,
    kind_of,
    problem_of,
)
from service.streams.messages import CloseCode, ErrorMessage

# Seconds that a client may leave an answer unread.
UNREAD_S = 10.0
# What a close frame has room for.
MAX_REASON_BYTES = 123

# The nearest class in an error's ancestry decides.
CLOSE_CODES: Mapping[type[Exception], CloseCode] = {
    Exception: CloseCode.INTERNAL,
    BadRequest: CloseCode.UNSUPPORTED,
    UnsupportedContent: CloseCode.UNSUPPORTED,
    Undecodable: CloseCode.UNSUPPORTED,
    BadOptions: CloseCode.NOT_ALLOWED,
    OutOfOrder: CloseCode.NOT_ALLOWED,
    StreamRefused: CloseCode.NOT_ALLOWED,
    UnknownModel: CloseCode.NOT_ALLOWED,
    WeightsMissing: CloseCode.NOT_ALLOWED,
    LimitExceeded: CloseCode.TOO_BIG,
    NotReady: CloseCode.STOPPING,
    TooManyStreams: CloseCode.TRY_LATER,
}

logger = structlog.get_logger(__name__)


def close_code_of(error: Exception) -> CloseCode:
    """Return the code that an error closes a stream with."""
    return next(CLOSE_CODES[ancestor] for ancestor in type(error).__mro__ if ancestor in CLOSE_CODES)


class Connection:
    """An accepted WebSocket. What is sent waits for the client to read it, so that nothing piles up here."""

    def __init__(self, socket: WebSocket, *, stream_id: str, unread_s: float = UNREAD_S) -> None:
        self.stream_id = stream_id
        self.code: int | None = None  # what it was closed with, by whomever
        self._socket = socket
        self._unread_s = unread_s

    async def receive(self, *, within_s: float | None) -> bytes | str:
        """Return the next message.

        Raises:
            StreamSilent: none came in time.
            ClientGone: the client has hung up.

        """
        try:
            async with asyncio.timeout(within_s):
                message = await self._socket.receive()
        except TimeoutError as error:
            raise StreamSilent(f"expected a message within {within_s:g} s") from error
        if message["type"] == "websocket.disconnect":
            self.code = message.get("code")
            raise ClientGone("the client hung up")
        content = message.get("bytes")
        return str(message["text"]) if content is None else bytes(content)

    async def send(self, message: BaseModel) -> None:
        """Send a message.

        Raises:
            StreamUnread: the client does not read.
            ClientGone: the client has hung up.

        """
        try:
            async with asyncio.timeout(self._unread_s):
                await self._socket.send_text(message.model_dump_json(exclude_none=False))
        except TimeoutError as error:
            raise StreamUnread(f"expected answers to be read within {self._unread_s:g} s") from error
        except WebSocketDisconnect as error:
            raise ClientGone("the client hung up") from error

    async def close(self, error: Exception | None) -> None:
        """Say why it ends, if the client still listens."""
        if isinstance(error, ClientGone):
            return
        code = CloseCode.DONE if error is None else close_code_of(error)
        self.code = int(code)
        with contextlib.suppress(StreamUnread, ClientGone, TimeoutError, WebSocketDisconnect):
            if error and not isinstance(error, StreamUnread):
                await self.send(ErrorMessage(problem=problem_of(error, request_id=self.stream_id)))
            async with asyncio.timeout(self._unread_s):
                await self._socket.close(code, _reason(error, code))


def _reason(error: Exception | None, code: CloseCode) -> str:
    if error is None or code is CloseCode.INTERNAL:
        return "" if error is None else kind_of(error).slug
    return f"{kind_of(error).slug}: {error}".encode()[:MAX_REASON_BYTES].decode(errors="ignore")
