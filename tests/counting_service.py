"""A service of its own process that can be killed: its engine counts frames, in about as long as it is told.

``python counting_service.py FOLDER SECONDS [DEADLY]`` keeps jobs in FOLDER and takes SECONDS for one. DEADLY names a
method of ``JobStore`` at which the process ends before that has done anything.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import uvicorn

from pipeline.features import FeatureSpec
from pipeline.layouts import COCO17
from pipeline.values import LabelScore, Recognition, Segment, Track, Trajectory
from service.app import create_app
from service.jobs.store import JobStore
from service.settings import Settings

STEPS = 10


class CountingEngine:
    """Finds one person, whose track id is the number of frames."""

    pose = SimpleNamespace(layout=COCO17)
    recogniser = SimpleNamespace(
        card=SimpleNamespace(
            name="everyday", version="0", features=FeatureSpec(layout="coco17", num_frames=8, window_s=1.0)
        ),
        bundle=SimpleNamespace(sha256="0" * 64),
        provider="cpu",
    )

    def __init__(self, job_s: float) -> None:
        self._job_s = job_s

    def warm_up(self) -> None:
        """Do nothing."""

    def recognise(self, video: Any, _: object, *, on_progress: Any) -> Recognition:
        """Count."""
        num_frames = sum(1 for _ in video.frames())
        for step in range(STEPS):
            time.sleep(self._job_s / STEPS)
            on_progress(step / STEPS)
        segment = Segment("wave", 1, 0.9, 0.0, 1.0, (LabelScore("wave", 0.9),))
        shape = (2, 17)
        trajectory = Trajectory(
            np.array([0.0, 0.1]),
            np.full((*shape, 2), num_frames, np.float32),
            np.ones(shape, np.float32),
            np.zeros((2, 4), np.float32),
        )
        return Recognition(video.info, (Track(num_frames, 0.0, 1.0, (segment,), trajectory),))


def main(folder: str, job_s: str, deadly: str | None = None) -> None:
    """Serve until killed."""
    if deadly:
        setattr(JobStore, deadly, lambda *_: os._exit(9))
    settings = Settings(jobs_folder=Path(folder), max_jobs=100)
    app = create_app(settings, engine=CountingEngine(float(job_s)))  # type: ignore[arg-type]  # it has what is asked of one
    uvicorn.run(app, port=0, access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
