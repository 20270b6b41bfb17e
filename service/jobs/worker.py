"""The thread that works jobs off, one at a time, beside the requests that somebody waits for.

A job that was cancelled, or that the service must leave because it stops, ends at its next report of progress. One that
stops in order puts its job back as if it had not been begun; one that was killed finds it running at the next start and
begins it again, up to ``MAX_ATTEMPTS`` times, lest a video that kills the process do so for ever.
"""

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from pipeline.values import Recognition
from pipeline.video import open_video
from service.engines import Engines
from service.errors import InsufficientStorage, JobAbandoned, problem_of, telling_full_disk
from service.jobs.folder import JobFolder
from service.jobs.results import packed, save_keypoints
from service.jobs.schemas import HOUR_S
from service.jobs.store import Job, JobStore
from service.limits import job_limits
from service.requests import RecognizeOptions
from service.schemas import answer_of
from service.settings import Settings
from service.work import Stopped

MAX_ATTEMPTS = 20
# How often a job in work asks whether it was cancelled, and how often jobs that have expired are looked for.
LOOK_S, SWEEP_S = 0.25, 60.0
# A disk that has failed once gets this long before it is tried again.
FAULT_PAUSE_S = 10.0
# Beside a job at the same priority, requests on a busy machine took two to three times as long.
NICENESS = 10

logger = structlog.get_logger(__name__)


def step_back() -> None:
    """Let requests go before this thread and those that it starts, where threads have priorities of their own."""
    if sys.platform == "linux":
        now = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, now + NICENESS))


@dataclass(frozen=True, slots=True)
class Progress:
    """The share that is done of the job in work, in [0, 1]; in memory only, for another attempt begins at 0."""

    job_id: str
    share: float


class Worker:
    """Works off what is queued, and forgets what was finished long ago."""

    def __init__(
        self,
        store: JobStore,
        folder: JobFolder,
        *,
        engines: Engines,
        settings: Settings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._folder, self._engines, self._settings, self._now = store, folder, engines, settings, now
        self._progress: Progress | None = None
        self._sweep_at_s = 0.0
        self._stopping, self._woken = threading.Event(), threading.Event()
        # A decoder that hangs must not keep the process from ending; what it worked on begins again.
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether there is a job."""
        self._woken.set()

    def stop(self, timeout_s: float | None = None) -> None:
        """Put the job in work back, and end."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def progress_of(self, job_id: str) -> float:
        """Return the share that is done of a job; 0 unless it is in work."""
        progress = self._progress
        return progress.share if progress and progress.job_id == job_id else 0.0

    def _run(self) -> None:
        step_back()
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                self._sweep_when_due()
                self._store.put_back()  # what an earlier process or a fault of the disk left
                worked = self._work_next()
            except (sqlite3.Error, InsufficientStorage):
                logger.exception("jobs_disk_failed")
                self._stopping.wait(FAULT_PAUSE_S)
            else:
                if not worked:
                    self._woken.wait(SWEEP_S)

    def _work_next(self) -> bool:
        job = self._store.take(self._now())
        if job:
            self._work_off(job)
        return job is not None

    def _work_off(self, job: Job) -> None:
        """Bring one job to its end, or put it back if the service stops meanwhile."""
        try:
            kept = self._store.finish(job.job_id, self._recognise(job), self._now())
        except Stopped:
            if self._stopping.is_set():
                self._store.put_back(uncounted=True)
            kept = self._is_wanted(job)
        except sqlite3.Error:
            raise
        except Exception as error:  # whatever the matter, the next job must have its turn
            kept = self._fail(job, error)
        finally:
            self._progress = None
        if not kept:
            self._folder.remove(job.job_id)
        logger.info("job", job_id=job.job_id, request_id=job.request_id, attempts=job.attempts, kept=kept)

    def _recognise(self, job: Job) -> bytes:
        """Return the result as it is kept; the keypoints that belong to it are in their file."""
        if job.attempts > MAX_ATTEMPTS:
            raise JobAbandoned(
                f"the service was killed {MAX_ATTEMPTS} times while it worked on this job; does the video ask for "
                "more memory than there is?"
            )
        started_s, queued_s = time.perf_counter(), max(0.0, self._now() - job.created_s)
        options = RecognizeOptions.model_validate_json(job.options)
        engine = self._engines.engine(options.model, options.pose)
        with open_video(self._folder.upload(job.job_id), limits=job_limits(self._settings)) as video:
            chosen = replace(options.for_engine(), keypoints=True)
            recognition = engine.recognise(video, chosen, on_progress=self._reporter(job))
        with telling_full_disk():
            save_keypoints(self._folder.keypoints(job.job_id), recognition, engine.pose.layout)
        spent_s = time.perf_counter() - started_s
        timings_ms = {"queue": queued_s * 1000, "total": (queued_s + spent_s) * 1000}
        answer = answer_of(
            _without_keypoints(recognition, timings_ms),
            engine.recogniser,
            layout=engine.pose.layout,
            request_id=job.request_id,
        )
        return packed(answer)

    def _reporter(self, job: Job) -> Callable[[float], None]:
        look_at_s = 0.0

        def report(share: float) -> None:
            nonlocal look_at_s
            self._progress = Progress(job.job_id, share)
            if self._stopping.is_set():
                raise Stopped
            if time.monotonic() < look_at_s:
                return
            look_at_s = time.monotonic() + LOOK_S
            if not self._is_wanted(job):
                raise Stopped
            self._sweep_when_due()

        return report

    def _is_wanted(self, job: Job) -> bool:
        found = self._store.find(job.job_id)
        return found is not None and not found.status.is_final

    def _fail(self, job: Job, error: Exception) -> bool:
        problem = problem_of(error, request_id=job.request_id)
        if problem.status == 500:
            logger.error("job_failed", job_id=job.job_id, request_id=job.request_id, exc_info=error)
        return self._store.fail(job.job_id, problem.model_dump_json(), self._now())

    def _sweep_when_due(self) -> None:
        """Forget what was finished longer ago than it is kept."""
        if time.monotonic() < self._sweep_at_s:
            return
        self._sweep_at_s = time.monotonic() + SWEEP_S
        for job in self._store.expire(self._now() - self._settings.job_keep_hours * HOUR_S):
            self._folder.remove(job.job_id)


def _without_keypoints(recognition: Recognition, timings_ms: dict[str, float]) -> Recognition:
    tracks = tuple(replace(track, trajectory=None) for track in recognition.tracks)
    return replace(recognition, tracks=tracks, timings_ms={**recognition.timings_ms, **timings_ms})
