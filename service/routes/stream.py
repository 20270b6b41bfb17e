"""WS /v1/stream: pictures from a camera in, people and their actions out while they happen."""

from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, WebSocket
from starlette.requests import HTTPConnection

from service.errors import BadRequest, OriginRefused, ServiceError, kind_of, problem_response
from service.security import check_key, key_in_headers
from service.state import CurrentService, RequestId
from service.streams.connection import Connection
from service.streams.messages import PROTOCOL, key_offered
from service.streams.session import Session

router = APIRouter()
logger = structlog.get_logger(__name__)


@router.websocket("/v1/stream")
@router.websocket("/stream")
async def stream(socket: WebSocket, service: CurrentService, stream_id: RequestId) -> None:
    """Follow one camera; ``docs/streams.md`` has the protocol."""
    offered = socket.scope["subprotocols"]
    try:
        check_key(key_in_headers(socket.headers) or key_offered(offered), service.settings.api_keys)
        _check_origin(socket)
        if offered and PROTOCOL not in offered:
            raise BadRequest(f"expected the subprotocol {PROTOCOL} among those offered")
    except ServiceError as error:
        logger.info("stream_refused", request_id=stream_id, problem=kind_of(error).slug)
        service.metrics.saw_problem(kind_of(error).slug)
        await socket.send_denial_response(problem_response(error, request_id=stream_id))
        return
    await socket.accept(PROTOCOL if offered else None)
    await Session(Connection(socket, stream_id=stream_id), service.streams).run()


def _check_origin(connection: HTTPConnection) -> None:
    """Refuse pages of other hosts, which browsers let open WebSockets to anywhere; other clients name no origin."""
    origin, host = connection.headers.get("origin"), connection.headers.get("host", "")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise OriginRefused("expected a page of this service itself, or a client that is no browser")
