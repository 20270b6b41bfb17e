"""A whole video with what was recognised drawn on it."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.draw import annotate, caption_at, people_at
from pipeline.errors import NotAVideo
from pipeline.layouts import COCO17, PENN13
from pipeline.values import Recognition, Segment, Track, Trajectory, VideoInfo
from pipeline.video import open_video

VideoMaker = Callable[..., bytes]
CLIP = VideoInfo(duration_s=1.0, fps=30.0, frames=30, width=160, height=120)


def segment(label: str, start_s: float, end_s: float, *, score: float = 0.87) -> Segment:
    return Segment(label, 0, score, start_s, end_s, ())


def track(
    times_s: list[float], *, segments: tuple[Segment, ...] = (), num_joints: int = 17, track_id: int = 1
) -> Track:
    """A person whose joints all move right by 100 px a second from (40, 90)."""
    times = np.array(times_s)
    keypoints = np.tile(np.array([40.0, 90.0]), (len(times), num_joints, 1))
    keypoints[..., 0] += 100 * times[:, None]
    boxes_xyxy = np.concatenate([keypoints[:, 0] - 10, keypoints[:, 0] + 10], axis=1)
    trajectory = Trajectory(
        times,
        keypoints.astype(np.float32),
        np.ones((len(times), num_joints), np.float32),
        boxes_xyxy.astype(np.float32),
    )
    return Track(track_id, times_s[0], times_s[-1], segments, trajectory)


def samples(start_s: float, end_s: float, fps: float = 15.0) -> list[float]:
    return np.arange(start_s, end_s + 1e-6, 1 / fps).tolist()


def marked_frames(path: Path) -> list[bool]:
    """Tell which frames have colour in their lower half, which the source lacks."""
    with open_video(path) as video:
        return [float(np.ptp(frame.image[62:].astype(int), axis=2).max()) > 40 for frame in video.frames()]


def test_between_samples_people_are_where_they_would_be() -> None:
    poses = people_at([track([0.0, 0.1, 0.2])], 0.15, 17)

    assert poses.track_ids.tolist() == [1]
    assert poses.keypoints[0] == pytest.approx(np.tile([55.0, 90.0], (17, 1)), abs=1e-4)
    assert poses.boxes_xyxy[0] == pytest.approx([45, 80, 65, 100], abs=1e-4)


@pytest.mark.parametrize(
    ("time_s", "is_there"), [(0.0, True), (0.95, True), (1.05, True), (1.5, False), (1.95, True), (3.2, False)]
)
def test_a_gap_is_not_bridged(time_s: float, is_there: bool) -> None:
    walker = track([*samples(0.0, 1.0), *samples(2.0, 3.0)])

    assert len(people_at([walker], time_s, 17)) == int(is_there)


def test_a_joint_seen_in_one_sample_alone_is_not_mixed_with_nothing() -> None:
    walker = track([0.0, 0.2])
    assert walker.trajectory is not None
    walker.trajectory.scores[1, 5] = 0.0
    walker.trajectory.keypoints[1, 5] = 0.0

    early, late = people_at([walker], 0.05, 17), people_at([walker], 0.15, 17)

    assert early.keypoints[0, 5] == pytest.approx([40.0, 90.0])
    assert (early.scores[0, 5], late.scores[0, 5]) == (1.0, 0.0)


def test_nobody_is_an_empty_value() -> None:
    assert len(people_at([], 0.0, 17)) == 0
    assert people_at([track([0.0, 0.1])], 9.0, 17).keypoints.shape == (0, 17, 2)


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [
        (0.0, "1"),
        (0.2, "1 jumping jack 87%"),
        (0.39, "1 jumping jack 87%"),
        (0.4, "1"),
        (0.6, "1 walk 70%"),
        (0.7, "1 wave 90%"),
        (0.85, "1"),
    ],
)
def test_a_label_is_shown_only_while_its_segment_runs(time_s: float, expected: str) -> None:
    segments = (
        segment("jumping_jack", 0.2, 0.4),
        segment("walk", 0.6, 0.8, score=0.7),
        segment("wave", 0.7, 0.8, score=0.9),
    )

    assert caption_at(track([0.0, 1.0], segments=segments), time_s) == expected


def test_the_annotated_video_keeps_size_rate_times_and_colours(make_video: VideoMaker, tmp_path: Path) -> None:
    content = make_video(num_frames=30, size_wh=(160, 120), fps=Fraction(30000, 1001))
    out = tmp_path / "out.mp4"

    annotate(content, Recognition(CLIP, (track(samples(0, 1)),)), COCO17, out)

    with open_video(content) as source, open_video(out) as result:
        before, after = list(source.frames()), list(result.frames())
    assert [frame.time_s for frame in after] == pytest.approx([frame.time_s for frame in before], abs=1e-4)
    assert (result.info.width, result.info.height, result.info.frames) == (160, 120, 30)
    assert result.info.fps == pytest.approx(29.97, abs=0.01)
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.image[:40].astype(int) - other.image[:40]).mean() < 3


def test_uneven_times_are_kept(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"

    annotate(make_video(num_frames=4, pts=[0, 1, 10, 40]), Recognition(CLIP, ()), COCO17, out)

    with open_video(out) as result:
        assert [frame.time_s for frame in result.frames()] == pytest.approx([0, 1 / 30, 10 / 30, 40 / 30], abs=1e-4)


def test_browsers_can_play_it_while_it_loads(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"

    annotate(make_video(num_frames=5), Recognition(CLIP, ()), COCO17, out)

    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(out) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")


def test_without_h264_it_is_mpeg4(make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    out = tmp_path / "out.mp4"

    annotate(make_video(num_frames=5), Recognition(CLIP, ()), COCO17, out)

    with av.open(out) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(container.decode(video=0))) == 5


def test_odd_sides_are_made_even(make_video: VideoMaker, tmp_path: Path) -> None:
    content = make_video(num_frames=2, size_wh=(95, 63), container="webm")
    out = tmp_path / "out.mp4"

    annotate(content, Recognition(CLIP, ()), COCO17, out)

    with open_video(content) as source, open_video(out) as result:
        assert ((source.info.width, source.info.height), (result.info.width, result.info.height)) == (
            (95, 63),
            (96, 64),
        )


def test_a_rotated_video_is_annotated_upright(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"

    annotate(make_video(num_frames=2, rotation=90), Recognition(CLIP, ()), COCO17, out)

    with open_video(out) as result:
        frame = next(result.frames())
    assert frame.size_wh == (64, 96)
    assert frame.image[-4, 4, 0] > 240


def test_people_are_drawn_while_they_are_seen_and_at_no_other_time(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    content = make_video(num_frames=30, size_wh=(160, 120))

    annotate(content, Recognition(CLIP, (track(samples(0.4, 0.6)),)), COCO17, out)

    marked = marked_frames(out)
    assert all(marked[12:19])
    assert not any(marked[:8])
    assert not any(marked[23:])


@pytest.mark.parametrize(
    ("people", "said"),
    [
        (Track(3, 0.0, 1.0, ()), "track 3 has no keypoints.*keypoints=True"),
        (track([0.0, 0.1], num_joints=17), "track 1 has 17 joints, penn13 has 13"),
    ],
    ids=["no-keypoints", "other-layout"],
)
def test_what_cannot_be_drawn_is_said_before_anything_is_written(people: Track, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        annotate(b"", Recognition(CLIP, (people,)), PENN13, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_the_source_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NotAVideo):
        annotate(b"text", Recognition(CLIP, ()), COCO17, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_is_only_replaced_by_a_whole_one(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"older")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.draw.draw_people", fail)
    with pytest.raises(KeyboardInterrupt):
        annotate(make_video(num_frames=3), Recognition(CLIP, ()), COCO17, out)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.mp4", b"older")]


def test_real_clips_keep_their_frames_and_the_shape_of_their_pixels(shared: Path, tmp_path: Path) -> None:
    names = ("stgcn_clean_and_jerk.mp4", "mmpose_demo.mp4")
    entries = {entry["file"]: entry for entry in json.loads((shared / "videos" / "manifest.json").read_text())}
    for name in names:
        source, out = shared / "videos" / name, tmp_path / name
        annotate(source, Recognition(CLIP, (track(samples(0, 1)),)), COCO17, out)
        with open_video(source) as before, open_video(out) as after:
            assert after.pixel_aspect == before.pixel_aspect
            assert len(list(after.frames(max_side=32))) == entries[name]["frames"]
            assert after.info.duration_s == pytest.approx(entries[name]["seconds"], abs=0.05)
