"""/v1/jobs: videos to be worked on in the background, and what came of them."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response, StreamingResponse

from pipeline.video import open_video
from service.errors import ClientGone, NotReady, UnknownJob, UnsupportedContent, UploadTooSlow
from service.jobs.desk import Draft, JobDesk
from service.jobs.results import segments_csv
from service.jobs.schemas import JobAnswer, JobList
from service.jobs.store import Job
from service.openapi import option_parameters, problems, video_body
from service.requests import RecognizeOptions, options_given, refuse_wide
from service.security import require_key
from service.state import CurrentService, RequestId, Service
from service.uploads import JSON, Upload, media_type_of, receive_upload
from service.work import Stopped

Read = TypeVar("Read")

ENDPOINT = "/v1/jobs"
# How often a job that somebody follows is looked at, and how often a silent line is kept alive.
LOOK_S, PING_S = 0.25, 10
# A result that is longer than this is left to be fetched: an event is one line, and must fit in everybody's memory.
EVENT_CHARS = 8 * 1024 * 1024
MAX_NAME_CHARS = 200

router = APIRouter(tags=["jobs"], dependencies=[Depends(require_key)])


def current_desk(service: CurrentService) -> JobDesk:
    """Return the desk that jobs are handed in at; ``JobsUnavailable`` if there is none."""
    return service.jobs.desk


CurrentDesk = Annotated[JobDesk, Depends(current_desk)]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="Chosen by the client; the same key gives the same job."),
]


@router.post(
    ENDPOINT,
    status_code=202,
    response_model=JobAnswer,
    responses={
        200: {"model": JobAnswer, "description": "The job that this Idempotency-Key was accepted with before."},
        **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503, 507),
    },
    openapi_extra={"requestBody": video_body(), "parameters": option_parameters()},
)
async def create_job(
    request: Request,
    service: CurrentService,
    desk: CurrentDesk,
    request_id: RequestId,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Accept a video, as `POST /v1/recognize` takes it, to be worked on in the background.

    `Location` is where the job is found.
    """
    in_address = request.query_params.multi_items()
    options_given(in_address, {})
    if media_type_of(request) == JSON:
        raise UnsupportedContent("jobs are for videos; send skeletons to POST /v1/recognize, which takes no time")
    address = urlencode(sorted(in_address))
    if idempotency_key and (known := await run_in_threadpool(desk.recall, idempotency_key, address)):
        await _in_time(service, _drop(request))
        return await _reply(desk, known, status_code=200)
    async with contextmanager_in_threadpool(desk.draft()) as draft:
        upload = await _in_time(service, _receive(request, service, draft))
        options = options_given(in_address, upload.options)
        await run_in_threadpool(_check, service, desk, upload, options)
        job = Job(
            job_id=draft.job_id,
            request_id=request_id,
            options=options.model_dump_json(),
            created_s=time.time(),
            address=address,
            idempotency_key=idempotency_key,
            file_name=_last_name(upload.file_name),
        )
        accepted = await run_in_threadpool(desk.accept, draft, job)
    return await _reply(desk, accepted, status_code=202 if accepted.job_id == job.job_id else 200)


