"""Take in what a request sends: counted while it streams in, never trusted by name or header, never kept.

A small upload stays in memory; a larger one goes to a temporary file that has no name, so that it is gone when it is
closed or when the process ends, whatever happens.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from starlette.requests import Request

from pipeline.errors import LimitExceeded
from service.errors import BadRequest, EmptyUpload, UnsupportedContent, telling_full_disk
from service.forms import Form
from service.requests import options_in
from service.settings import Settings

FORM, JSON, BYTES = "multipart/form-data", "application/json", "application/octet-stream"
# Below this many bytes a write is memory; above it may wait for the disk, which the event loop must not.
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """What came: a video's bytes from the start, or a JSON body, and the options and the file's name in the form."""

    content: BinaryIO
    is_json: bool
    options: dict[str, object]
    file_name: str


def new_spool(settings: Settings) -> BinaryIO:
    """Return an empty file in memory that moves to the disk when it grows; whoever asked for it closes it."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=settings.spool_bytes))


async def receive_upload(request: Request, settings: Settings, *, spool: BinaryIO) -> Upload:
    """Read a request's body into ``spool``.

    Raises:
        UnsupportedContent: the content type is none of those that are accepted.
        LimitExceeded: the body is larger than allowed; its rest is not read.
        EmptyUpload: there is nothing in it.
        BadRequest: the form is malformed, or its options are not JSON.
        InsufficientStorage: the disk is full.

    """
    media_type = media_type_of(request)
    chunks = _counted(request, *_byte_limit(media_type, settings))
    form = Form(request.headers["content-type"], spool) if media_type == FORM else None
    with telling_full_disk():
        async for chunk in chunks:
            await asyncio.to_thread((form or spool).write, chunk)
    if form:
        form.close()
    if spool.tell() == 0:
        raise EmptyUpload("expected a video, got 0 bytes")
    spool.seek(0)
    options = options_in(form.options) if form and form.options else {}
    return Upload(spool, media_type == JSON, options, form.file_name if form else "")


async def _counted(request: Request, max_bytes: int, limit: str) -> AsyncIterator[bytes]:
    """Yield the body in pieces of about ``CHUNK_BYTES``, and stop at the first byte that is too many."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise BadRequest("expected a number as content length")
    _refuse_above(int(declared), max_bytes, limit)
    received, pending = 0, bytearray()
    async for chunk in request.stream():
        received += len(chunk)
        _refuse_above(received, max_bytes, limit)
        pending += chunk
        if len(pending) >= CHUNK_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


def _refuse_above(num_bytes: int, max_bytes: int, limit: str) -> None:
    if num_bytes > max_bytes:
        raise LimitExceeded(f"the request has more than the {max_bytes} bytes that are allowed", limit=limit)


def _byte_limit(media_type: str, settings: Settings) -> tuple[int, str]:
    if media_type == JSON:
        return settings.max_json_bytes, "json_bytes"
    return settings.max_bytes, "bytes"


def media_type_of(request: Request) -> str:
    """Return the declared content type, which says how to read a body but not whether it is a video."""
    media_type = request.headers.get("content-type", BYTES).partition(";")[0].strip().lower()
    if media_type in (FORM, JSON, BYTES) or media_type.startswith("video/"):
        return media_type
    raise UnsupportedContent(
        f"expected a form ({FORM}), skeletons ({JSON}) or the bytes of a video (video/* or {BYTES}), "
        f"got {media_type[:60]!r}"
    )
