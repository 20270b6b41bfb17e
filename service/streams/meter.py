"""What a stream's statistics are made of: counts, and the lags of the last seconds."""

from collections import deque
from statistics import median, quantiles

from service.streams.messages import Stats

KEPT_S = 5.0
# More than can be looked at in that time.
MAX_KEPT = 1000


class Meter:
    """Counts one stream's frames."""

    def __init__(self) -> None:
        self.received = self.processed = self.dropped = 0
        self._answers: deque[tuple[float, float]] = deque(maxlen=MAX_KEPT)  # when, and lag in ms

    def saw_answer(self, now_s: float, *, lag_ms: float) -> None:
        """Count a frame that was looked at."""
        self.processed += 1
        self._answers.append((now_s, lag_ms))

    def stats(self, now_s: float) -> Stats:
        """Return the counts, and what the last second and the last seconds were like; 0 where nothing was answered."""
        while self._answers and self._answers[0][0] < now_s - KEPT_S:
            self._answers.popleft()
        lags_ms = [lag_ms for _, lag_ms in self._answers]
        latest_ms = [lag_ms for answered_s, lag_ms in self._answers if answered_s >= now_s - 1]
        return Stats(
            received=self.received,
            processed=self.processed,
            dropped=self.dropped,
            lag_ms=round(median(latest_ms), 1) if latest_ms else 0.0,
            lag_p95_ms=round(quantiles(lags_ms, n=20, method="inclusive")[-1] if len(lags_ms) > 1 else sum(lags_ms), 1),
            fps=float(len(latest_ms)),
        )