@router.get(ENDPOINT, responses=problems(400, 401, 403, 503))
def list_jobs(desk: CurrentDesk, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> JobList:
    """List the jobs accepted last, the latest first, without their results."""
    return desk.latest(limit)


@router.get(f"{ENDPOINT}/{{job_id}}", response_model=JobAnswer, responses=problems(401, 403, 404, 503))
def show_job(job_id: str, desk: CurrentDesk) -> Response:
    """Show how far a job has come, and its result once it is done."""
    return StreamingResponse(desk.text(job_id), media_type=JSON)


@router.delete(f"{ENDPOINT}/{{job_id}}", status_code=204, responses=problems(401, 403, 404, 503))
def remove_job(job_id: str, desk: CurrentDesk) -> None:
    """Cancel a job that is not finished, or forget one that is; its video and its result are removed."""
    desk.withdraw(job_id)


@router.get(
    f"{ENDPOINT}/{{job_id}}/events",
    response_class=EventSourceResponse,
    responses={204: {"description": "The last event was received before."}, **problems(401, 403, 404, 503)},
)
async def follow_job(job_id: str, desk: CurrentDesk, last_event_id: Annotated[str | None, Header()] = None) -> Response:
    """Send an event `progress` on each change, and `done`, `failed` or `cancelled` with the result at the end."""
    shown = await run_in_threadpool(desk.show, job_id)
    if shown.status.is_final and last_event_id == _event_id(shown):
        return Response(status_code=204)  # by which a browser's EventSource stops asking
    return EventSourceResponse(_events(desk, job_id, last_event_id), ping=PING_S)


@router.get(
    f"{ENDPOINT}/{{job_id}}/segments.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **problems(401, 403, 404, 409, 503)},
)
def show_segments(job_id: str, desk: CurrentDesk) -> Response:
    """Show who did what from when to when as a table."""
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.csv"'}
    return Response(segments_csv(desk.answer(job_id)), headers=headers, media_type="text/csv")


@router.get(
    f"{ENDPOINT}/{{job_id}}/annotated.mp4",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}, **problems(401, 403, 404, 409, 503, 507)},
)
async def show_film(job_id: str, desk: CurrentDesk) -> Response:
    """Show the video with skeletons, ids and labels; it is made when it is first asked for, which takes a while."""
    making = await run_in_threadpool(desk.make_film, job_id)
    try:
        await asyncio.shield(asyncio.wrap_future(making))
    except Stopped as error:
        await run_in_threadpool(desk.show, job_id)
        raise NotReady("the service is being stopped; ask again when it is back") from error
    return FileResponse(desk.film(job_id), media_type="video/mp4")


async def _reply(desk: JobDesk, job: Job, *, status_code: int) -> Response:
    shown = await run_in_threadpool(desk.show, job.job_id)
    headers = {"Location": f"{ENDPOINT}/{job.job_id}"}
    return Response(shown.model_dump_json(), status_code, headers, media_type=JSON)


async def _in_time(service: Service, reading: Awaitable[Read]) -> Read:
    """Read a body at the pace at least that the largest one of a request has to come at."""
    settings = service.settings
    allowed_s = settings.deadline_s * max(1.0, settings.job_max_bytes / settings.max_bytes)
    try:
        async with asyncio.timeout(allowed_s):
            return await reading
    except TimeoutError as error:
        raise UploadTooSlow(f"expected the upload within {allowed_s:g} s") from error
    except ClientDisconnect as error:
        raise ClientGone("the client hung up during the upload") from error


async def _receive(request: Request, service: Service, draft: Draft) -> Upload:
    limits = service.settings.model_copy(update={"max_bytes": service.settings.job_max_bytes})
    return await receive_upload(request, limits, spool=draft.file)


async def _drop(request: Request) -> None:
    """Read a body that is not needed: many clients hear no answer before they have sent it all."""
    async for _ in request.stream():
        pass


def _check(service: Service, desk: JobDesk, upload: Upload, options: RecognizeOptions) -> None:
    """Refuse at once what would fail later: names, windows, and what is no video."""
    service.engines.check_names(options.model, options.pose)
    refuse_wide(options, service.engines.engine(options.model, options.pose).recogniser.card.features)
    open_video(upload.content, limits=desk.limits).close()


def _last_name(path: str) -> str | None:
    """Return a file's name without folders and without what cannot be shown."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, name))[:MAX_NAME_CHARS] or None


async def _events(desk: JobDesk, job_id: str, seen: str | None) -> AsyncIterator[ServerSentEvent]:
    """Tell each change but the one that was seen last, until there will be no more."""
    with contextlib.suppress(UnknownJob):
        while True:
            shown = await run_in_threadpool(desk.show, job_id)
            if _event_id(shown) != seen:
                seen = _event_id(shown)
                text = await run_in_threadpool(_event_text, desk, shown)
                name = shown.status.value if shown.status.is_final else "progress"
                yield ServerSentEvent(text, event=name, id=seen)
            if shown.status.is_final:
                return
            await asyncio.sleep(LOOK_S)


def _event_id(shown: JobAnswer) -> str:
    """Name what an event tells; after a restart of the service it still says whether a client has seen it."""
    return f"{shown.status}-{shown.attempts}-{shown.progress:.3f}-{shown.position or 0}"


def _event_text(desk: JobDesk, shown: JobAnswer) -> str:
    """Return a job with its result once it has one, or without if that is too long for an event."""
    if not shown.status.is_final:
        return shown.model_dump_json()
    text = io.StringIO()
    for piece in desk.text(shown.job_id):
        text.write(piece)
        if text.tell() > EVENT_CHARS:
            return shown.model_dump_json()
    return text.getvalue()
