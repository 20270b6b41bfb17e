"""The transport under a stream, without a service on it."""

import asyncio
import socket as sockets
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from service.errors import StreamUnread
from service.settings import Settings
from service.streams.connection import Connection
from service.streams.messages import Dropped
from service.streams.transport import StreamTransport, websocket_options

pytestmark = pytest.mark.anyio


class QuickTransport(StreamTransport):
    linger_s = 0.1


@asynccontextmanager
async def carried(talk):
    """Serve a coroutine that talks to each client; yield the address and the server."""

    async def app(scope, receive, send):
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        await talk(Connection(socket, stream_id="x", unread_s=0.2))

    options = websocket_options(Settings()) | {"ws": QuickTransport}
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.002)
    try:
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", server
    finally:
        server.should_exit = True
        await serving


async def test_who_does_not_read_is_cut_off_and_takes_up_little():
    noticed = asyncio.Event()
    buffered = []

    async def talk_on(connection):
        try:
            while True:
                buffered.append(connection._socket._send.__self__.transport.get_write_buffer_size())
                await connection.send(Dropped(seqs=list(range(10_000)), reason="late"))
        except StreamUnread:
            noticed.set()

    with sockets.socket() as plug:
        plug.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        async with carried(talk_on) as (address, server):
            plug.connect(("127.0.0.1", int(address.rpartition(":")[2])))
            handshake = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            plug.sendall((handshake + key).encode())
            async with asyncio.timeout(5):
                await noticed.wait()
                while server.server_state.connections:
                    await asyncio.sleep(0.002)
    assert max(buffered) < 512 * 1024


async def test_a_server_that_stops_says_so():
    async def listen(connection):
        await connection.receive(within_s=None)

    async with carried(listen) as (address, server), connect(address, proxy=None) as connection:
        server.should_exit = True
        await connection.wait_closed()
        assert connection.close_code == 1012
