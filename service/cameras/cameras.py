"""All cameras of a service, and where their events go."""

import random
import time
from functools import partial

from pipeline.actions import DEFAULT_OPTIONS
from pipeline.live import LiveStream
from pipeline.video import VideoLimits, open_video
from service.cameras.backoff import FIRST_S, Backoff
from service.cameras.camera import Camera
from service.cameras.clocks import Clocks
from service.cameras.events import CameraEvent, EventLog
from service.cameras.reader import Reader
from service.cameras.session import Watch
from service.cameras.status import CameraStatus
from service.cameras.webhooks import Delivery, Webhook
from service.engines import Engines
from service.metrics import Metrics
from service.settings import Settings
from service.streams.streams import Streams

# Seconds that the last events have to be known, and then to be posted, once the service is told to stop.
STOP_S, LAST_POST_S = 2.0, 5.0


class Cameras:
    """The cameras that a deployment names; none are read before ``start``."""

    def __init__(
        self, settings: Settings, engines: Engines, streams: Streams, metrics: Metrics, *, first_wait_s: float = FIRST_S
    ) -> None:
        self._settings, self._engines, self._streams, self._metrics = settings, engines, streams, metrics
        self._clocks = Clocks()
        self._new_backoff = partial(Backoff, random.Random(), first_s=first_wait_s)
        self._log = EventLog(settings.camera_events) if settings.camera_events else None
        self._webhooks = [self._webhook(address) for address in settings.webhooks]
        watch = Watch(self._open_reader, self._open_live, self._publish, metrics, self._clocks)
        self._cameras = [
            Camera(name, address, watch, backoff=self._new_backoff()) for name, address in settings.cameras.items()
        ]

    def start(self) -> None:
        """Begin to watch, with the deployment's own engine, which is loaded by now."""
        for webhook in self._webhooks:
            webhook.start()
        for camera in self._cameras:
            camera.start()

    def close(self) -> None:
        """Stop watching, and post the last events; takes seconds at most, whatever cameras and receivers do."""
        for camera in self._cameras:
            camera.stop()
        until_s = time.monotonic() + STOP_S
        for camera in self._cameras:
            camera.join(max(0.0, until_s - time.monotonic()))
        until_s = time.monotonic() + LAST_POST_S
        for webhook in self._webhooks:
            webhook.stop(within_s=LAST_POST_S)
        for webhook in self._webhooks:
            webhook.join(max(0.0, until_s - time.monotonic()))

    def statuses(self) -> list[CameraStatus]:
        """Return how each camera is doing."""
        return [camera.status for camera in self._cameras]

    def _webhook(self, address: str) -> Webhook:
        secret = self._settings.webhook_secret
        return Webhook(address, secret=secret, backoff=self._new_backoff(), count=self._metrics.saw_webhook)

    def _open_reader(self, address: str) -> Reader:
        limits = VideoLimits(max_pixels=self._settings.max_pixels)
        max_side = self._engines.load_default().pose.max_side
        open_camera = partial(open_video, address, limits=limits)
        return Reader(open_camera, fps=DEFAULT_OPTIONS.pose_fps, max_side=max_side, clocks=self._clocks)

    def _open_live(self) -> LiveStream:
        return self._streams.engine(None, None).open_live(DEFAULT_OPTIONS)

    def _publish(self, event: CameraEvent) -> None:
        line = event.model_dump_json(exclude_none=True).encode()
        if self._log:
            self._log.append(line)
        for webhook in self._webhooks:
            webhook.offer(Delivery(event.event_id, line))
