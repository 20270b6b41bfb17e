"""A camera, frame by frame: what is said while it happens agrees with what the whole video gives."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from factories import COCO17, FakePose, Scene, make_figure, make_frame, make_times, write_bundle

from pipeline.bundle import Bundle, Card
from pipeline.engine import Engine, Options, load_engine
from pipeline.live import ActionEvent, EventKind, LiveStream
from pipeline.recognise import Recogniser
from pipeline.values import F32, Frame, Poses, Prediction, Segment, SkeletonClip, VideoInfo
from pipeline.video import open_video

SIZE_WH = (320, 240)
INFO = VideoInfo(duration_s=10.0, fps=10.0, frames=101, width=320, height=240)


def raising(time_s: float) -> list[F32]:
    """Somebody raises their arms from 2 s to 4 s and at the end; from 1 s to 7 s another one stands there."""
    first = make_figure(x=80, torso=50, arms_up=float(2 <= time_s < 4 or time_s > 8))
    return [first, make_figure(x=240, torso=50)] if 1 <= time_s < 7 else [first]


def turning_up(time_s: float) -> list[F32]:
    """Somebody comes at 3 s, with their arms up."""
    return [make_figure(arms_up=1.0)] if time_s >= 3 else []


@dataclass
class CountingRecogniser:
    """Notes how many clips were asked about at a time."""

    recogniser: Recogniser
    asked: list[int] = field(default_factory=list)

    @property
    def card(self) -> Card:
        return self.recogniser.card

    @property
    def bundle(self) -> Bundle:
        return self.recogniser.bundle

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        self.asked.append(len(clips))
        return self.recogniser.recognise(clips, explain=explain)


class WristWatcher:
    """Says that arms are up where wrists are above shoulders, without any network."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.card = bundle, bundle.card

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        wrist, shoulder = COCO17.index("left_wrist"), COCO17.index("left_shoulder")
        raised = [float((clip.keypoints[:, 0, wrist, 1] < clip.keypoints[:, 0, shoulder, 1]).mean()) for clip in clips]
        nothing = np.zeros(0, np.float32)
        return [
            Prediction(
                clip.start_s,
                clip.end_s,
                clip.track_ids,
                np.array([0.98 - 0.96 * share, 0.01 + 0.96 * share, 0.01], np.float32),
                nothing,
                nothing,
            )
            for clip, share in zip(clips, raised, strict=True)
        ]


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser(write_bundle(tmp_path_factory.mktemp("tiny")), threads=1)


def frames(seconds: float = 10.0, *, fps: float = 10.0, scale: float = 1.0) -> Iterator[Frame]:
    size_wh = round(SIZE_WH[0] * scale), round(SIZE_WH[1] * scale)
    for index, time_s in enumerate(make_times(seconds, fps=fps)):
        yield make_frame(float(time_s), index=index, size_wh=size_wh, scale=scale)


def watch(live: LiveStream, seconds: float = 10.0) -> list[ActionEvent]:
    return [event for frame in frames(seconds) for event in live.push(frame).events] + list(live.finish())


def over(events: Sequence[ActionEvent]) -> list[tuple[int, Segment]]:
    """Return everybody's actions that were not taken back, in the order of ``by_track``."""
    ends = [event for event in events if event.kind is EventKind.END and event.segment.end_s > event.segment.start_s]
    return sorted(((end.track_id, end.segment) for end in ends), key=lambda one: (one[0], one[1].start_s))


def offline(engine: Engine, options: Options) -> list[tuple[int, Segment]]:
    stream = engine.open_stream(options)
    shots = list(frames())
    for start in range(0, len(shots), engine.pose.detect_every):
        stream.push(shots[start : start + engine.pose.detect_every])
    return [(track.track_id, segment) for track in stream.finish(INFO).tracks for segment in track.segments]


@pytest.mark.parametrize(
    "options",
    [Options(), Options(stride_s=0.4), Options(window_s=1.2), Options(stride_s=1.5), Options(explain=False)],
    ids=["as it is", "stride", "window", "long stride", "unexplained"],
)
@pytest.mark.parametrize("needs_boxes", [False, True], ids=["one pass", "top-down"])
def test_what_is_said_in_the_end_is_what_the_whole_video_gives(
    recogniser: Recogniser, options: Options, needs_boxes: bool
) -> None:
    engine = Engine(FakePose(raising, needs_boxes=needs_boxes, detect_every=5 if needs_boxes else 1), recogniser)
    expected = offline(engine, options)
    assert [segment.label for _, segment in expected] == ["raise_arms", "raise_arms"]
    assert over(watch(engine.open_live(options))) == expected


