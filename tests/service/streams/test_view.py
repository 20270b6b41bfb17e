import pytest
from streaming import DARK, LIGHT, picture

from pipeline.actions import Options
from pipeline.errors import Undecodable
from service.metrics import Metrics
from service.streams.batching import BatchedEngines
from service.streams.intake import Arrival
from service.streams.view import View


@pytest.fixture
def view(engine):
    return View(BatchedEngines(Metrics()).of(engine), Options(pose_fps=10))


def look(view, index, shade, size_wh=(64, 48)):
    return view.look(Arrival(index, index, index / 10, picture(shade, size_wh=size_wh), 0.0))


def test_a_person_carries_their_action_from_its_start(view):
    seen = [look(view, index, DARK if index < 20 else LIGHT) for index in range(40)]
    start = next(index for index, one in enumerate(seen) if one.actions)
    (started,) = seen[start].actions
    assert (started.type, started.label) == ("action.start", "wave")
    doing = [one.people[0].action for one in seen]
    assert doing[:start] == [None] * start
    assert {action.action_id for action in doing[start:]} == {started.action_id}


def test_who_has_stopped_carries_no_action_while_its_end_is_not_settled_yet(view):
    seen = [look(view, index, LIGHT if 10 <= index < 40 else DARK) for index in range(90)]
    doing = [index for index, one in enumerate(seen) if one.people[0].action]
    (end,) = [index for index, one in enumerate(seen) for action in one.actions if action.type == "action.end"]
    assert doing == list(range(doing[0], doing[-1] + 1))
    assert seen[end].actions[-1].end_s <= doing[-1] / 10 <= seen[end].actions[-1].end_s + 1.5
    assert doing[-1] < end - 5


def test_what_goes_on_is_ended_when_it_finishes(view):
    for index in range(30):
        look(view, index, LIGHT)
    assert [action.type for action in view.finish()] == ["action.end"]


def test_sizes_are_those_of_the_picture_that_was_sent(view):
    assert look(view, 0, DARK, size_wh=(641, 361)).size_wh == (641, 361)


def test_a_damaged_picture_is_refused(view):
    with pytest.raises(Undecodable):
        view.look(Arrival(0, 0, 0.0, picture(ext=".webp")[:40], 0.0))
