"""What is said of one person while they are watched: that an action has begun, how it goes on, that it is over.

Every stride, all that is known of the person is made into segments anew, as if the stream ended there, and held against
what has been said before. An action is called once it is sure or was found twice in a row, and taken back if it is
missed twice. It is over once nothing that may still come can change it, and is then what the whole video would give.
But where another action follows at once, nobody waits to see whether the first is taken up again within ``bridge_s``.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from pipeline.bundle import Card
from pipeline.compounds import TURN_S
from pipeline.segments import SegmentSettings, find_segments
from pipeline.values import Prediction, Segment

# What lies further back is forgotten: an action that goes on for longer keeps its start, and is described by its end.
HISTORY_S = 30.0
# A score that differs by less is not worth saying.
SCORE_STEP = 0.05


class EventKind(StrEnum):
    """What became of an action."""

    START = "start"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """A decision about one action of one person.

    ``action_id`` counts up from 1 in a stream and is the same from start to end. ``segment`` is what is known by
    ``decided_s``, the time of the latest frame; ``is_provisional`` says that no window full of the person speaks for it
    yet. An end whose segment ends where it starts takes the action back: it was a mistake.
    """

    kind: EventKind
    action_id: int
    track_id: int
    segment: Segment
    is_provisional: bool
    decided_s: float


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far a stream is known: up to its latest frame, and for good up to the next window's middle.

    ``next_s`` is infinite once the stream is over.
    """

    now_s: float
    next_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What decisions about all people of a stream have in common."""

    card: Card
    settings: SegmentSettings
    window_s: float
    stride_s: float

    def reach_s(self, label: str) -> float:
        """Return how far from a moment a window may be that bears on a label's probability there."""
        return self.settings.smooth_s + (TURN_S if label in self.card.joined_labels else 0.0)

    def is_sharp(self, segment: Segment, horizon: Horizon) -> bool:
        """Tell whether no window to come changes the probabilities on either side of an action's end."""
        return segment.end_s + self.stride_s + self.reach_s(segment.label) <= horizon.next_s

    def is_settled(self, segment: Segment, horizon: Horizon) -> bool:
        """Tell whether nothing to come changes an action, or bridges what follows it."""
        return segment.end_s + self._resume_s + self.reach_s(segment.label) <= horizon.next_s

    def is_gone(self, seen_s: float, horizon: Horizon) -> bool:
        """Tell whether somebody who was last seen then could not be followed any more."""
        return seen_s + self._resume_s + self.settings.smooth_s <= horizon.next_s

    @property
    def _resume_s(self) -> float:
        """How long after its end an action may still be taken up again."""
        return max(self.settings.bridge_s, self.stride_s)

    def is_news(self, segment: Segment, told: Segment) -> bool:
        """Tell whether a segment looks different from what was told of it."""
        shift_s = max(abs(segment.start_s - told.start_s), abs(segment.end_s - told.end_s))
        return shift_s >= self.stride_s / 2 or abs(segment.score - told.score) >= SCORE_STEP