def test_an_action_is_called_while_it_goes_on(recogniser: Recogniser) -> None:
    events = watch(Engine(FakePose(raising), recogniser).open_live())
    starts = [event for event in events if event.kind is EventKind.START]
    assert [event.action_id for event in starts] == [1, 2]
    assert all(event.decided_s - event.segment.start_s <= 1.5 for event in starts)


def test_somebody_new_is_spoken_of_before_a_window_has_passed(recogniser: Recogniser) -> None:
    start, *_ = watch(Engine(FakePose(turning_up), recogniser).open_live())
    assert start.kind is EventKind.START
    assert start.is_provisional
    assert start.decided_s - 3.0 <= 1.0 < recogniser.card.features.window_s


def test_each_frame_tells_who_is_in_it_in_px_of_the_video(recogniser: Recogniser) -> None:
    live = Engine(FakePose(raising), recogniser).open_live()
    for frame in frames(3.0, scale=0.5):
        step = live.push(frame)
        assert step.time_s == frame.time_s
        assert step.poses.track_ids.tolist() == [1, 2][: len(step.poses)]
        assert step.poses.keypoints[0] == pytest.approx(raising(frame.time_s)[0], abs=0.01)


def test_no_more_people_are_followed_than_asked_for(recogniser: Recogniser) -> None:
    live = Engine(FakePose(raising), recogniser).open_live(Options(max_people=1))
    assert {len(live.push(frame).poses) for frame in frames(3.0)} == {1}


def test_the_recogniser_is_asked_once_a_stride_about_everybody(recogniser: Recogniser) -> None:
    counting = CountingRecogniser(recogniser)
    live = LiveStream(FakePose(raising), counting)
    asked = []
    for frame in frames(6.0):
        live.push(frame)
        asked.append(counting.asked[:])
        counting.asked.clear()
    at_once = [calls for calls in asked if calls]
    assert len(at_once) <= 6.0 / 0.25 + 1  # frames come ten times a second
    assert all(len(calls) <= 2 for calls in at_once)  # the windows that are complete, and those that nearly are
    assert at_once[-1][0] == 2  # people
    assert at_once[-1][1] in (4, 6)


def test_nobody_costs_the_recogniser_nothing(recogniser: Recogniser) -> None:
    counting = CountingRecogniser(recogniser)
    live = LiveStream(FakePose(lambda _: []), counting)
    assert watch(live) == []
    assert counting.asked == []


def test_a_stream_without_frames_ends_without_a_word(recogniser: Recogniser) -> None:
    assert Engine(FakePose(raising), recogniser).open_live().finish() == ()


def test_windows_longer_than_the_model_takes_are_refused(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match="window_s: model 'tiny' takes at most"):
        Engine(FakePose(raising), recogniser).open_live(Options(window_s=9.0))


def test_time_does_not_run_backwards(recogniser: Recogniser) -> None:
    live = Engine(FakePose(raising), recogniser).open_live()
    live.push(make_frame(1.0))
    with pytest.raises(ValueError, match=r"expected a time after 1\.000 s, got 0\.500 s"):
        live.push(make_frame(0.5))


@pytest.mark.parametrize("jump_s", [5.0, 1e6])
def test_a_pause_of_the_camera_ends_what_went_on(recogniser: Recogniser, jump_s: float) -> None:
    live = Engine(FakePose(lambda _: [make_figure(arms_up=1.0)]), recogniser).open_live()
    events = [event for frame in frames(3.0) for event in live.push(frame).events]
    for time_s in make_times(3.0, fps=10.0, start_s=jump_s):
        events += live.push(make_frame(float(time_s))).events
    events += live.finish()
    assert [round(segment.end_s) for _, segment in over(events)] == [3, round(jump_s + 3)]


def test_two_interleaved_streams_give_what_each_gives_alone(recogniser: Recogniser) -> None:
    scenes: list[Scene] = [raising, turning_up]
    alone = [watch(LiveStream(FakePose(scene), recogniser)) for scene in scenes]
    together: list[list[ActionEvent]] = [[], []]
    streams = [LiveStream(FakePose(scene), recogniser) for scene in scenes]
    for pair in zip(frames(), frames(), strict=True):
        for events, stream, frame in zip(together, streams, pair, strict=True):
            events += stream.push(frame).events
    assert [events + list(live.finish()) for events, live in zip(together, streams, strict=True)] == alone


def held(live: LiveStream) -> int:
    """Count what a stream remembers: predictions, actions, frames of people, people."""
    watches = live._watches.values()
    tracker = live._follower._tracker
    assert tracker is not None
    return (
        sum(len(one._predictions) + len(one._over) + len(one._found) for one in watches)
        + sum(len(one.times_s) for one in live._windower._people.values())
        + len(watches)
        + len(tracker._tracks)
    )


