"""The application: settings in, an ASGI application out, nothing global."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.engine import Engine
from pipeline.errors import MareyError
from service.cameras.cameras import Cameras
from service.engines import Engines, Loader, settings_loader
from service.errors import BadOptions, Fault, ServiceError, kind_of, problem_response
from service.gauges import Gauges
from service.jobs.desk import Jobs
from service.logs import RequestLog
from service.metrics import Metrics
from service.openapi import DescribedAPI
from service.readiness import Readiness
from service.routes import cameras, health, jobs, layouts, metrics, models, page, recognize, stream
from service.security import SecurityHeaders
from service.settings import Settings
from service.state import Service, request_id_of
from service.streams.streams import Streams
from service.work import WorkQueue

DESCRIPTION = "Video in, actions out: who did what, from when to when, and which frames and joints say so."


def create_app(settings: Settings, *, engine: Engine | None = None, load: Loader | None = None) -> FastAPI:
    """Return an application that answers as the settings say.

    ``engine`` is the deployment's own engine if it is loaded already; ``load`` makes engines by model and pose backend.
    Loading and warming up happen when the application starts, not here.
    """
    service = _make_service(settings, engine, load or settings_loader(settings))
    app = DescribedAPI(
        title="marey",
        version=metadata.version("marey"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.service = service
    for error in (ServiceError, MareyError, HTTPException, RequestValidationError):
        app.add_exception_handler(error, _answer_problem)
    for router in (
        recognize.router,
        stream.router,
        jobs.router,
        cameras.router,
        models.router,
        layouts.router,
        health.router,
        metrics.router,
        page.router,
    ):
        app.include_router(router)
    app.mount("/web", page.files)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog, metrics=service.metrics)
    return app


def _make_service(settings: Settings, engine: Engine | None, load: Loader) -> Service:
    engines = Engines(settings, load, default=engine)
    queue = WorkQueue(
        max_concurrent=settings.max_concurrent, max_queue=settings.max_queue, deadline_s=settings.deadline_s
    )
    readiness = Readiness(settings, engines)
    measured = Metrics()
    streams = Streams(settings, engines, readiness, measured)
    watched = Cameras(settings, engines, streams, measured)
    service = Service(settings, engines, queue, readiness, Jobs(settings, engines), streams, measured, watched)
    measured.registry.register(Gauges(service))
    return service


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load before the first request, warm up beside it, and let no work outlive the application."""
    service: Service = app.state.service
    await asyncio.to_thread(service.engines.load_default)
    await asyncio.to_thread(service.jobs.open)
    warm_up = asyncio.create_task(asyncio.to_thread(service.readiness.warm_up))
    service.cameras.start()
    try:
        yield
    finally:
        await asyncio.to_thread(service.cameras.close)
        await service.streams.close()
        await asyncio.to_thread(service.queue.close)
        await asyncio.to_thread(service.jobs.close)
        await warm_up


async def _answer_problem(request: Request, error: Exception) -> Response:
    request.state.problem = kind_of(error).slug
    if isinstance(error, RequestValidationError):
        error = BadOptions(_framework_faults(error))
    return problem_response(error, request_id=request_id_of(request))


def _framework_faults(error: RequestValidationError) -> list[Fault]:
    return [
        Fault(field=".".join(str(part) for part in entry["loc"]), expected=str(entry["msg"]))
        for entry in error.errors()
    ]
