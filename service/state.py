"""What the requests of one application share."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from service.cameras.cameras import Cameras
from service.engines import Engines
from service.jobs.desk import Jobs
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.streams.streams import Streams
from service.work import WorkQueue


@dataclass(frozen=True, slots=True)
class Service:
    """One application's settings, engines, queue, jobs, streams, metrics and cameras."""

    settings: Settings
    engines: Engines
    queue: WorkQueue
    readiness: Readiness
    jobs: Jobs
    streams: Streams
    metrics: Metrics
    cameras: Cameras


def current_service(connection: HTTPConnection) -> Service:
    """Return the service that a request or stream came to."""
    return cast(Service, connection.app.state.service)


def request_id_of(connection: HTTPConnection) -> str:
    """Return the id that a request's or stream's log lines and answer carry."""
    return str(connection.state.request_id)


CurrentService = Annotated[Service, Depends(current_service)]
RequestId = Annotated[str, Depends(request_id_of)]