@pytest.mark.slow
def test_neither_memory_nor_time_grows_with_the_stream(tmp_path: Path) -> None:
    def scene(time_s: float) -> list[F32]:
        """Somebody stays, with their arms up for minutes; others come for 6 s in every 20."""
        stays = make_figure(x=80, torso=50, arms_up=float(time_s % 300 > 60))
        visits = [make_figure(x=250, torso=50, arms_up=float(time_s % 2 > 1))] if time_s % 20 < 6 else []
        return [stays, *visits]

    minutes, fps = 20, 5
    live = LiveStream(FakePose(scene), WristWatcher(write_bundle(tmp_path / "tiny")), Options(stride_s=0.5))
    events: list[ActionEvent] = []
    remembered: list[list[int]] = [[] for _ in range(minutes)]
    took_s: list[list[float]] = [[] for _ in range(minutes)]
    for index in range(minutes * 60 * fps):
        frame, minute = make_frame(index / fps, size_wh=(32, 24), scale=0.1), index // (60 * fps)
        started_s = time.perf_counter()
        events += live.push(frame).events
        took_s[minute].append(time.perf_counter() - started_s)
        remembered[minute].append(held(live))
    assert max(map(max, remembered[7:])) < 1.1 * max(map(max, remembered[:7]))
    assert max(map(max, remembered)) < 300
    assert statistics.median(took_s[-1]) < 3 * statistics.median(took_s[3])
    assert len({event.track_id for event in events}) <= 61
    long = [segment for track_id, segment in over(events) if track_id == 1]
    assert [(round(one.start_s), round(one.end_s)) for one in long] == [(60, 300), (360, 600), (660, 900)]


class Remembered:
    """A pose backend that looks at each frame of a video once."""

    def __init__(self, engine: Engine) -> None:
        self._pose = engine.pose
        self.name, self.layout, self.max_side = engine.pose.name, engine.pose.layout, engine.pose.max_side
        self.needs_boxes, self.detect_every = False, engine.pose.detect_every
        self._seen: dict[float, Poses] = {}

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        new = [frame for frame in frames if frame.time_s not in self._seen]
        self._seen.update(zip([frame.time_s for frame in new], self._pose.find(new), strict=True) if new else ())
        return [self._seen[frame.time_s] for frame in frames]

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[F32]) -> list[Poses]:
        raise NotImplementedError


@pytest.mark.slow
def test_a_real_clip_gives_the_same_actions_live(shared: Path) -> None:
    clip = shared / "videos" / "stgcn_clean_and_jerk.mp4"
    loaded = load_engine(threads=1)
    engine, options = Engine(Remembered(loaded), loaded.recogniser), Options()
    with open_video(clip) as video:
        recognition = engine.recognise(video, options)
    live = engine.open_live(options)
    with open_video(clip) as video:
        shots = video.frames(fps=options.pose_fps, max_side=engine.pose.max_side)
        events = [event for frame in shots for event in live.push(frame).events]
    events += live.finish()
    expected = [(track.track_id, segment) for track in recognition.tracks for segment in track.segments]
    assert [segment.label for _, segment in expected] == ["clean_and_jerk"] * 2
    assert over(events) == expected
    called_s = [event.decided_s - event.segment.start_s for event in events if event.kind is EventKind.START]
    assert max(called_s) <= 1.5


@pytest.mark.slow
def test_a_squat_is_called_as_soon_as_it_can_no_longer_be_sitting_down(shared: Path) -> None:
    engine = load_engine(threads=1)
    live, hips = engine.open_live(Options()), [engine.pose.layout.index(f"{side}_hip") for side in ("left", "right")]
    events: list[ActionEvent] = []
    heights: list[tuple[float, float]] = []
    with open_video(shared / "videos" / "web_squat_rohan.mp4") as video:
        for frame in video.frames(fps=Options().pose_fps, max_side=engine.pose.max_side):
            step = live.push(frame)
            events += step.events
            heights += [
                (step.poses.keypoints[at, hips, 1].mean(), frame.time_s)
                for at in np.flatnonzero(step.poses.track_ids == 1)
            ]
    events += live.finish()
    called_s = [event.decided_s for event in events if event.kind is EventKind.START and event.segment.label == "squat"]
    squats = [segment for _, segment in over(events) if segment.label == "squat"]
    lowest_s = [max(one for one in heights if squat.start_s <= one[1] <= squat.end_s)[1] for squat in squats]
    assert [round(time_s) for time_s in lowest_s] == [11, 17]
    for called, lowest in zip(called_s, lowest_s, strict=True):
        assert called - lowest <= 1.5
