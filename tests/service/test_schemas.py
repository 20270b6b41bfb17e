from pipeline.layouts import COCO17
from pipeline.values import LabelScore, Recognition, Segment, Track, VideoInfo
from service.schemas import Answer, answer_of

INFO = VideoInfo(1.00004, 29.97003, 30, 640, 480)


def test_an_answer_of_nobody_has_every_field(engine):
    answer = answer_of(Recognition(INFO, ()), engine.recogniser, layout=COCO17, request_id="abc")
    assert set(answer.model_dump()) == {"request_id", "model", "video", "tracks", "timings_ms", "warnings"}
    assert answer.video.model_dump() == {"duration_s": 1.0, "fps": 29.97, "frames": 30, "width": 640, "height": 480}
    assert set(answer.timings_ms.model_dump().values()) == {0.0}


def test_numbers_are_rounded_to_what_they_are_worth(engine):
    segment = Segment("wave", 1, 1 / 3, 1 / 3, 2 / 3, (LabelScore("wave", 1 / 3),), (1 / 3,), ("nose",))
    tracks = (Track(1, 0.0, 1 / 3, (segment,)),)
    recognition = Recognition(INFO, tracks, {"pose": 1.23456, "invented": 1.0}, ("careful",))
    answer = answer_of(recognition, engine.recogniser, layout=COCO17, request_id="abc")
    assert answer.tracks[0].segments[0].score == 0.3333
    assert answer.tracks[0].segments[0].explanation.key_frames_s == [0.333]
    assert answer.tracks[0].end_s == 0.333
    assert answer.timings_ms.pose == 1.235
    assert answer.warnings == ["careful"]


def test_an_answer_survives_its_own_json(engine):
    answer = answer_of(Recognition(INFO, ()), engine.recogniser, layout=COCO17, request_id="abc")
    assert Answer.model_validate_json(answer.model_dump_json()) == answer
