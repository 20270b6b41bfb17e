"""Desks around the fake engine."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from service.engines import Engines
from service.jobs.desk import JobDesk
from service.jobs.schemas import JobAnswer
from service.jobs.store import Job
from service.requests import RecognizeOptions
from service.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of jobs."""
    return tmp_path / "jobs"


@pytest.fixture
def open_desk(root: Path, engine) -> Iterator[Callable[..., JobDesk]]:
    """Open a desk on the folder of jobs; it is closed after the test, if not before."""
    with ExitStack() as desks:

        def open_one(*, now: Callable[[], float] = time.time, **settings: object) -> JobDesk:
            chosen = Settings(jobs_folder=root, **settings)
            return desks.enter_context(closing(JobDesk(chosen, Engines(chosen, None, default=engine), now=now)))

        yield open_one


@pytest.fixture
def hand_in(video: bytes) -> Callable[..., str]:
    """Hand in a video at a desk, and return the id of its job."""

    def hand_in_one(desk: JobDesk, content: bytes = video, *, created_s: float = 0.0) -> str:
        with desk.draft() as draft:
            draft.file.write(content)
            options = RecognizeOptions().model_dump_json()
            return desk.accept(
                draft, Job(job_id=draft.job_id, request_id="abc", options=options, created_s=created_s)
            ).job_id

    return hand_in_one


@pytest.fixture
def finish() -> Callable[[JobDesk, str], JobAnswer]:
    """Wait for the end of a job."""

    def wait(desk: JobDesk, job_id: str) -> JobAnswer:
        given_up_s = time.monotonic() + 5
        while not (shown := desk.show(job_id)).status.is_final:
            assert time.monotonic() < given_up_s
            time.sleep(0.002)
        return shown

    return wait


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        given_up_s = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < given_up_s
            time.sleep(0.002)

    return wait
