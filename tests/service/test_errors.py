import inspect

import pytest
from starlette.exceptions import HTTPException

from pipeline import errors as pipeline
from service import errors
from service.errors import KINDS, Fault, headers_of, kind_of, problem_of

DOCUMENTED = [
    (errors.BadRequest("x"), 400, "bad-request"),
    (errors.BadOptions([Fault(field="top_k", expected="a number")]), 400, "bad-options"),
    (errors.EmptyUpload("x"), 400, "empty-upload"),
    (errors.OutOfOrder("x"), 400, "out-of-order"),
    (errors.KeyMissing("x"), 401, "key-missing"),
    (errors.KeyRefused("x"), 403, "key-refused"),
    (errors.OriginRefused("x"), 403, "origin-refused"),
    (errors.StreamRefused("x"), 403, "stream-refused"),
    (pipeline.UnknownModel("x"), 404, "unknown-model"),
    (errors.UnknownJob("x"), 404, "unknown-job"),
    (errors.UploadTooSlow("x"), 408, "upload-too-slow"),
    (errors.StreamSilent("x"), 408, "idle"),
    (errors.StreamUnread("x"), 408, "unread"),
    (pipeline.WeightsMissing("x"), 409, "weights-missing"),
    (errors.NoResult("x"), 409, "no-result"),
    (errors.KeyReused("x"), 409, "key-reused"),
    (pipeline.LimitExceeded("x", limit="pixels"), 413, "limit-exceeded"),
    (errors.UnsupportedContent("x"), 415, "unsupported-content"),
    (pipeline.NotAVideo("x"), 415, "not-a-video"),
    (pipeline.Undecodable("x"), 422, "undecodable"),
    (pipeline.VideoError("x"), 422, "undecodable"),
    (pipeline.UnfitClip("x"), 422, "unfit-skeletons"),
    (errors.StreamTooFast("x"), 429, "too-fast"),
    (errors.ClientGone("x"), 499, "client-gone"),
    (errors.JobAbandoned("x"), 500, "job-abandoned"),
    (pipeline.BrokenBundle("x"), 500, "broken-model"),
    (pipeline.SourceLost("x"), 502, "source-lost"),
    (pipeline.ProviderMissing("x"), 503, "provider-missing"),
    (errors.NotReady("x"), 503, "not-ready"),
    (errors.TooManyStreams("x"), 503, "too-many-streams"),
    (errors.QueueFull("x", retry_after_s=7), 503, "queue-full"),
    (errors.JobsUnavailable("x"), 503, "jobs-unavailable"),
    (errors.JobsFull("x"), 503, "jobs-full"),
    (errors.DeadlineExceeded("x"), 504, "deadline-exceeded"),
    (errors.InsufficientStorage("x"), 507, "insufficient-storage"),
    (pipeline.MareyError("x"), 500, "internal"),
    (pipeline.DataError("x"), 500, "internal"),
    (RuntimeError("x"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "slug"), DOCUMENTED, ids=lambda value: type(value).__name__)
def test_every_error_has_its_documented_status(error, status, slug):
    problem = problem_of(error, request_id="abc")
    assert (problem.status, problem.type) == (status, f"urn:marey:problem:{slug}")
    assert problem.request_id == "abc"
    assert str(error) == problem.detail or slug == "internal"


def test_every_row_of_the_table_is_tried_above():
    assert set(KINDS) <= {type(error) for error, _, _ in DOCUMENTED} | {Exception}


def test_every_error_of_the_service_has_a_row():
    own = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ServiceError)]
    assert set(own) - {errors.ServiceError} <= set(KINDS)


def test_slugs_tell_problems_apart():
    pairs = {(kind.slug, kind.status, kind.title) for kind in KINDS.values()}
    assert len(pairs) == len({slug for slug, _, _ in pairs})


def test_a_limit_is_named():
    assert problem_of(pipeline.LimitExceeded("x", limit="pixels"), request_id="").limit == "pixels"


def test_options_at_fault_are_listed():
    fault = Fault(field="top_k", expected="a number", got="'x'")
    problem = problem_of(errors.BadOptions([fault]), request_id="")
    assert problem.errors == [fault]
    assert problem.detail == "top_k: expected a number, got 'x'"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.QueueFull("x", retry_after_s=7), {"Retry-After": "7"}),
        (errors.KeyMissing("x"), {"WWW-Authenticate": "Bearer"}),
        (HTTPException(405, headers={"Allow": "GET"}), {"Allow": "GET"}),
        (pipeline.NotAVideo("x"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_headers_belong_to_some(error, headers):
    assert headers_of(error) == headers


def test_errors_of_the_framework_keep_their_status():
    kind = kind_of(HTTPException(405))
    assert (kind.status, kind.slug, kind.title) == (405, "method-not-allowed", "Method Not Allowed")
