"""Every answer that is no success, as RFC 9457 problem details, and the one table that says which error is which.

The service's own errors::

    ServiceError
    +-- BadRequest            the request cannot be understood
    |   +-- BadOptions        an option is unknown or out of range
    |   +-- EmptyUpload       there is nothing in it
    |   +-- OutOfOrder        a frame is older than one before it
    +-- UnsupportedContent    the content type is none that is accepted
    +-- KeyMissing            a key is needed
    +-- KeyRefused            the key is not known
    +-- OriginRefused         a page of somebody else asks
    +-- UploadTooSlow         the upload did not arrive in time
    +-- DeadlineExceeded      the work did not end in time
    +-- ClientGone            nobody waits for the answer any more
    +-- QueueFull             too many requests are waiting already
    +-- NotReady              the service cannot answer yet, or no more
    +-- StreamRefused         a stream does what it may not
    |   +-- StreamTooFast     it sends more frames than allowed
    |   +-- StreamSilent      it sends none
    |   +-- StreamUnread      it does not read its answers
    +-- TooManyStreams        as many streams as may be open are
    +-- JobsUnavailable       no jobs are taken here, or cannot be
    |   +-- JobsFull          as many jobs as may be unfinished are
    +-- UnknownJob            there is no job of that id, or no more
    +-- NoResult              the job has none, or not yet
    +-- KeyReused             an idempotency key came with another request before
    +-- JobAbandoned          the service was killed each time that it worked on the job
    +-- InsufficientStorage   the disk is full

Errors of the pipeline (``pipeline/errors.py``) have their rows in the same table.
"""

import errno
import http
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pipeline import errors as pipeline

PROBLEM_JSON = "application/problem+json"
CLIENT_CLOSED_REQUEST = 499
MAX_SHOWN = 60


class Fault(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    expected: str
    got: str | None = None


class Problem(BaseModel):
    """The body of every error (RFC 9457). ``limit`` names the limit passed, ``errors`` the fields at fault."""

    model_config = ConfigDict(json_schema_extra={"title": "Problem"})

    type: str = Field(examples=["urn:marey:problem:not-a-video"])
    title: str = Field(examples=["Not a video"])
    status: int = Field(examples=[415])
    detail: str
    request_id: str
    limit: str | None = None
    errors: list[Fault] | None = None


class ServiceError(Exception):
    """The root of the service's own errors."""


class BadRequest(ServiceError):
    """The request cannot be understood."""


class BadOptions(BadRequest):
    """An option is unknown or out of range."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(_sentence(fault) for fault in faults))
        self.faults = tuple(faults)


class EmptyUpload(BadRequest):
    """There is nothing in the upload."""


class OutOfOrder(BadRequest):
    """A frame's number or time is not above the one before it."""


class UnsupportedContent(ServiceError):
    """The content type is none of those that are accepted."""


class KeyMissing(ServiceError):
    """A key is needed and none came."""


class KeyRefused(ServiceError):
    """The key is not among those that are known."""


class OriginRefused(ServiceError):
    """A page that this service did not serve wants to open a stream."""


class UploadTooSlow(ServiceError):
    """The upload did not arrive before the deadline."""


class DeadlineExceeded(ServiceError):
    """The work did not end before the deadline."""


class ClientGone(ServiceError):
    """The client hung up before the answer."""


class QueueFull(ServiceError):
    """As many requests as may wait are waiting."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(ServiceError):
    """The service cannot answer yet, or no longer."""


class StreamRefused(ServiceError):
    """A stream does what it may not."""


class StreamTooFast(StreamRefused):
    """It sends more frames than allowed."""


class StreamSilent(StreamRefused):
    """It sends no frames."""


class StreamUnread(StreamRefused):
    """It does not read what it is sent."""


class TooManyStreams(ServiceError):
    """As many streams as may be open are."""


class JobsUnavailable(ServiceError):
    """No jobs are taken by this deployment, or its folder for them cannot be used."""


class JobsFull(JobsUnavailable):
    """As many jobs as may be unfinished are."""

    retry_after_s = 60


class UnknownJob(ServiceError):
    """There is no job of that id, or no more."""


class NoResult(ServiceError):
    """The job has no result, or not yet."""


class KeyReused(ServiceError):
    """The idempotency key came with another request before."""


class JobAbandoned(ServiceError):
    """The service was killed each time that it worked on the job."""


class InsufficientStorage(ServiceError):
    """The disk is full."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems of one error class have in common."""

    status: int
    slug: str
    title: str

    @property
    def type(self) -> str:
        """The identifier by which clients may tell problems apart."""
        return f"urn:marey:problem:{self.slug}"


# The nearest class in an error's ancestry decides.
KINDS: Mapping[type[Exception], Kind] = {
    BadRequest: Kind(400, "bad-request", "The request cannot be understood"),
    BadOptions: Kind(400, "bad-options", "Bad options"),
    EmptyUpload: Kind(400, "empty-upload", "Empty upload"),
    OutOfOrder: Kind(400, "out-of-order", "A frame came out of order"),
    KeyMissing: Kind(401, "key-missing", "An API key is needed"),
    KeyRefused: Kind(403, "key-refused", "The API key is not known"),
    OriginRefused: Kind(403, "origin-refused", "Pages of other services may not stream"),
    StreamRefused: Kind(403, "stream-refused", "Not allowed in a stream"),
    pipeline.UnknownModel: Kind(404, "unknown-model", "Unknown model"),
    UploadTooSlow: Kind(408, "upload-too-slow", "The upload took too long"),
    StreamSilent: Kind(408, "idle", "No frames came"),
    StreamUnread: Kind(408, "unread", "The answers are not read"),
    UnknownJob: Kind(404, "unknown-job", "Unknown job"),
    NoResult: Kind(409, "no-result", "The job has no result"),
    KeyReused: Kind(409, "key-reused", "The idempotency key belongs to another request"),
    pipeline.WeightsMissing: Kind(409, "weights-missing", "Weights must be pulled first"),
    pipeline.LimitExceeded: Kind(413, "limit-exceeded", "Larger than allowed"),
    UnsupportedContent: Kind(415, "unsupported-content", "Unsupported content type"),
    pipeline.NotAVideo: Kind(415, "not-a-video", "Not a video"),
    pipeline.VideoError: Kind(422, "undecodable", "The video cannot be decoded"),
    pipeline.Undecodable: Kind(422, "undecodable", "The video cannot be decoded"),
    pipeline.UnfitClip: Kind(422, "unfit-skeletons", "Skeletons that the model does not take"),
    StreamTooFast: Kind(429, "too-fast", "Too many frames a second"),
    ClientGone: Kind(CLIENT_CLOSED_REQUEST, "client-gone", "The client hung up"),
    Exception: Kind(500, "internal", "Something went wrong here"),
    JobAbandoned: Kind(500, "job-abandoned", "The job was given up"),
    pipeline.BrokenBundle: Kind(500, "broken-model", "The model is broken"),
    pipeline.SourceLost: Kind(502, "source-lost", "The source went away"),
    QueueFull: Kind(503, "queue-full", "Too many requests are waiting"),
    NotReady: Kind(503, "not-ready", "Not ready"),
    TooManyStreams: Kind(503, "too-many-streams", "Too many streams are open"),
    JobsUnavailable: Kind(503, "jobs-unavailable", "No jobs are taken here"),
    JobsFull: Kind(503, "jobs-full", "Too many jobs are unfinished"),
    pipeline.ProviderMissing: Kind(503, "provider-missing", "The device asked for is not there"),
    DeadlineExceeded: Kind(504, "deadline-exceeded", "The work took too long"),
    InsufficientStorage: Kind(507, "insufficient-storage", "The disk is full"),
}


def kind_of(error: Exception) -> Kind:
    """Return the row of an error's nearest ancestor; HTTP errors of the framework keep their status."""
    if isinstance(error, HTTPException):
        phrase = http.HTTPStatus(error.status_code).phrase
        return Kind(error.status_code, phrase.lower().replace(" ", "-"), phrase)
    return next(KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in KINDS)


def problem_of(error: Exception, *, request_id: str) -> Problem:
    """Tell a client what went wrong; of errors that are no one's foreseen fault it learns the request id only."""
    kind = kind_of(error)
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=_detail(error, kind),
        request_id=request_id,
        limit=error.limit if isinstance(error, pipeline.LimitExceeded) else None,
        errors=list(error.faults) if isinstance(error, BadOptions) else None,
    )


