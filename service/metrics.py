"""What is counted and timed for Prometheus, one registry an application; every label has few values.

What can be read off the service at any time (what is pending, cameras, jobs) is in ``service/gauges.py``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
LAG_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64)
# A client may send any word as its method, and any address.
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
OTHER = "other"

Source = Literal["stream", "camera"]
Reason = Literal["late", "rate"]
Stage = Literal["pose", "recognise"]


class Metrics:
    """One application's counters and histograms; safe to share between threads."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Histogram(
            "marey_request_seconds",
            "From a request's first byte to the end of its answer.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "marey_problems", "Requests and streams that were refused or failed.", ("problem",), registry=registry
        )
        self._stages = Histogram(
            "marey_stage_seconds", "What a stage took for one video.", ("stage",), buckets=SECONDS, registry=registry
        )
        self._queue_wait = Histogram(
            "marey_queue_wait_seconds", "Wait for a free place.", buckets=SECONDS, registry=registry
        )
        self._batches = Histogram(
            "marey_batch_size",
            "Frames or clips that were looked at together.",
            ("stage",),
            buckets=SIZES,
            registry=registry,
        )
        self._streams = Gauge("marey_streams", "Live streams that are open.", registry=registry)
        self._frames = Counter(
            "marey_frames", "Live frames, by what became of them.", ("source", "outcome"), registry=registry
        )
        self._lag = Histogram(
            "marey_lag_seconds",
            "From a live frame's arrival to its answer.",
            ("source",),
            buckets=LAG_S,
            registry=registry,
        )
        self._webhooks = Counter(
            "marey_webhook_events",
            "Events for webhooks; one that is retried counts as such each time.",
            ("host", "outcome"),
            registry=registry,
        )

    def saw_request(self, *, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; ``route`` is its template, or None; ``status`` is 0 where the client left before."""
        labels = (method if method in METHODS else OTHER, route or OTHER, str(status))
        self._requests.labels(*labels).observe(seconds)

    def saw_problem(self, slug: str) -> None:
        """Count a refusal or a failure, by the slug of ``service.errors.Kind``."""
        self._problems.labels(slug).inc()

    def saw_timings(self, timings_ms: Mapping[str, float]) -> None:
        """Add what each stage of one answer took; ``queue`` is the wait, and ``total`` is left out."""
        for stage, spent_ms in timings_ms.items():
            if stage == "queue":
                self._queue_wait.observe(spent_ms / 1000)
            elif stage != "total":
                self._stages.labels(stage).observe(spent_ms / 1000)

    def saw_batch(self, stage: Stage, size: int) -> None:
        """Add how many frames or clips went through a network together."""
        self._batches.labels(stage).observe(size)

    @contextmanager
    def stream_open(self) -> Iterator[None]:
        """Count a stream for as long as it is open."""
        with self._streams.track_inprogress():
            yield

    def saw_answer(self, source: Source, *, lag_s: float) -> None:
        """Count a live frame that was looked at, and how long that took."""
        self._frames.labels(source, "processed").inc()
        self._lag.labels(source).observe(lag_s)

    def left_out(self, source: Source, reason: Reason, num_frames: int) -> None:
        """Count live frames that were not looked at."""
        self._frames.labels(source, reason).inc(num_frames)

    def saw_webhook(self, host: str, outcome: str) -> None:
        """Count what became of an event, or of one attempt to post it."""
        self._webhooks.labels(host, outcome).inc()

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
