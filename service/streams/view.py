"""What one stream sees: pictures in, messages about them out. Runs in a thread, one call at a time."""

from dataclasses import dataclass

from pipeline.actions import Options
from pipeline.live import ActionEvent, EventKind
from service.streams.answers import action_message, open_action, people_in
from service.streams.batching import BatchedEngine
from service.streams.intake import Arrival
from service.streams.messages import Action, Person
from service.streams.pictures import decode_frame, upright_size

# An action that was last seen longer ago is not being done any more, though it may yet be taken up again.
LINGER_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture showed, and its size, px."""

    actions: list[Action]
    people: list[Person]
    size_wh: tuple[int, int]


class View:
    """A live stream, and what everybody in it is doing at the moment."""

    def __init__(self, engine: BatchedEngine, options: Options) -> None:
        self._live = engine.open_live(options)
        self._max_side = engine.pose.max_side
        self._open: dict[int, ActionEvent] = {}

    def look(self, arrival: Arrival) -> Seen:
        """Decode a picture and look at it; ``Undecodable`` if it is damaged."""
        frame = decode_frame(arrival.picture, arrival.time_s, index=arrival.index, max_side=self._max_side)
        step = self._live.push(frame)
        for event in step.events:
            if event.kind is EventKind.END:
                self._open.pop(event.track_id, None)
            else:
                self._open[event.track_id] = event
        doing = {
            track_id: open_action(event)
            for track_id, event in self._open.items()
            if arrival.time_s - event.segment.end_s <= LINGER_S
        }
        return Seen(
            [action_message(event) for event in step.events],
            people_in(step.poses, doing),
            upright_size(arrival.picture, frame),
        )

    def finish(self) -> list[Action]:
        """End what is still going on."""
        return [action_message(event) for event in self._live.finish()]
