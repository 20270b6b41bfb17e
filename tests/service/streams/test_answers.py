import numpy as np

from pipeline.live import ActionEvent, EventKind
from pipeline.values import LabelScore, Poses, Segment
from service.streams.answers import action_message, open_action, people_in

SEGMENT = Segment("wave", 1, 0.912345, 0.1, 0.80001, (LabelScore("wave", 0.912345),), (0.3,), ("left_wrist",))


def event(kind=EventKind.START):
    return ActionEvent(kind, 3, 7, SEGMENT, True, 1.23456)


def test_an_event_becomes_a_message_of_its_kind():
    assert [action_message(event(kind)).type for kind in EventKind] == ["action.start", "action.update", "action.end"]
    assert action_message(event()).model_dump() == {
        "type": "action.start",
        "action_id": 3,
        "track_id": 7,
        "label": "wave",
        "label_id": 1,
        "score": 0.9123,
        "start_s": 0.1,
        "end_s": 0.8,
        "provisional": True,
        "decided_s": 1.235,
        "top_k": [{"label": "wave", "score": 0.9123}],
        "explanation": {"key_frames_s": [0.3], "key_joints": ["left_wrist"]},
    }


def test_people_are_told_with_what_they_do():
    poses = Poses(
        np.array([[[1.126, 2]] * 17, [[3, 4]] * 17], np.float32),
        np.full((2, 17), 0.51239, np.float32),
        np.array([[1, 2, 3, 4.126]] * 2, np.float32),
        np.ones(2, np.float32),
        np.array([7, 8]),
    )
    waving, other = people_in(poses, {7: open_action(event())})
    assert (waving.track_id, waving.action.label, waving.action.action_id) == (7, "wave", 3)
    assert waving.box == (1, 2, 3, 4.13)
    assert waving.points[0] == (1.13, 2, 0.5124)
    assert other.action is None


def test_nobody_is_an_empty_list():
    assert people_in(Poses.empty(17), {}) == []
