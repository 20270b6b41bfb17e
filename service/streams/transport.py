"""How the server carries WebSockets: what a message may measure, pings, and endings that reach the client."""

from typing import ClassVar, TypedDict

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from service.settings import Settings

# Room for a message that is a little too large to be refused with a reason of ours.
SPARE_BYTES = 64 * 1024
PING_EVERY_S = 20.0


class StreamTransport(WebSocketsSansIOProtocol):
    """uvicorn's own, but that nobody keeps a connection open for ever by not reading the last of it."""

    linger_s: ClassVar[float] = 10.0

    async def run_asgi(self) -> None:
        """Serve one connection, and cut it if it is not closed some time after."""
        await super().run_asgi()
        self.loop.call_later(self.linger_s, self.transport.abort)


class WebSocketOptions(TypedDict):
    """The arguments of uvicorn that concern WebSockets."""

    ws: type[WebSocketsSansIOProtocol]
    ws_max_size: int
    ws_ping_interval: float
    ws_ping_timeout: None
    ws_per_message_deflate: bool


def websocket_options(settings: Settings) -> WebSocketOptions:
    """Return how uvicorn is to carry streams.

    Pings keep the way open, but nobody is hung up on for a late answer to one: where nothing may be lost, it waits
    behind frames that are not read yet. Whoever has gone is noticed by silence. Pictures are compressed already.
    """
    return WebSocketOptions(
        ws=StreamTransport,
        ws_max_size=settings.stream_frame_bytes + SPARE_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,
    )