class Watch:
    """One person: when they were seen, what was recognised lately, and what has been said of it."""

    def __init__(self, track_id: int, time_s: float, rules: Rules) -> None:
        self.seen_s = time_s
        self._track_id, self._rules = track_id, rules
        self._known_from_s = time_s
        self._is_cut = False
        self._predictions: deque[Prediction] = deque()
        self._open: ActionEvent | None = None
        self._over: deque[Segment] = deque()
        self._found: Sequence[Segment] = ()

    def hear(self, prediction: Prediction) -> None:
        """Note what was recognised in the next full window."""
        self._predictions.append(prediction)

    def is_over(self, horizon: Horizon) -> bool:
        """Tell whether all has been said of a person who is gone."""
        return self._open is None and self._rules.is_gone(self.seen_s, horizon)

    def decide(self, previews: Sequence[Prediction], horizon: Horizon, action_ids: Iterator[int]) -> list[ActionEvent]:
        """Return what is new; ``previews`` are of windows that are not full yet."""
        self._forget_before(horizon.now_s - HISTORY_S)
        found = self._find(previews, horizon)
        sure = [segment for segment in found if self._is_sure(segment, horizon)]
        events: list[ActionEvent] = []
        if self._open is not None:
            same = next((segment for segment in found if _is_same(segment, self._open.segment)), None)
            if same is not None:
                events += self._go_on(same, sure, horizon)
            elif horizon.next_s == inf or not self._was_found(self._open.segment):
                events.append(self._take_back(self._open, horizon))
            sure = [segment for segment in sure if segment is not same]
        for segment in sure:
            if self._open is None:
                events.append(self._tell(EventKind.START, next(action_ids), segment, horizon))
                events += self._go_on(segment, sure, horizon)
        self._found = found
        return events

    def _find(self, previews: Sequence[Prediction], horizon: Horizon) -> list[Segment]:
        """Return the segments that have not been said to be over, in order of time."""
        rules = self._rules
        predictions, seen_s = [*self._predictions, *previews], (self._known_from_s, self.seen_s)
        segments = find_segments(predictions, rules.card, seen_s=seen_s, settings=rules.settings)
        fresh = [rest for segment in segments if (rest := self._without_past(segment))]
        # An action settled long ago that nobody heard of only came to be because what was before it is forgotten.
        return [one for one in fresh if not (self._is_torn(one) and rules.is_settled(one, horizon))]

    def _without_past(self, segment: Segment) -> Segment | None:
        """Return what is left of a segment where other actions were said to have been."""
        start_s, end_s = segment.start_s, segment.end_s
        for past in self._over:
            if past.start_s <= start_s < past.end_s:
                start_s = past.end_s
            elif start_s < past.start_s < end_s:
                end_s = past.start_s
        if (start_s, end_s) == (segment.start_s, segment.end_s):
            return segment
        is_long = end_s - start_s >= self._rules.settings.shortest_s
        return replace(segment, start_s=start_s, end_s=end_s) if is_long else None

    def _is_torn(self, segment: Segment) -> bool:
        """Tell whether what is forgotten bears on the start of a segment."""
        reach_s = self._rules.reach_s(segment.label) + self._rules.settings.bridge_s
        return self._is_cut and segment.start_s <= self._known_from_s + reach_s

    def _is_sure(self, segment: Segment, horizon: Horizon) -> bool:
        rules = self._rules
        return (
            segment.score >= rules.settings.threshold_of(segment.label, rules.card)
            or self._was_found(segment)
            or rules.is_settled(segment, horizon)
        )

    def _was_found(self, segment: Segment) -> bool:
        """Tell whether the decisions before this one knew of a segment too."""
        return any(_is_same(segment, before) for before in self._found)

    def _go_on(self, segment: Segment, sure: Sequence[Segment], horizon: Horizon) -> list[ActionEvent]:
        """Say what became of the open action: it is over, looks different, or nothing new."""
        assert self._open is not None
        rules, told = self._rules, self._open
        if self._is_torn(told.segment):
            segment = replace(segment, start_s=told.segment.start_s)
        is_followed = any(other.start_s >= segment.end_s for other in sure) and rules.is_sharp(segment, horizon)
        if is_followed or rules.is_settled(segment, horizon):
            return [self._tell(EventKind.END, told.action_id, segment, horizon)]
        if rules.is_news(segment, told.segment) or told.is_provisional != self._is_provisional(segment, horizon):
            return [self._tell(EventKind.UPDATE, told.action_id, segment, horizon)]
        self._open = replace(told, segment=replace(told.segment, start_s=segment.start_s))
        return []

    def _take_back(self, told: ActionEvent, horizon: Horizon) -> ActionEvent:
        """End an action that is not found any more: a mistake, unless its beginning is forgotten."""
        is_mistake = told.segment.start_s >= self._known_from_s
        segment = replace(told.segment, end_s=told.segment.start_s) if is_mistake else told.segment
        return self._tell(EventKind.END, told.action_id, segment, horizon)

    def _tell(self, kind: EventKind, action_id: int, segment: Segment, horizon: Horizon) -> ActionEvent:
        is_provisional = kind is not EventKind.END and self._is_provisional(segment, horizon)
        event = ActionEvent(kind, action_id, self._track_id, segment, is_provisional, horizon.now_s)
        self._open = None if kind is EventKind.END else event
        if kind is EventKind.END and segment.end_s > segment.start_s:
            self._over.append(segment)
        return event

    def _is_provisional(self, segment: Segment, horizon: Horizon) -> bool:
        full_from_s = max(segment.start_s, self._known_from_s + self._rules.window_s / 2)
        return horizon.next_s - self._rules.stride_s < full_from_s

    def _forget_before(self, time_s: float) -> None:
        while self._predictions and self._predictions[0].centre_s < time_s:
            self._known_from_s, self._is_cut = self._predictions.popleft().centre_s, True
        while self._over and self._over[0].end_s < self._known_from_s:
            self._over.popleft()


def _is_same(one: Segment, other: Segment) -> bool:
    return one.label_id == other.label_id and one.start_s <= other.end_s and other.start_s <= one.end_s
