import cv2
import numpy as np
import pytest

from pipeline.errors import LimitExceeded, Undecodable
from service.errors import BadRequest, OutOfOrder, UnsupportedContent
from service.streams.intake import Intake, Pace
from service.streams.messages import Limits, SentFrame, pack_frame

PICTURE = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
LIMITS = Limits(frame_bytes=2000, pixels=1200, fps=100, idle_s=1)


@pytest.fixture
def intake():
    return Intake(LIMITS, fps=10)


def sent(seq, time_s, picture=PICTURE):
    return pack_frame(SentFrame(seq, round(time_s * 1e6), picture))


def test_times_count_from_the_first_capture(intake):
    arrivals = [intake.accept(sent(seq, time_s), now_s=9.0) for seq, time_s in ((4, 1000.0), (6, 1000.25))]
    assert [(arrival.seq, arrival.index, arrival.time_s) for arrival in arrivals] == [(4, 0, 0.0), (6, 1, 0.25)]
    assert arrivals[1].arrived_s == 9.0


@pytest.mark.parametrize("again", [(4, 1.1), (5, 1.0), (3, 1.1), (5, 0.9)])
def test_number_and_time_must_rise(intake, again):
    intake.accept(sent(4, 1.0), now_s=0)
    with pytest.raises(OutOfOrder, match="expected a"):
        intake.accept(sent(*again), now_s=0)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"", BadRequest),
        (b"short", BadRequest),
        (sent(0, 0, b"text"), UnsupportedContent),
        (sent(0, 0, PICTURE[:30]), Undecodable),
        (sent(0, 0, PICTURE + bytes(2000)), LimitExceeded),
        (sent(0, 0, cv2.imencode(".jpg", np.zeros((30, 41, 3), np.uint8))[1].tobytes()), LimitExceeded),
    ],
    ids=["empty", "short", "text", "cut", "bytes", "pixels"],
)
def test_what_is_no_frame_is_refused(intake, message, error):
    with pytest.raises(error):
        intake.accept(message, now_s=0)


def test_of_a_quick_stream_as_many_frames_are_wanted_as_its_rate_says(intake):
    arrivals = [intake.accept(sent(seq, seq / 60), now_s=0) for seq in range(121)]
    assert sum(map(intake.wants, arrivals)) == pytest.approx(21, abs=1)


def test_a_burst_is_no_flood_and_a_flood_is_told_by_how_early_it_comes():
    pace = Pace(100)
    assert not any(pace.count(5.0) for _ in range(200))
    assert pace.count(5.0) == pytest.approx(0.01)
    assert pace.count(5.0) == pytest.approx(0.02)


def test_a_steady_pace_is_never_early():
    pace = Pace(100)
    assert not any(pace.count(index / 100) for index in range(10_000))
