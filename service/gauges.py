"""What is read off the service when Prometheus asks: what is pending, cameras, jobs, the model."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.cameras.status import CameraState, CameraStatus
from service.jobs.store import Status
from service.state import Service


class Gauges(Collector):
    """Reads one service anew at each scrape."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Read everything."""
        yield GaugeMetricFamily(
            "marey_pending_requests", "Requests that are worked on or waiting.", value=self._service.queue.taken
        )
        yield self._models()
        yield self._jobs()
        yield from _camera_metrics(self._service.cameras.statuses())

    def _jobs(self) -> Metric:
        jobs = GaugeMetricFamily("marey_jobs", "Jobs that are kept.", labels=("status",))
        counts = self._service.jobs.counts()
        for status in Status:
            jobs.add_metric((status,), counts.get(status, 0))
        return jobs

    def _models(self) -> Metric:
        """Name the deployment's own model, once it is loaded."""
        models = GaugeMetricFamily(
            "marey_model_info", "The deployment's own model.", labels=("name", "version", "sha256", "provider", "pose")
        )
        if engine := self._service.engines.default:
            recogniser = engine.recogniser
            names = recogniser.card.name, recogniser.card.version, recogniser.bundle.sha256, recogniser.provider
            models.add_metric((*names, engine.pose.name), 1)
        return models


def _camera_metrics(statuses: list[CameraStatus]) -> Iterator[Metric]:
    states = GaugeMetricFamily("marey_camera_state", "1 for the state that a camera is in.", labels=("camera", "state"))
    reconnects = CounterMetricFamily("marey_camera_reconnects", "Tries after the first.", labels=("camera",))
    last_frames = GaugeMetricFamily(
        "marey_camera_last_frame_seconds", "When its latest frame came, Unix time.", labels=("camera",)
    )
    for status in statuses:
        for state in CameraState:
            states.add_metric((status.name, state), float(status.state is state))
        reconnects.add_metric((status.name,), status.reconnects)
        if status.last_frame_at:
            last_frames.add_metric((status.name,), status.last_frame_at.timestamp())
    yield from (states, reconnects, last_frames)
