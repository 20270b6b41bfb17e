"""POST /v1/recognize: a video or skeletons in, people and their actions out."""

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from fastapi import APIRouter, Depends, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pipeline.engine import Engine
from pipeline.errors import LimitExceeded
from pipeline.layouts import Layout
from pipeline.values import Recognition, SkeletonClip
from pipeline.video import open_video
from service.errors import ClientGone, UploadTooSlow
from service.limits import request_limits
from service.openapi import option_parameters, problems, recognize_body
from service.requests import RecognizeOptions, SkeletonRequest, options_given, refuse_wide
from service.schemas import Answer, answer_of
from service.security import require_key
from service.settings import Settings
from service.state import CurrentService, RequestId, Service
from service.uploads import new_spool, receive_upload
from service.work import Place, Turn

router = APIRouter(tags=["recognise"], dependencies=[Depends(require_key)])


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for."""

    source: BinaryIO | SkeletonClip
    options: RecognizeOptions


@router.post(
    "/v1/recognize",
    response_model=Answer,
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 503, 504),
    openapi_extra={"requestBody": recognize_body(), "parameters": option_parameters()},
)
@router.post("/recognize", include_in_schema=False)
async def recognize(request: Request, service: CurrentService, request_id: RequestId) -> Response:
    """Recognise who does what, from when to when.

    Send a form with the part `file`, the bytes of a video as the body, or skeletons as JSON. Options come in the form's
    part `options` (JSON), beside the skeletons, or in the address; an option may be given once.
    """
    with service.queue.admit() as place:
        order = await _receive_in_time(request, service, place)
        work = partial(_work_off, order, service, request_id)
        body = await place.run(work, gone=_hang_up(request))
    return Response(body, media_type="application/json")


async def _receive_in_time(request: Request, service: Service, place: Place) -> Order:
    try:
        async with asyncio.timeout_at(place.deadline_s):
            order = await _receive(request, service.settings, place)
            await asyncio.to_thread(service.engines.check_names, order.options.model, order.options.pose)
            return order
    except TimeoutError as error:
        raise UploadTooSlow(f"expected the upload within {service.settings.deadline_s:g} s") from error
    except ClientDisconnect as error:
        raise ClientGone("the client hung up during the upload") from error


async def _receive(request: Request, settings: Settings, place: Place) -> Order:
    """Read a request's body and check its options, those of the address before anything is read."""
    in_address = request.query_params.multi_items()
    options_given(in_address, {})
    upload = await receive_upload(request, settings, spool=place.keep(new_spool(settings)))
    if not upload.is_json:
        return Order(upload.content, options_given(in_address, upload.options))
    body = await asyncio.to_thread(lambda: SkeletonRequest.read(upload.content.read()))
    clip = await asyncio.to_thread(body.skeletons.to_clip)
    _refuse_long(clip, settings)
    return Order(clip, options_given(in_address, body.options))


def _refuse_long(clip: SkeletonClip, settings: Settings) -> None:
    if clip.num_frames > settings.max_frames:
        raise LimitExceeded(f"expected at most {settings.max_frames} frames, got {clip.num_frames}", limit="frames")
    if clip.end_s - clip.start_s > settings.max_seconds:
        raise LimitExceeded(
            f"expected at most {settings.max_seconds:g} s, got {clip.end_s - clip.start_s:.1f} s", limit="seconds"
        )


async def _hang_up(request: Request) -> None:
    """Return once the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _work_off(order: Order, service: Service, request_id: str, turn: Turn) -> bytes:
    """Do what was ordered, in a thread; the answer's JSON is made here too, for keypoints can be many."""
    started_s = time.perf_counter()
    engine = service.engines.engine(order.options.model, order.options.pose)
    refuse_wide(order.options, engine.recogniser.card.features)
    recognition, layout = _recognise(order, engine, service.settings, turn)
    spent_ms = (time.perf_counter() - started_s) * 1000
    timings_ms = {**recognition.timings_ms, "queue": turn.waited_ms, "total": turn.waited_ms + spent_ms}
    service.metrics.saw_timings(timings_ms)
    recognition = replace(recognition, timings_ms=timings_ms)
    answer = answer_of(recognition, engine.recogniser, layout=layout, request_id=request_id)
    return answer.model_dump_json().encode()


def _recognise(order: Order, engine: Engine, settings: Settings, turn: Turn) -> tuple[Recognition, Layout]:
    options = order.options.for_engine()
    if isinstance(order.source, SkeletonClip):
        return engine.recognise_skeletons(order.source, options), order.source.layout
    with open_video(order.source, limits=request_limits(settings)) as video:
        return engine.recognise(video, options, on_progress=turn.report), engine.pose.layout
