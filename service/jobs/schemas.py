"""What is told of a job."""

from datetime import UTC, datetime

from pydantic import BaseModel, Field

from service.errors import Problem
from service.jobs.store import Job, Status
from service.schemas import Answer

HOUR_S = 3600.0


class JobAnswer(BaseModel):
    """How far a job has come, and its result or problem in the end."""

    job_id: str
    status: Status
    progress: float = Field(ge=0, le=1, description="Share of the video that is done, of this attempt.")
    position: int | None = Field(description="Place in the queue: 1 is the next to be begun.")
    created_at: datetime
    started_at: datetime | None = Field(description="When the last attempt began.")
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When a finished job is forgotten.")
    file_name: str | None
    attempts: int = Field(description="Times that it was begun; a restart of the service begins it again.")
    result: Answer | None = None
    problem: Problem | None = None


class JobList(BaseModel):
    """Jobs, the latest first, without their results."""

    jobs: list[JobAnswer]


def answer_of_job(job: Job, *, progress: float, position: int | None, keep_hours: float) -> JobAnswer:
    """Express a job as JSON, without its result."""
    return JobAnswer(
        job_id=job.job_id,
        status=job.status,
        progress=1.0 if job.status is Status.DONE else round(progress, 3),
        position=position,
        created_at=_utc(job.created_s),
        started_at=_utc_or_none(job.started_s),
        finished_at=_utc_or_none(job.finished_s),
        expires_at=None if job.finished_s is None else _utc(job.finished_s + keep_hours * HOUR_S),
        file_name=job.file_name,
        attempts=job.attempts,
        problem=None if job.problem is None else Problem.model_validate_json(job.problem),
    )


def _utc(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def _utc_or_none(time_s: float | None) -> datetime | None:
    return None if time_s is None else _utc(time_s)
