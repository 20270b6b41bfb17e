"""What a video may cost, as the deployment's settings have it: one sent with a request, and one worked off as a job."""

from dataclasses import replace

from pipeline.video import VideoLimits
from service.settings import Settings


def request_limits(settings: Settings) -> VideoLimits:
    """Return what a video may cost that somebody waits for."""
    return VideoLimits(
        max_bytes=settings.max_bytes,
        max_seconds=settings.max_seconds,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
    )


def job_limits(settings: Settings) -> VideoLimits:
    """Return what a job's video may cost; frames are to seconds as they are for a request."""
    return replace(
        request_limits(settings),
        max_bytes=settings.job_max_bytes,
        max_seconds=settings.job_max_seconds,
        max_frames=round(settings.max_frames * max(1.0, settings.job_max_seconds / settings.max_seconds)),
    )
