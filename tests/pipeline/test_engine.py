"""The whole chain around a pose backend that knows where everybody is."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from factories import (
    COCO17,
    FakePose,
    Scene,
    make_card,
    make_clip,
    make_figure,
    make_frame,
    make_poses,
    make_times,
    write_bundle,
)

from pipeline import engine as engine_module
from pipeline.engine import Engine, Options, Stream, bundle_named, load_engine
from pipeline.errors import UnknownModel
from pipeline.layouts import LAYOUTS, Layout, map_joints
from pipeline.pose import PoseBackend
from pipeline.recognise import Recogniser
from pipeline.values import F32, Frame, Recognition, SkeletonClip, Track, VideoInfo
from pipeline.video import open_video

VideoMaker = Callable[..., bytes]
INFO = VideoInfo(duration_s=5.0, fps=10.0, frames=50, width=320, height=240)
SIZE_WH = (320, 240)


def raising(time_s: float) -> list[F32]:
    """Somebody raises their arms from 2 s to 4 s; from 1 s on another one stands beside them."""
    first = make_figure(x=80, torso=50, arms_up=float(2 <= time_s < 4))
    return [first, make_figure(x=240, torso=50)] if time_s >= 1 else [first]


def walking(time_s: float) -> list[F32]:
    return [make_figure(x=60 + 25 * time_s, torso=50)]


def empty(time_s: float) -> list[F32]:
    return []


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser(write_bundle(tmp_path_factory.mktemp("tiny")), threads=1)


@pytest.fixture(scope="module")
def film(make_video: VideoMaker) -> bytes:
    """5 s of an empty picture, in which the backend sees what it is told to."""
    return make_video(num_frames=50, fps=10, size_wh=SIZE_WH)


def one_pass(scene: Scene = raising, *, detect_every: int = 1, max_side: int | None = None) -> FakePose:
    return FakePose(scene, detect_every=detect_every, max_side=max_side)


def top_down(scene: Scene = raising, *, detect_every: int = 5) -> FakePose:
    return FakePose(scene, needs_boxes=True, detect_every=detect_every)


def recognise(film: bytes, pose: FakePose, recogniser: Recogniser, options: Options | None = None) -> Recognition:
    with open_video(film) as video:
        return Engine(pose, recogniser).recognise(video, options or Options())


def frames(seconds: float, *, fps: float = 10.0, scale: float = 1.0) -> Iterator[Frame]:
    size_wh = round(SIZE_WH[0] * scale), round(SIZE_WH[1] * scale)
    for index, time_s in enumerate(make_times(seconds, fps=fps)):
        yield make_frame(float(time_s), index=index, size_wh=size_wh, scale=scale)


def summary(recognition: Recognition) -> list[tuple[int, list[tuple[str, float, float]]]]:
    return [
        (track.track_id, [(one.label, round(one.start_s, 3), round(one.end_s, 3)) for one in track.segments])
        for track in recognition.tracks
    ]


def test_the_fake_is_a_pose_backend() -> None:
    assert isinstance(one_pass(), PoseBackend)


@pytest.mark.parametrize("pose", [one_pass, top_down], ids=["one pass", "top-down"])
def test_who_did_what_from_when_to_when(film: bytes, recogniser: Recogniser, pose: Callable[[], FakePose]) -> None:
    first, second = recognise(film, pose(), recogniser).tracks
    (raised,) = first.segments
    assert raised.label == "raise_arms"
    assert (raised.start_s, raised.end_s) == pytest.approx((2, 4), abs=0.2)
    assert (first.start_s, first.end_s) == pytest.approx((0, 4.9), abs=0.01)
    assert second.start_s == pytest.approx(1, abs=0.4)
    assert second.segments == ()


def test_the_stages_come_in_the_order_of_the_chain(film: bytes, recogniser: Recogniser) -> None:
    timings = recognise(film, one_pass(), recogniser).timings_ms
    assert list(timings) == ["decode", "pose", "track", "features", "recognise", "segments", "total"]
    assert timings["total"] >= timings["pose"] >= 0


def test_the_answer_says_what_was_decoded(film: bytes, recogniser: Recogniser) -> None:
    video = recognise(film, one_pass(), recogniser).video
    assert (video.frames, video.width, video.height) == (50, 320, 240)
    assert video.duration_s == pytest.approx(5)


def test_a_one_pass_backend_finds_people_in_every_frame(film: bytes, recogniser: Recogniser) -> None:
    pose = one_pass()
    recognise(film, pose, recogniser)
    assert [len(times) for times in pose.found_s] == [1] * 50
    assert pose.followed_s == []


@pytest.mark.parametrize("detect_every", [1, 4, 7])
def test_a_top_down_backend_searches_every_nth_frame_and_follows_in_between(
    film: bytes, recogniser: Recogniser, detect_every: int
) -> None:
    pose = top_down(detect_every=detect_every)
    recognise(film, pose, recogniser)
    places = np.arange(50)
    searched = [round(time_s * 10) for times in pose.found_s for time_s in times]
    followed = [round(time_s * 10) for times in pose.followed_s for time_s in times]
    assert searched == places[places % detect_every == 0].tolist()
    assert followed == places[places % detect_every != 0].tolist()


def test_a_backend_that_finds_in_groups_is_given_the_rest_of_them_at_once(film: bytes, recogniser: Recogniser) -> None:
    pose = one_pass(detect_every=4)
    recognise(film, pose, recogniser)
    assert [len(times) for times in pose.found_s] == [1, 3] * 12 + [1, 1]


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_people_are_followed_where_they_should_be_by_then(recogniser: Recogniser, scale: float) -> None:
    pose = top_down(walking)
    stream = Engine(pose, recogniser).open_stream()
    shots = list(frames(3, scale=scale))
    for start in range(0, len(shots), 5):
        stream.push(shots[start : start + 5])
    settled = [
        (time_s, boxes)
        for time_s, boxes in zip(chain.from_iterable(pose.followed_s), pose.boxes, strict=True)
        if time_s > 1
    ]
    for time_s, boxes in settled:
        assert boxes.shape == (1, 4)
        there = make_poses(*walking(time_s)).boxes_xyxy * scale
        assert (boxes[:, :2] + boxes[:, 2:]) / 2 == pytest.approx((there[:, :2] + there[:, 2:]) / 2, abs=5 * scale)


def test_nobody_is_followed_in_no_box(film: bytes, recogniser: Recogniser) -> None:
    pose = top_down(empty)
    recognise(film, pose, recogniser)
    assert {len(boxes) for boxes in pose.boxes} == {0}


def test_a_picture_is_as_large_as_the_backend_can_use(film: bytes, recogniser: Recogniser) -> None:
    pose = one_pass(max_side=160)
    recognise(film, pose, recogniser)
    assert pose.sizes_wh == {(160, 120)}


def test_answers_are_in_px_of_the_video_however_small_the_picture(film: bytes, recogniser: Recogniser) -> None:
    options = Options(keypoints=True)
    small = recognise(film, one_pass(max_side=160), recogniser, options)
    large = recognise(film, one_pass(), recogniser, options)
    assert summary(small) == summary(large)
    for one, other in zip(small.tracks, large.tracks, strict=True):
        assert one.trajectory is not None
        assert other.trajectory is not None
        assert one.trajectory.keypoints == pytest.approx(other.trajectory.keypoints, abs=0.01)
        assert one.trajectory.boxes_xyxy == pytest.approx(other.trajectory.boxes_xyxy, abs=0.01)


def test_keypoints_come_only_when_asked_for(film: bytes, recogniser: Recogniser) -> None:
    assert [one.trajectory for one in recognise(film, one_pass(), recogniser).tracks] == [None, None]
    first, _ = recognise(film, one_pass(), recogniser, Options(keypoints=True)).tracks
    assert first.trajectory is not None
    assert first.trajectory.keypoints[0] == pytest.approx(raising(0.0)[0], abs=0.01)


def test_only_so_many_frames_a_second_are_looked_at(film: bytes, recogniser: Recogniser) -> None:
    pose = one_pass()
    recognise(film, pose, recogniser, Options(pose_fps=5))
    assert len(pose.found_s) == 25


def test_only_so_many_people_are_followed(film: bytes, recogniser: Recogniser) -> None:
    (track,) = recognise(film, one_pass(), recogniser, Options(max_people=1)).tracks
    assert track.track_id == 1


def test_progress_rises_from_0_to_1(film: bytes, recogniser: Recogniser) -> None:
    heard: list[float] = []
    with open_video(film) as video:
        Engine(top_down(), recogniser).recognise(video, on_progress=heard.append)
    assert len(heard) == 10
    assert heard == sorted(heard)
    assert 0 < heard[0] < 0.2
    assert heard[-1] == pytest.approx(1.0, abs=0.01)


def test_whoever_listens_to_progress_may_stop_it(film: bytes, recogniser: Recogniser) -> None:
    pose = one_pass()

    def stop(share: float) -> None:
        raise InterruptedError

    with open_video(film) as video, pytest.raises(InterruptedError):
        Engine(pose, recogniser).recognise(video, on_progress=stop)
    assert len(pose.found_s) == 1


def test_a_video_with_nobody_is_no_track_and_a_warning(film: bytes, recogniser: Recogniser) -> None:
    recognition = recognise(film, one_pass(empty), recogniser)
    assert recognition.tracks == ()
    assert recognition.warnings == ("nobody was found in the video",)
    assert recognition.video.frames == 50


@pytest.mark.parametrize("pose", [one_pass, top_down], ids=["one pass", "top-down"])
def test_one_frame_is_too_little_for_a_track(
    make_video: VideoMaker, recogniser: Recogniser, pose: Callable[[], FakePose]
) -> None:
    recognition = recognise(make_video(num_frames=1, size_wh=SIZE_WH), pose(), recogniser)
    assert recognition.tracks == ()
    assert recognition.video.frames == 1


def test_no_frame_is_followed_by_nothing(recogniser: Recogniser) -> None:
    stream = Engine(one_pass(), recogniser).open_stream()
    assert stream.push([]) == []
    assert stream.finish(INFO).tracks == ()


def test_a_stream_tells_who_is_followed_in_each_frame(recogniser: Recogniser) -> None:
    stream = Engine(top_down(), recogniser).open_stream()
    followed = stream.push(list(frames(0.4)))
    assert [poses.track_ids.tolist() for poses in followed] == [[1]] * 5


def test_memory_does_not_grow_with_the_stream(recogniser: Recogniser) -> None:
    stream = Engine(one_pass(), recogniser).open_stream()
    held = []
    for frame in frames(20):
        stream.push([frame])
        people = stream._reader._windower._people.values()
        held.append(sum(len(one.times_s) for one in people) + len(stream._reader._waiting))
    assert max(held[100:]) <= max(held[:100])


def test_two_interleaved_streams_give_what_each_gives_alone(recogniser: Recogniser) -> None:
    poses = one_pass(raising), one_pass(walking)
    alone = [run(Engine(pose, recogniser).open_stream()) for pose in poses]
    streams = [Engine(pose, recogniser).open_stream() for pose in poses]
    for pair in zip(frames(5), frames(5), strict=True):
        for stream, frame in zip(streams, pair, strict=True):
            stream.push([frame])
    assert [summary(stream.finish(INFO)) for stream in streams] == [summary(recognition) for recognition in alone]


def test_one_engine_serves_several_threads(recogniser: Recogniser) -> None:
    engine = Engine(one_pass(), recogniser)
    answers: list[Recognition] = []
    threads = [threading.Thread(target=lambda: answers.append(run(engine.open_stream()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [summary(answer) for answer in answers] == [summary(run(engine.open_stream()))] * 3


def run(stream: Stream) -> Recognition:
    for frame in frames(5):
        stream.push([frame])
    return stream.finish(INFO)


def clip_of(tracks: Sequence[Track], times_s: np.ndarray, *, layout: Layout = COCO17) -> SkeletonClip:
    """Make the clip that a client would send of what was seen before."""
    keypoints = np.zeros((len(times_s), len(tracks), 17, 2), np.float32)
    scores = np.zeros(keypoints.shape[:-1], np.float32)
    for place, track in enumerate(tracks):
        assert track.trajectory is not None
        seen = np.searchsorted(times_s, track.trajectory.times_s - 1e-6)
        keypoints[seen, place], scores[seen, place] = track.trajectory.keypoints, track.trajectory.scores
    keypoints, scores = map_joints(keypoints, scores, COCO17.joints, layout)
    return make_clip(keypoints, times_s, scores=scores, layout=layout, track_ids=[one.track_id for one in tracks])


def test_keypoints_sent_back_are_recognised_alike(film: bytes, recogniser: Recogniser) -> None:
    engine = Engine(one_pass(), recogniser)
    seen = recognise(film, one_pass(), recogniser, Options(keypoints=True))
    again = engine.recognise_skeletons(clip_of(seen.tracks, np.arange(50) / 10))
    assert summary(again) == summary(seen)
    assert [one.segments for one in again.tracks] == [one.segments for one in seen.tracks]


def test_skeletons_of_another_layout_are_understood(film: bytes, recogniser: Recogniser) -> None:
    seen = recognise(film, one_pass(), recogniser, Options(keypoints=True))
    clip = clip_of(seen.tracks, np.arange(50) / 10, layout=LAYOUTS["penn13"])
    assert summary(Engine(one_pass(), recogniser).recognise_skeletons(clip)) == summary(seen)


def test_people_sent_keep_the_numbers_they_came_with(recogniser: Recogniser) -> None:
    pair = np.stack([np.stack([make_figure(x=80), make_figure(x=240)])] * 31)
    clip = make_clip(pair, make_times(2), track_ids=[12, 5])
    tracks = Engine(one_pass(), recogniser).recognise_skeletons(clip, Options(keypoints=True)).tracks
    assert [one.track_id for one in tracks] == [5, 12]
    assert [float(one.trajectory.keypoints[0, 0, 0]) for one in tracks if one.trajectory] == [240, 80]


def test_two_people_of_one_number_are_refused(recogniser: Recogniser) -> None:
    clip = make_clip(np.zeros((3, 2, 17, 2)), [0.0, 0.1, 0.2], track_ids=[4, 4])
    with pytest.raises(ValueError, match=r"track_ids: expected a different one for each person, got \[4, 4\]"):
        Engine(one_pass(), recogniser).recognise_skeletons(clip)


def test_boxes_of_skeletons_are_around_what_was_seen(recogniser: Recogniser) -> None:
    scores = np.ones((31, 17), np.float32)
    scores[:, COCO17.index("nose")] = 0
    figure = make_figure()
    figure[COCO17.index("nose")] = -1e6
    clip = make_clip(np.stack([figure] * 31), make_times(2), scores=scores)
    (track,) = Engine(one_pass(), recogniser).recognise_skeletons(clip, Options(keypoints=True)).tracks
    assert track.trajectory is not None
    assert track.trajectory.boxes_xyxy[0].tolist() == [*figure[1:].min(axis=0), *figure[1:].max(axis=0)]


@pytest.mark.parametrize(
    ("num_frames", "num_people"), [(0, 0), (0, 2), (1, 1), (30, 0)], ids=["nothing", "no frame", "one frame", "nobody"]
)
def test_skeletons_of_nobody_are_no_track(recogniser: Recogniser, num_frames: int, num_people: int) -> None:
    clip = make_clip(np.ones((num_frames, num_people, 17, 2)), np.arange(num_frames) / 15, bounds_s=(0, 2))
    recognition = Engine(one_pass(), recogniser).recognise_skeletons(clip)
    assert recognition.tracks == ()
    assert recognition.video.frames == num_frames


def test_skeletons_say_how_long_they_are_and_how_fast(recogniser: Recogniser) -> None:
    clip = replace(make_clip(np.stack([make_figure()] * 31), make_times(2)), size_wh=(640, 480))
    video = Engine(one_pass(), recogniser).recognise_skeletons(clip).video
    assert (video.frames, video.width, video.height) == (31, 640, 480)
    assert (video.fps, video.duration_s) == pytest.approx((15, 31 / 15))


@pytest.mark.timeout(10)
def test_skeletons_with_a_long_pause_are_answered_at_once(recogniser: Recogniser) -> None:
    times_s = np.concatenate([make_times(3), make_times(3, start_s=1e6)])
    clip = make_clip(np.stack([make_figure(arms_up=1.0)] * len(times_s)), times_s)
    (track,) = Engine(one_pass(), recogniser).recognise_skeletons(clip).tracks
    assert [(round(one.start_s), round(one.end_s)) for one in track.segments] == [(0, 3), (1000000, 1000003)]


@pytest.mark.parametrize("pose", [one_pass(), top_down()], ids=["one pass", "top-down"])
def test_warming_up_runs_every_network_once(recogniser: Recogniser, pose: FakePose) -> None:
    pose.scene = empty
    Engine(pose, recogniser).warm_up()
    assert len(pose.found_s) == 1
    assert [len(boxes) for boxes in pose.boxes] == ([1] if pose.needs_boxes else [])


def test_an_engine_is_loaded_by_name(tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny")
    engine = load_engine(model="tiny", pose="movenet", threads=1, model_folders=[tmp_path])
    assert (engine.recogniser.bundle.name, engine.pose.name) == ("tiny", "movenet")


def test_an_unknown_pose_backend_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny")
    with pytest.raises(ValueError, match=r"unknown pose backend 'openpose': expected one of .*movenet"):
        load_engine(model="tiny", pose="openpose", model_folders=[tmp_path])


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    for name in ("big", "small"):
        write_bundle(tmp_path / name, make_card(name=name))
    with pytest.raises(UnknownModel, match=r"unknown model 'tiny': expected one of big, (everyday, )?small"):
        bundle_named("tiny", [tmp_path])


def test_without_any_model_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_bundles", lambda folders: {})
    with pytest.raises(UnknownModel, match=r"expected one of \(none installed\)"):
        bundle_named("tiny")
