"""What goes wrong between a client and a service.

All of it is the world's fault::

    RemoteError (pipeline/errors.py)
    +-- Unreachable       nothing answers there, or the line broke
    +-- ServiceProblem    the service says what is wrong
    +-- JobCancelled      somebody cancelled the job that was waited for
"""

import httpx
from pydantic import ValidationError

from pipeline.errors import RemoteError
from service.errors import Problem

# Of a page that some proxy answers with, the beginning says enough.
MAX_DETAIL = 300


class Unreachable(RemoteError):
    """Nothing answers at the service's address, or the line to it broke."""


class JobCancelled(RemoteError):
    """The job that was waited for was cancelled."""


class ServiceProblem(RemoteError):
    """The service's own account of what is wrong: its problem details, and when to come back if it says so."""

    def __init__(self, problem: Problem, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"the service says: {problem.title} ({problem.status}): {problem.detail}")
        self.type = problem.type
        self.title = problem.title
        self.status = problem.status
        self.detail = problem.detail
        self.limit = problem.limit
        self.errors = tuple(problem.errors or ())
        self.request_id = problem.request_id
        self.retry_after_s = retry_after_s

    @classmethod
    def of(cls, status: int, headers: httpx.Headers, body: bytes) -> "ServiceProblem":
        """Read an answer that is no success; something between client and service may answer in other words."""
        try:
            problem = Problem.model_validate_json(body)
        except ValidationError:
            detail = body[:MAX_DETAIL].decode(errors="replace") or "nothing more"
            title = httpx.codes.get_reason_phrase(status) or "Unknown"
            request_id = headers.get("X-Request-ID", "")
            problem = Problem(type="about:blank", title=title, status=status, detail=detail, request_id=request_id)
        pause = headers.get("Retry-After", "")
        return cls(problem, retry_after_s=float(pause) if pause.isdecimal() else None)
