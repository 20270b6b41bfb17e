"""What is said of one person while windows come in, one every quarter of a second."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from math import inf

import numpy as np
import pytest
from factories import make_card, make_prediction
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compounds import TURN_S
from pipeline.decisions import HISTORY_S, ActionEvent, EventKind, Horizon, Rules, Watch
from pipeline.segments import SegmentSettings, find_segments
from pipeline.values import Segment

CARD = make_card(("idle", "wave", "jump"), silent_labels=("idle",), thresholds={"wave": 0.6, "jump": 0.6})
RULES = Rules(CARD, SegmentSettings(), window_s=2.0, stride_s=0.25)
IDLE, WAVE, JUMP = [0.94, 0.03, 0.03], [0.03, 0.94, 0.03], [0.03, 0.03, 0.94]
Story = Callable[[float], Sequence[float]]  # the probabilities at a moment


def tell(story: Story, seconds: float, *, rumour: Story | None = None, watch: Watch | None = None) -> list[ActionEvent]:
    """Watch somebody for so long; a window is complete 1 s after its middle, and two more are looked at early."""
    watch, action_ids, events = watch or Watch(1, 0.0, RULES), count(1), []
    moments = [round(place * 0.25, 2) for place in range(round(seconds / 0.25) + 1)]
    for moment in moments:
        watch.seen_s = min(moment + 1.0, seconds)
        watch.hear(make_prediction(moment, story(moment)))
        early = [one for one in (moment + 0.25, moment + 0.5) if one <= seconds]
        previews = [make_prediction(one, (rumour or story)(one)) for one in early]
        events += watch.decide(previews, Horizon(min(moment + 1.0, seconds), moment + 0.25), action_ids)
    return events + watch.decide([], Horizon(seconds, inf), action_ids)


def in_turn(*parts: tuple[float, Sequence[float]]) -> Story:
    """Tell of what is done from when on."""
    return lambda moment: [chances for start_s, chances in parts if start_s <= moment][-1]


def waving(start_s: float, end_s: float) -> Story:
    return in_turn((0, IDLE), (start_s, WAVE), (end_s, IDLE))


def kinds(events: Sequence[ActionEvent]) -> list[str]:
    return [event.kind.value for event in events if event.kind is not EventKind.UPDATE]


def offline(story: Story, seconds: float, rules: Rules = RULES) -> list[Segment]:
    predictions = [make_prediction(float(moment), story(moment)) for moment in np.arange(0, seconds + 0.1, 0.25)]
    return list(find_segments(predictions, rules.card, seen_s=(0.0, seconds), settings=rules.settings))


def over(events: Sequence[ActionEvent]) -> list[Segment]:
    return [one.segment for one in events if one.kind is EventKind.END and one.segment.end_s > one.segment.start_s]


def test_nothing_is_said_of_somebody_who_does_nothing() -> None:
    assert tell(waving(inf, inf), 10) == []


def test_an_action_is_called_followed_and_ended_as_the_whole_video_has_it() -> None:
    story = waving(3, 6)
    events = tell(story, 12)
    assert kinds(events) == ["start", "end"]
    assert {event.action_id for event in events} == {1}
    assert over(events) == offline(story, 12)
    assert [event.decided_s for event in events] == sorted(event.decided_s for event in events)


def test_an_action_is_called_before_its_windows_are_complete() -> None:
    start = tell(waving(3, 6), 12)[0]
    assert start.decided_s - start.segment.start_s <= 1.5
    assert start.segment.label == "wave"


def test_an_action_ends_as_soon_as_it_cannot_be_bridged_any_more() -> None:
    end = tell(waving(3, 6), 12)[-1]
    waited_s = end.decided_s - end.segment.end_s
    assert 0 <= waited_s - (0.75 + RULES.settings.bridge_s + RULES.settings.smooth_s) <= 0.25


def test_updates_come_at_most_once_a_stride_and_only_with_news() -> None:
    updates = [event for event in tell(waving(3, 9), 15) if event.kind is EventKind.UPDATE]
    assert len({event.decided_s for event in updates}) == len(updates)
    during = [event for event in updates if event.decided_s < 9]
    assert [event.segment.end_s for event in during] == [event.decided_s for event in during]
    assert all(event.decided_s < 11.5 for event in updates)  # nothing is seen to change while the end is made sure of


def test_who_has_just_come_is_spoken_of_under_reserve() -> None:
    events = tell(waving(0, 9), 9)
    assert events[0].is_provisional
    assert [event.is_provisional for event in events] == sorted([event.is_provisional for event in events])[::-1]
    assert not events[-1].is_provisional


def test_a_rumour_that_is_not_borne_out_is_taken_back() -> None:
    events = tell(waving(inf, inf), 10, rumour=waving(4, 4.8))
    assert kinds(events) == ["start", "end"]
    assert events[-1].segment.end_s == events[-1].segment.start_s
    assert events[-1].action_id == events[0].action_id


def test_an_action_missed_once_is_not_taken_back() -> None:
    watch, action_ids = Watch(1, 0.0, RULES), count(1)
    watch.seen_s = 3.0
    for moment in (0.0, 0.25, 0.5, 0.75, 1.0):
        watch.hear(make_prediction(moment, IDLE))
    told = [
        kinds(watch.decide([make_prediction(1.25 + step, story) for step in (0.0, 0.25, 0.5)], horizon, action_ids))
        for story, horizon in zip((WAVE, IDLE, WAVE, IDLE, IDLE), [Horizon(3.0, 1.25)] * 5, strict=True)
    ]
    assert told == [["start"], [], [], [], ["end"]]


def test_a_label_that_turns_out_otherwise_is_taken_back_before_the_right_one_is_called() -> None:
    events = tell(in_turn((0, IDLE), (3, JUMP)), 8, rumour=waving(3, inf))
    calls = [(event.kind.value, event.segment.label) for event in events if event.kind is not EventKind.UPDATE]
    assert calls == [("start", "wave"), ("end", "wave"), ("start", "jump"), ("end", "jump")]
    assert [segment.label for segment in over(events)] == ["jump"]


def test_one_action_after_another_ends_the_first() -> None:
    story = in_turn((0, IDLE), (2, WAVE), (6, JUMP))
    events = tell(story, 10)
    assert kinds(events) == ["start", "end", "start", "end"]
    assert [event.action_id for event in events if event.kind is EventKind.START] == [1, 2]
    assert over(events) == offline(story, 10)
    second = [event for event in events if event.kind is EventKind.START][1]
    assert second.decided_s - second.segment.start_s <= 2.5


LABELS = ("idle", "down", "up", "squat")
SQUATS = make_card(
    LABELS, silent_labels=("idle",), thresholds=dict.fromkeys(LABELS[1:], 0.6), compounds={"squat": ("down", "up")}
)
AT_REST, DOWN, UP = [0.94, 0.02, 0.02, 0.02], [0.02, 0.94, 0.02, 0.02], [0.02, 0.02, 0.94, 0.02]


def test_a_first_half_becomes_the_compound_when_the_second_follows() -> None:
    rules = replace(RULES, card=SQUATS)
    story = in_turn((0, AT_REST), (3, DOWN), (4.5, UP), (6, AT_REST))
    events = tell(story, 12, watch=Watch(1, 0.0, rules))
    (squat,) = over(events)
    (expected,) = offline(story, 12, rules)
    assert (squat.label, squat.start_s, squat.end_s) == (expected.label, expected.start_s, expected.end_s)
    assert squat.label == "squat"
    assert (squat.start_s, squat.end_s) == pytest.approx((3, 6), abs=0.3)


def test_a_first_half_alone_is_over_once_the_second_would_have_come() -> None:
    story = in_turn((0, AT_REST), (3, DOWN), (4.5, AT_REST))
    events = tell(story, 12, watch=Watch(1, 0.0, replace(RULES, card=SQUATS)))
    *_, end = events
    assert (end.kind, end.segment.label) == (EventKind.END, "down")
    assert end.decided_s >= end.segment.end_s + TURN_S
    assert kinds(events) == ["start", "end"]


def test_an_action_of_minutes_keeps_its_start_and_few_predictions() -> None:
    watch = Watch(1, 0.0, RULES)
    events = tell(waving(3, 200), 210, watch=watch)
    assert kinds(events) == ["start", "end"]
    (segment,) = over(events)
    (whole,) = offline(waving(3, 200), 210)
    assert (segment.start_s, segment.end_s) == pytest.approx((whole.start_s, whole.end_s))
    assert len(watch._predictions) <= HISTORY_S / 0.25 + 5


def test_what_is_forgotten_is_not_called_anew() -> None:
    story = in_turn(*[part for turn in range(20) for part in ((10 * turn, WAVE), (10 * turn + 4, IDLE))])
    watch = Watch(1, 0.0, RULES)
    events = tell(story, 200, watch=watch)
    assert over(events) == offline(story, 200)
    assert len(watch._over) <= HISTORY_S / 10 + 2


def test_somebody_gone_is_forgotten_once_all_is_said() -> None:
    watch, action_ids = Watch(1, 0.0, RULES), count(1)
    for moment in (0.0, 0.25, 0.5, 0.75, 1.0):
        watch.hear(make_prediction(moment, WAVE))
    watch.seen_s = 1.0
    assert kinds(watch.decide([], Horizon(2.0, 1.25), action_ids)) == ["start"]
    assert not watch.is_over(Horizon(2.0, 1.25))
    late = Horizon(4.0, 1.0 + RULES.settings.bridge_s + RULES.settings.smooth_s)
    assert kinds(watch.decide([], late, action_ids)) == ["end"]
    assert watch.is_over(late)


def wandering(seed: int, num_moments: int) -> tuple[Story, Story]:
    """Return probabilities that wander about, and what half-complete windows make of them."""
    rng = np.random.default_rng(seed)
    chances = np.zeros((num_moments, 3))
    for place in range(1, num_moments):
        chances[place] = 0.9 * chances[place - 1] + rng.normal(size=3)
    chances = np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True)
    hearsay = 0.7 * chances + 0.3 * rng.dirichlet([1, 1, 1], num_moments)
    story, rumour = (in_turn(*[(k / 4, row.tolist()) for k, row in enumerate(rows)]) for rows in (chances, hearsay))
    return story, rumour


@given(seed=st.integers(0, 10_000), num_moments=st.integers(2, 120))
@settings(max_examples=40, deadline=None)
def test_whatever_is_recognised_one_action_is_open_at_a_time_and_all_are_ended(seed: int, num_moments: int) -> None:
    story, rumour = wandering(seed, num_moments)
    open_id = None
    for event in tell(story, (num_moments - 1) / 4, rumour=rumour):
        assert (event.kind is EventKind.START) == (open_id is None)
        assert open_id in (None, event.action_id)
        open_id = None if event.kind is EventKind.END else event.action_id
    assert open_id is None


def test_whatever_is_recognised_nearly_all_ends_are_those_of_the_whole_video() -> None:
    # Not all: an action that is taken up again after another one has been called in between comes in two.
    right = num_expected = num_found = 0
    for seed in range(30):
        story, rumour = wandering(seed, 100)
        found, expected = (
            {(one.label, round(one.start_s, 6), round(one.end_s, 6), round(one.score, 6)) for one in segments}
            for segments in (over(tell(story, 24.75, rumour=rumour)), offline(story, 24.75))
        )
        right, num_expected, num_found = (
            right + len(found & expected),
            num_expected + len(expected),
            num_found + len(found),
        )
    assert num_expected > 100
    assert right >= 0.97 * num_expected
    assert num_found <= 1.03 * num_expected
