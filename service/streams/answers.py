"""How what a live stream finds becomes the messages of the wire."""

from collections.abc import Mapping
from typing import Literal

from pipeline.live import ActionEvent, EventKind
from pipeline.values import Poses
from service.schemas import PIXEL_DIGITS, SCORE_DIGITS, TIME_DIGITS, segment_of
from service.streams.messages import Action, OpenAction, Person

_TYPES: Mapping[EventKind, Literal["action.start", "action.update", "action.end"]] = {
    EventKind.START: "action.start",
    EventKind.UPDATE: "action.update",
    EventKind.END: "action.end",
}


def action_message(event: ActionEvent) -> Action:
    """Express what became known of an action."""
    return Action(
        **dict(segment_of(event.segment)),
        type=_TYPES[event.kind],
        action_id=event.action_id,
        track_id=event.track_id,
        provisional=event.is_provisional,
        decided_s=round(event.decided_s, TIME_DIGITS),
    )


def open_action(event: ActionEvent) -> OpenAction:
    """Express an action for the person who is at it."""
    return OpenAction(
        action_id=event.action_id,
        label=event.segment.label,
        score=round(event.segment.score, SCORE_DIGITS),
        provisional=event.is_provisional,
    )


def people_in(poses: Poses, actions: Mapping[int, OpenAction]) -> list[Person]:
    """Express who is in a frame; ``actions`` are what people do, by their track ids."""
    boxes = poses.boxes_xyxy.astype(float).round(PIXEL_DIGITS).tolist()
    keypoints = poses.keypoints.astype(float).round(PIXEL_DIGITS).tolist()
    scores = poses.scores.astype(float).round(SCORE_DIGITS).tolist()
    return [
        Person(
            track_id=track_id,
            box=boxes[place],
            points=[(x, y, score) for (x, y), score in zip(keypoints[place], scores[place], strict=True)],
            action=actions.get(track_id),
        )
        for place, track_id in enumerate(poses.track_ids.tolist())
    ]
