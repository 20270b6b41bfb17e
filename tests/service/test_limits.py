"""A job may cost more than a request, in the same proportions."""

import pytest

from service.limits import job_limits, request_limits
from service.settings import Settings


def test_a_request_may_cost_what_the_settings_say() -> None:
    limits = request_limits(Settings(max_bytes=40_000_000, max_seconds=10, max_pixels=640_000, max_frames=1000))
    assert (limits.max_bytes, limits.max_seconds, limits.max_pixels, limits.max_frames) == (
        40_000_000,
        10,
        640_000,
        1000,
    )


@pytest.mark.parametrize(("longer", "frames"), [(2, 2000), (0.5, 1000)])
def test_frames_are_to_seconds_as_they_are_for_a_request(longer: float, frames: int) -> None:
    limits = job_limits(Settings(max_seconds=10, max_frames=1000, job_max_seconds=10 * longer, job_max_bytes=5000))
    assert (limits.max_seconds, limits.max_frames, limits.max_bytes) == (10 * longer, frames, 5000)
