import asyncio

import pytest
from starlette.websockets import WebSocket


@pytest.fixture
def anyio_backend():
    """Run tests that are coroutines on the event loop that the service has."""
    return "asyncio"


class FakeSocket(WebSocket):
    """An accepted WebSocket without a network: ``incoming`` is what the client says, ``outgoing`` what it is told.

    While ``is_read`` is not set, the client does not read.
    """

    def __init__(self):
        super().__init__({"type": "websocket", "headers": []}, self._next, self._tell)
        self.incoming, self.outgoing = asyncio.Queue(), []
        self.is_read = asyncio.Event()
        self.is_read.set()

    async def _next(self):
        return await self.incoming.get()

    async def _tell(self, message):
        await self.is_read.wait()
        self.outgoing.append(message)

    def say(self, content):
        kind = "text" if isinstance(content, str) else "bytes"
        self.incoming.put_nowait({"type": "websocket.receive", kind: content})

    def hang_up(self, code=1001):
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code})


@pytest.fixture
async def socket():
    opened = FakeSocket()
    opened.incoming.put_nowait({"type": "websocket.connect"})
    await opened.accept()
    return opened
