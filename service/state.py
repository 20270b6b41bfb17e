"""What the requests of one application share."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from service.engines import Engines
from service.readiness import Readiness
from service.settings import Settings
from service.work import WorkQueue


@dataclass(frozen=True, slots=True)
class Service:
    """One application's settings, engines and queue."""

    settings: Settings
    engines: Engines
    queue: WorkQueue
    readiness: Readiness


def current_service(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast(Service, request.app.state.service)


def request_id_of(request: Request) -> str:
    """Return the id that the request's log line and answer carry."""
    return str(request.state.request_id)


CurrentService = Annotated[Service, Depends(current_service)]
RequestId = Annotated[str, Depends(request_id_of)]
