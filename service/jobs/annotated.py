"""Annotated videos of finished jobs, each made once, when somebody first asks for it."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.draw import annotate
from pipeline.video import VideoLimits
from service.errors import telling_full_disk
from service.jobs.folder import JobFolder
from service.jobs.results import SavedKeypoints, recognition_of
from service.jobs.worker import step_back
from service.schemas import Answer
from service.work import Stopped


class AnnotatedVideos:
    """Makes one film at a time in a thread; whoever asks for one that is being made waits for the same."""

    def __init__(self, folder: JobFolder, *, limits: VideoLimits) -> None:
        self._folder, self._limits = folder, limits
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="annotated", initializer=step_back)
        self._lock = threading.Lock()
        self._making: dict[str, Future[None]] = {}
        self._stopping = threading.Event()

    def make(self, job_id: str, answer: Answer) -> Future[None]:
        """Have a job's film made, unless it is there; ``Stopped`` if the job or the service ends first."""
        with self._lock:
            if self._folder.film(job_id).exists():
                return _done()
            if job_id not in self._making:
                self._making[job_id] = self._executor.submit(self._make, job_id, answer)
            return self._making[job_id]

    def close(self) -> None:
        """Leave what is being made, and wait for the thread."""
        self._stopping.set()
        self._executor.shutdown(cancel_futures=True)

    def _make(self, job_id: str, answer: Answer) -> None:
        folder = self._folder
        upload, film = folder.upload(job_id), folder.film(job_id)

        def report(_: float) -> None:
            if self._stopping.is_set() or not upload.exists():
                raise Stopped

        try:
            report(0.0)
            with SavedKeypoints(folder.keypoints(job_id)) as keypoints, telling_full_disk():
                recognition = recognition_of(answer, keypoints)
                annotate(upload, recognition, keypoints.layout, film, limits=self._limits, on_progress=report)
        finally:
            with self._lock:
                del self._making[job_id]


def _done() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
