"""Logs: one line a request with its id, never with names or contents that a user sent."""

import logging
import re
import sys
import time
import uuid
from dataclasses import dataclass, field

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import kind_of, problem_response
from service.metrics import Metrics
from service.settings import Settings

REQUEST_ID_HEADER = "X-Request-ID"
OK = 200
# They log addresses, those of webhooks included, which may hold a secret, and what events tell of a job.
TELLTALES = ("httpx", "httpcore", "sse_starlette")
# Ids of clients are kept where they cannot break a log line.
SAFE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

logger = structlog.get_logger(__name__)


def configure_logging(settings: Settings) -> None:
    """Send everything that is logged in this process to stderr, as lines for people or as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings.log_json)],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in TELLTALES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendering(as_json: bool) -> list[structlog.typing.Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default prints local variables, and with them what users sent.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


@dataclass(slots=True)
class _Exchange:
    """What is known of one request and its answer."""

    request_id: str
    status: int = 0
    num_bytes: int = 0
    started_s: float = field(default_factory=time.perf_counter)


class RequestLog:
    """Give each request an id, turn what nobody foresaw into a problem; write one line and count it when it is over."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "websocket":
            scope.setdefault("state", {})["request_id"] = _request_id(Headers(scope=scope))
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(_request_id(Headers(scope=scope)))
        scope.setdefault("state", {})["request_id"] = exchange.request_id

        async def receive_counted() -> Message:
            message = await receive()
            exchange.num_bytes += len(message.get("body", b""))
            return message

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = exchange.request_id
            await send(message)

        try:
            await self._app(scope, receive_counted, send_named)
        except Exception as error:
            logger.exception("unforeseen", request_id=exchange.request_id)
            scope["state"]["problem"] = kind_of(error).slug
            if not exchange.status:
                await problem_response(error, request_id=exchange.request_id)(scope, receive, send_named)
        finally:
            _write_line(scope, exchange)
            self._count(scope, exchange)

    def _count(self, scope: Scope, exchange: _Exchange) -> None:
        route = getattr(scope.get("route"), "path", None)
        seconds = time.perf_counter() - exchange.started_s
        self._metrics.saw_request(method=scope["method"], route=route, status=exchange.status, seconds=seconds)
        if problem := scope["state"].get("problem"):
            self._metrics.saw_problem(problem)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def _write_line(scope: Scope, exchange: _Exchange) -> None:
    """Log the route rather than the address: one that leads nowhere may hold what a user typed."""
    found = scope["path"] if exchange.status == OK else "unmatched"
    logger.info(
        "request",
        request_id=exchange.request_id,
        method=scope["method"],
        route=getattr(scope.get("route"), "path", found),
        status=exchange.status,
        problem=scope["state"].get("problem"),
        received_bytes=exchange.num_bytes,
        duration_ms=round((time.perf_counter() - exchange.started_s) * 1000, 1),
    )