def problem_response(error: Exception, *, request_id: str) -> Response:
    """Return an error as an answer."""
    problem = problem_of(error, request_id=request_id)
    return Response(
        problem.model_dump_json(exclude_none=True), problem.status, headers_of(error), media_type=PROBLEM_JSON
    )


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that belong to an error's answer."""
    if isinstance(error, HTTPException):
        return dict(error.headers or {})
    if isinstance(error, QueueFull | JobsFull):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, KeyMissing):
        return {"WWW-Authenticate": "Bearer"}
    return {}


@contextmanager
def telling_full_disk() -> Iterator[None]:
    """Raise ``InsufficientStorage`` where the disk turns out to be full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InsufficientStorage("the disk has no room for this; send less, or try again later") from error


def faults_in(error: ValidationError, known: Sequence[str] = ()) -> tuple[Fault, ...]:
    """Say of each field that pydantic refused what was expected; an unknown one is told the known names."""
    return tuple(_fault(entry, known) for entry in error.errors(include_url=False, include_context=False))


def _fault(entry: ErrorDetails, known: Sequence[str]) -> Fault:
    # A name may be anything that JSON can hold, half a character included.
    field = _shortened(".".join(map(str, entry["loc"])).encode("ascii", "backslashreplace").decode()) or "body"
    if entry["type"] == "extra_forbidden" and known:
        return Fault(field=field, expected=f"one of {', '.join(known)}", got="no such name")
    return Fault(field=field, expected=_expectation(entry["msg"]), got=_shortened(repr(entry["input"])))


def _detail(error: Exception, kind: Kind) -> str:
    if kind is KINDS[Exception]:
        return "An unforeseen error; the service's log has it under this request's id."
    return str(error.detail) if isinstance(error, HTTPException) else str(error)


def _expectation(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _sentence(fault: Fault) -> str:
    return f"{fault.field}: expected {fault.expected}" + (f", got {fault.got}" if fault.got is not None else "")
