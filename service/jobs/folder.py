"""Where jobs lie: a folder for each, beside the table that says which of them exist.

What lies here belongs to a job only while the table has its row. A folder without one is what a process left that was
killed before the row was committed or after it was deleted, and is removed at the next start.
"""

import os
import re
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

import platformdirs

from service.errors import JobsUnavailable

# Nothing else is ever removed, whatever folder a deployment names.
JOB_ID = re.compile(r"[0-9a-f]{32}")


def default_folder() -> Path:
    """Return the folder for jobs among the user's own data; ``XDG_DATA_HOME`` moves it on Linux."""
    return platformdirs.user_data_path("marey") / "jobs"


def sync(path: Path) -> None:
    """Return once what a folder or file holds would outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class JobFolder:
    """The folder of all jobs, which nobody else may look into; ``JobsUnavailable`` if it cannot be made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise JobsUnavailable(
                f"{root} cannot be made ({error.strerror}); set MAREY_JOBS_FOLDER to a folder that can be written"
            ) from error

    @property
    def table(self) -> Path:
        """The file of the ``JobStore``."""
        return self._root / "jobs.sqlite"

    def create(self) -> str:
        """Make the folder of a job to be, and return its id."""
        job_id = uuid.uuid4().hex
        (self._root / job_id).mkdir(mode=0o700)
        return job_id

    def upload(self, job_id: str) -> Path:
        """Return where a job's video is, as it came."""
        return self._root / job_id / "upload"

    def keypoints(self, job_id: str) -> Path:
        """Return where the keypoints of a job's result are."""
        return self._root / job_id / "keypoints.npz"

    def film(self, job_id: str) -> Path:
        """Return where the annotated video is, once it has been asked for."""
        return self._root / job_id / "annotated.mp4"

    def sync(self, job_id: str) -> None:
        """Make sure that a job's folder and the names in it are on the disk."""
        sync(self._root / job_id)
        sync(self._root)

    def remove(self, job_id: str) -> None:
        """Remove everything of a job; whoever still reads a file of it may finish."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)

    def remove_others(self, job_ids: Collection[str]) -> None:
        """Remove the folders of jobs that do not exist."""
        for path in self._root.iterdir():
            if JOB_ID.fullmatch(path.name) and path.name not in job_ids:
                shutil.rmtree(path, ignore_errors=True)
