"""Where jobs are handed in, asked after and collected."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from pipeline.video import VideoLimits
from service.engines import Engines
from service.errors import JobsFull, JobsUnavailable, KeyReused, NoResult, UnknownJob, telling_full_disk
from service.jobs.annotated import AnnotatedVideos
from service.jobs.folder import JobFolder, default_folder, sync
from service.jobs.results import SavedKeypoints, job_text, unpacked
from service.jobs.schemas import JobAnswer, JobList, answer_of_job
from service.jobs.store import Job, JobStore, Status
from service.jobs.worker import Worker
from service.limits import job_limits
from service.requests import RecognizeOptions
from service.schemas import Answer
from service.settings import Settings

# Seconds that the worker has to leave its job once the service stops.
STOP_S = 10.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A job to be: its id, and the file that takes in its video."""

    job_id: str
    file: BinaryIO


class JobDesk:
    """All that requests ask of jobs; safe to share between threads, and, as it waits for the disk, best left to them.

    Raises:
        JobsUnavailable: when it is made: another service uses the folder, or it cannot be used.
        UnknownJob: from whatever is given an id that no job has.

    """

    def __init__(self, settings: Settings, engines: Engines, *, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now = settings, now
        self._folder = JobFolder(settings.jobs_folder or default_folder())
        self._store = JobStore(self._folder.table)
        self._folder.remove_others(self._store.ids())
        self._worker = Worker(self._store, self._folder, engines=engines, settings=settings, now=now)
        self._annotated = AnnotatedVideos(self._folder, limits=self.limits)
        self._lock = threading.Lock()
        self._num_arriving = 0

    @property
    def limits(self) -> VideoLimits:
        """What a job's video may cost."""
        return job_limits(self._settings)

    def start(self) -> None:
        """Begin to work off what is queued."""
        self._worker.start()

    def close(self) -> None:
        """Put the job in work back, and let go of the folder."""
        self._annotated.close()
        self._worker.stop(STOP_S)
        self._store.close()

    def recall(self, idempotency_key: str, address: str) -> Job | None:
        """Return the job that was accepted with a key; ``KeyReused`` if that request's address said otherwise."""
        job = self._store.find_key(idempotency_key)
        if job and job.address != address:
            raise KeyReused(
                "expected the options in the address that came with this Idempotency-Key before "
                f"({job.address or 'none'}), got {address or 'none'}; use a new key for a new job"
            )
        return job

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Give an upload a place among the unfinished jobs and a file; what is not accepted leaves nothing behind.

        Raises:
            JobsFull: there is no place.
            InsufficientStorage: the disk is full.

        """
        with self._place(), telling_full_disk():
            job_id = self._folder.create()
            try:
                with self._folder.upload(job_id).open("w+b") as file:
                    yield Draft(job_id, file)
            finally:
                if self._store.find(job_id) is None:
                    self._folder.remove(job_id)

    def accept(self, draft: Draft, job: Job) -> Job:
        """Accept a draft as a job, which nothing loses from now on.

        If another request was quicker with the same idempotency key, return its job.
        """
        draft.file.flush()
        sync(self._folder.upload(draft.job_id))
        self._folder.sync(draft.job_id)
        accepted = self._store.add(job)
        self._worker.wake()
        return accepted

    def show(self, job_id: str) -> JobAnswer:
        """Return how far a job has come, without its result."""
        return self._shown(self._find(job_id))

    def latest(self, limit: int) -> JobList:
        """Return the jobs accepted last."""
        return JobList(jobs=[self._shown(job) for job in self._store.latest(limit)])

    def counts(self) -> dict[str, int]:
        """Count the jobs that are kept, by status."""
        return self._store.counts()

    def text(self, job_id: str) -> Iterator[str]:
        """Write a job with its result as JSON, piece by piece."""
        job = self._find(job_id)
        if job.status is not Status.DONE:
            return iter([self._shown(job).model_dump_json()])
        wants_keypoints = RecognizeOptions.model_validate_json(job.options).keypoints
        keypoints = SavedKeypoints(self._folder.keypoints(job_id)) if wants_keypoints else None
        return job_text(self._shown(job), self.answer(job_id), keypoints)

    def answer(self, job_id: str) -> Answer:
        """Return a job's result without keypoints; ``NoResult`` says why there is none."""
        job = self._find(job_id)
        kept = self._store.result(job_id)
        if kept is None:
            hint = "forget it and send the video again" if job.status.is_final else "ask again once it is done"
            raise NoResult(f"the job is {job.status}, and has a result only when it is done; {hint}")
        return unpacked(kept)

    def film(self, job_id: str) -> Path:
        """Return where the annotated video of a job is, or will be."""
        return self._folder.film(job_id)

    def make_film(self, job_id: str) -> Future[None]:
        """Have the annotated video of a finished job made, unless it is there."""
        return self._annotated.make(job_id, self.answer(job_id))

    def withdraw(self, job_id: str) -> None:
        """Cancel an unfinished job, or forget a finished one; either way its video and result are removed."""
        job = self._store.withdraw(job_id, self._now())
        if job is None:
            raise _unknown(job_id)
        if job.status is not Status.RUNNING:  # else the worker does it when it has let go
            self._folder.remove(job_id)

    @contextmanager
    def _place(self) -> Iterator[None]:
        with self._lock:
            if self._store.num_unfinished() + self._num_arriving >= self._settings.max_jobs:
                raise JobsFull(f"{self._settings.max_jobs} jobs are unfinished, and no more may be; try again later")
            self._num_arriving += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_arriving -= 1

    def _shown(self, job: Job) -> JobAnswer:
        return answer_of_job(
            job,
            progress=self._worker.progress_of(job.job_id),
            position=self._store.position(job) if job.status is Status.QUEUED else None,
            keep_hours=self._settings.job_keep_hours,
        )

    def _find(self, job_id: str) -> Job:
        job = self._store.find(job_id)
        if job is None:
            raise _unknown(job_id)
        return job


class Jobs:
    """An application's desk for jobs, if it has one."""

    def __init__(self, settings: Settings, engines: Engines) -> None:
        self._settings, self._engines = settings, engines
        self._desk: JobDesk | None = None
        self._obstacle = "jobs are not taken before the service has started"

    @property
    def desk(self) -> JobDesk:
        """The desk; ``JobsUnavailable`` says why there is none."""
        if self._desk is None:
            raise JobsUnavailable(self._obstacle)
        return self._desk

    def open(self) -> None:
        """Open the desk and go on with what is queued.

        ``JobsUnavailable`` if the folder that was set cannot be used; without the default one, there are just no jobs.
        """
        if not self._settings.max_jobs:
            self._obstacle = "this deployment takes no jobs (MAREY_MAX_JOBS=0); send the video to POST /v1/recognize"
            return
        try:
            self._desk = JobDesk(self._settings, self._engines)
        except JobsUnavailable as error:
            if self._settings.jobs_folder:
                raise
            logger.warning("no_jobs", reason=str(error))
            self._obstacle = str(error)
        else:
            self._desk.start()

    def counts(self) -> dict[str, int]:
        """Count the jobs that are kept, by status; none where there is no desk."""
        return self._desk.counts() if self._desk else {}

    def close(self) -> None:
        """Close the desk."""
        if self._desk:
            self._desk.close()


def _unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"there is no job {job_id[:60]!r}; it may have expired or been removed")
