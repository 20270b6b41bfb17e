"""The second half of the chain: followed poses in, actions out, and what each stage took."""

from dataclasses import replace
from pathlib import Path

import pytest
from factories import COCO17, make_figure, make_poses, make_times, write_bundle

from pipeline.actions import ActionReader, Options, Stopwatch
from pipeline.recognise import Recogniser
from pipeline.values import Recognition, VideoInfo

INFO = VideoInfo(duration_s=8.0, fps=10.0, frames=81, width=320, height=240)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser(write_bundle(tmp_path_factory.mktemp("tiny")), threads=1)


def read(recogniser: Recogniser, options: Options, *, seconds: float = 8.0, num_people: int = 1) -> Recognition:
    """Read somebody whose arms are up from 3 s to 6 s, and others who stand."""
    reader = ActionReader(recogniser, options, layout=COCO17)
    for time_s in make_times(seconds, fps=10):
        figures = [make_figure(x=100 * one, arms_up=float(one == 0 and 3 <= time_s < 6)) for one in range(num_people)]
        reader.take(make_poses(*figures, track_ids=range(1, num_people + 1)), float(time_s))
    return reader.finish(INFO, ("a note",))


def test_an_action_is_read(recogniser: Recogniser) -> None:
    recognition = read(recogniser, Options())
    (track,) = recognition.tracks
    (raised,) = track.segments
    assert raised.label == "raise_arms"
    assert (raised.start_s, raised.end_s) == pytest.approx((3, 6), abs=0.15)
    assert all(3 <= moment <= 6 for moment in raised.key_frames_s)
    assert recognition.video is INFO
    assert recognition.warnings == ("a note",)


def test_others_who_stand_do_not_change_the_answer(recogniser: Recogniser) -> None:
    alone = read(recogniser, Options()).tracks[0].segments
    first, *others = read(recogniser, Options(), num_people=4).tracks
    assert [one.label for one in first.segments] == [one.label for one in alone]
    assert [one.start_s for one in first.segments] == pytest.approx([one.start_s for one in alone])
    assert [track.segments for track in others] == [(), (), ()]


def test_nobody_is_no_track_and_a_warning(recogniser: Recogniser) -> None:
    recognition = read(recogniser, Options(), num_people=0)
    assert recognition.tracks == ()
    assert recognition.warnings == ("a note", "nobody was found in the video")


def test_a_video_of_too_few_frames_a_second_is_told_why_nothing_was_named(recogniser: Recogniser) -> None:
    slow = replace(INFO, fps=3.0)
    (warning, _) = ActionReader(recogniser, Options(), layout=COCO17).finish(slow).warnings
    assert warning == "3.0 frames a second are too few to name actions: expected 5 or more"


def test_no_frame_at_all_is_nobody(recogniser: Recogniser) -> None:
    recognition = ActionReader(recogniser, Options(), layout=COCO17).finish(INFO)
    assert recognition.tracks == ()
    assert recognition.warnings == ("nobody was found in the video",)


def test_each_stage_and_the_whole_have_a_time(recogniser: Recogniser) -> None:
    timings = read(recogniser, Options()).timings_ms
    assert list(timings) == ["features", "recognise", "segments", "total"]
    assert timings["total"] >= sum(spent for stage, spent in timings.items() if stage != "total") > 0


def test_the_windows_that_were_recognised_are_counted(recogniser: Recogniser) -> None:
    one, three = (read(recogniser, Options(), num_people=people).windows for people in (1, 3))
    assert three == 3 * one > 0
    assert read(recogniser, Options(), num_people=0).windows == 0
    assert read(recogniser, Options(), seconds=60).windows > 5 * one


def test_keypoints_come_only_when_asked_for(recogniser: Recogniser) -> None:
    assert read(recogniser, Options()).tracks[0].trajectory is None
    trajectory = read(recogniser, Options(keypoints=True)).tracks[0].trajectory
    assert trajectory is not None
    assert len(trajectory.times_s) == 81


def test_a_threshold_that_nothing_reaches_reports_nothing(recogniser: Recogniser) -> None:
    assert read(recogniser, Options(threshold=1.0)).tracks[0].segments == ()


def test_fewer_labels_and_no_explanation_can_be_asked_for(recogniser: Recogniser) -> None:
    (raised,) = read(recogniser, Options(top_k=1, explain=False)).tracks[0].segments
    assert [one.label for one in raised.top_k] == ["raise_arms"]
    assert (raised.key_frames_s, raised.key_joints) == ((), ())


@pytest.mark.parametrize(("window_s", "stride_s"), [(1.0, 0.25), (2.0, 0.5), (1.5, 0.1)])
def test_windows_may_be_shorter_and_denser_or_sparser(recogniser: Recogniser, window_s: float, stride_s: float) -> None:
    (raised,) = read(recogniser, Options(window_s=window_s, stride_s=stride_s)).tracks[0].segments
    assert (raised.start_s, raised.end_s) == pytest.approx((3, 6), abs=0.4)


def test_a_window_longer_than_the_models_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match=r"window_s: model 'tiny' takes at most 2.0 s, got 2.5"):
        ActionReader(recogniser, Options(window_s=2.5), layout=COCO17)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "threshold: expected a number from 0 to 1, got -0.1"),
        ({"threshold": 1.5}, "threshold: expected a number from 0 to 1, got 1.5"),
        ({"threshold": float("nan")}, "threshold: expected a number from 0 to 1, got nan"),
        ({"top_k": 0}, "top_k: expected 1 or more, got 0"),
        ({"max_people": 0}, "max_people: expected 1 or more, got 0"),
        ({"window_s": 0.0}, "window_s: expected a number above 0, got 0"),
        ({"stride_s": -1.0}, "stride_s: expected a number above 0, got -1"),
        ({"stride_s": float("inf")}, "stride_s: expected a number above 0, got inf"),
        ({"pose_fps": float("nan")}, "pose_fps: expected a number above 0, got nan"),
    ],
)
def test_an_option_out_of_range_says_what_was_expected(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**options)  # type: ignore[arg-type]  # which is what is refused


def test_a_stage_is_charged_even_if_it_fails() -> None:
    stopwatch = Stopwatch()
    with pytest.raises(RuntimeError), stopwatch.time("pose"):
        raise RuntimeError
    assert list(stopwatch.read_ms()) == ["pose", "total"]


def test_what_waits_to_be_recognised_is_not_many_windows(tmp_path: Path) -> None:
    reader = ActionReader(Recogniser(write_bundle(tmp_path), threads=1), Options(stride_s=0.15), layout=COCO17)
    waiting = []
    for time_s in make_times(15, fps=10):
        reader.take(make_poses(make_figure(), make_figure(x=300), track_ids=[1, 2]), float(time_s))
        waiting.append(len(reader._waiting))
    assert max(waiting) < 70
