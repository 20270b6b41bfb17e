"""One connection to a camera from its first frame to its last: tracks, actions and times of its own."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pipeline.live import ActionEvent, EventKind, LiveStream
from service.cameras.clocks import Clocks
from service.cameras.events import CameraEvent, CameraEventType, TimeOfDay
from service.cameras.reader import Arrival, Reader
from service.cameras.status import CameraState, Ledger
from service.metrics import Metrics
from service.streams.answers import action_message

logger = structlog.get_logger(__name__)
TOLD: dict[EventKind, CameraEventType] = {EventKind.START: "action.start", EventKind.END: "action.end"}


@dataclass(frozen=True, slots=True)
class Watch:
    """What a service's cameras have in common; ``publish`` takes events from any thread."""

    open_reader: Callable[[str], Reader]
    open_live: Callable[[], LiveStream]
    publish: Callable[[CameraEvent], None]
    metrics: Metrics
    clocks: Clocks


class Session:
    """Looks at a connection's frames and publishes what happens."""

    def __init__(self, name: str, watch: Watch, reader: Reader, ledger: Ledger) -> None:
        self._name, self._watch, self._reader, self._ledger = name, watch, reader, ledger
        self._stream_id = uuid.uuid4().hex
        self._time_of_day = TimeOfDay()
        self._first_s: float | None = None
        self._last_s = 0.0

    @property
    def lived_s(self) -> float:
        """Seconds for which frames came."""
        return 0.0 if self._first_s is None else self._last_s - self._first_s

    def run(self) -> None:
        """Look at frames until the reader is closed or the camera is lost, which raises why; end what goes on."""
        live: LiveStream | None = None
        try:
            while arrival := self._reader.take():
                if live is None:
                    live = self._begin(arrival)
                self._look_at(arrival, live)
        finally:
            self._reader.close()
            if live:
                self._tell(live.finish())

    def end(self, reason: str) -> None:
        """Say that the camera is down, if it was up."""
        if self._first_s is not None:
            self._publish("camera.down", reason=reason)

    def _begin(self, arrival: Arrival) -> LiveStream:
        live = self._watch.open_live()
        self._first_s = arrival.arrived_s
        self._ledger.enter(CameraState.LIVE)
        logger.info("camera_live", camera=self._name, stream_id=self._stream_id)
        self._publish("camera.up")
        return live

    def _look_at(self, arrival: Arrival, live: LiveStream) -> None:
        self._last_s = arrival.arrived_s
        self._time_of_day.set_by(arrival.frame.time_s, arrival.arrived_at)
        self._tell(live.push(arrival.frame).events)
        lag_s = self._watch.clocks.seconds() - arrival.arrived_s
        self._ledger.saw_frame(arrival.arrived_at, lag_s=lag_s)
        self._watch.metrics.saw_answer("camera", lag_s=lag_s)
        self._watch.metrics.left_out("camera", "late", arrival.num_missed)

    def _tell(self, events: tuple[ActionEvent, ...]) -> None:
        for event in events:
            if event.kind in TOLD:
                self._publish(TOLD[event.kind], action=event)

    def _publish(self, kind: CameraEventType, *, reason: str | None = None, action: ActionEvent | None = None) -> None:
        is_over = action is not None and action.kind is EventKind.END
        self._watch.publish(
            CameraEvent(
                type=kind,
                camera=self._name,
                stream_id=self._stream_id,
                at=self._watch.clocks.now(),
                reason=reason,
                started_at=self._time_of_day.at(action.segment.start_s) if action else None,
                ended_at=self._time_of_day.at(action.segment.end_s) if action and is_over else None,
                action=action_message(action) if action else None,
            )
        )
