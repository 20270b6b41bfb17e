"""The line to a service: orders out, successful answers back, all else an error of ``service/client/errors.py``."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from service.client.errors import ServiceProblem, Unreachable
from service.client.orders import Order

DEFAULT_URL = "http://127.0.0.1:8000"
# The service gives up on a request after 300 s by default; a client that waits longer hears why.
TIMEOUT_S = 330.0
CONNECT_S = 10.0
# Nobody wants a client that sleeps for an hour because a header says so.
MAX_PAUSE_S = 60.0


class Transport:
    """Sends orders to one service, over connections that are kept."""

    def __init__(self, url: str, *, api_key: str | None, timeout_s: float, retries: int) -> None:
        self.url = address_in(url)
        self.headers = {"X-API-Key": api_key} if api_key else {}
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=self.headers, timeout=httpx.Timeout(timeout_s, connect=CONNECT_S)
        )

    async def send(self, order: Order) -> httpx.Response:
        """Return the answer, whole; come back up to ``retries`` times if the service asks to.

        Raises:
            ServiceProblem: it is no success.
            Unreachable: there is none.
        """
        retries_left = self._retries if order.is_repeatable else 0
        while True:
            try:
                return await self._send_once(order)
            except ServiceProblem as problem:
                is_busy = problem.status == httpx.codes.SERVICE_UNAVAILABLE
                if not (retries_left and is_busy) or problem.retry_after_s is None:
                    raise
                retries_left -= 1
                await asyncio.sleep(min(problem.retry_after_s, MAX_PAUSE_S))

    async def _send_once(self, order: Order) -> httpx.Response:
        async with self.open(order) as response:
            await response.aread()
            return response

    @asynccontextmanager
    async def open(self, order: Order, *, silence_s: float | None = None) -> AsyncIterator[httpx.Response]:
        """Send an order and yield the answer, of which nothing was read yet; no byte for ``silence_s`` breaks it off.

        Raises:
            ServiceProblem: it is no success.
            Unreachable: there is none, or it breaks off.
        """
        request = self._request(order)
        if silence_s is not None:
            request.extensions["timeout"] = httpx.Timeout(silence_s, connect=CONNECT_S).as_dict()
        try:
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    raise ServiceProblem.of(response.status_code, response.headers, await response.aread())
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.url} did not answer in time; try again, or allow more time") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self.url} cannot be reached ({error}); is the service running?") from error

    def _request(self, order: Order) -> httpx.Request:
        upload = order.video
        return self._http.build_request(
            order.method,
            order.path,
            params=dict(order.params),
            headers={**(upload.headers() if upload else {}), **order.headers},
            content=upload.content() if upload else None,
            json=order.json,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def address_in(text: str) -> httpx.URL:
    """Read a service's address, which may be written as that of its streams (ws).

    >>> address_in("wss://hall:8000/marey/")
    URL('https://hall:8000/marey')
    """
    with suppress(httpx.InvalidURL):
        address = httpx.URL(re.sub("^ws", "http", text.rstrip("/")))
        if address.scheme in ("http", "https") and address.host:
            return address
    raise ValueError(f"expected an address such as {DEFAULT_URL}, got {text!r}")
