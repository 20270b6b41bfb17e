"""Where cameras take the time from."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def time_of_day() -> datetime:
    """Return the time of day, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds that only rise, and the time of day in UTC."""

    seconds: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = time_of_day
