"""Decoding: upright frames, true times, limits, and files that are damaged."""

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import LimitExceeded, Undecodable, VideoError
from pipeline.values import Frame, VideoInfo
from pipeline.video import VideoLimits, open_video

VideoMaker = Callable[..., bytes]
UPRIGHT_CORNERS = {0: (0, 0), 90: (1, 0), 180: (1, 1), -90: (0, 1)}  # where the top-left corner goes, counterclockwise


def decode(content: bytes, **options: float) -> tuple[list[Frame], VideoInfo, tuple[str, ...]]:
    with open_video(content) as video:
        frames = list(video.frames(**options))  # type: ignore[arg-type]  # one dict for both options
        return frames, video.info, video.warnings


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "avi", "webm"])
def test_every_container_gives_all_frames_at_their_times(container: str, make_video: VideoMaker) -> None:
    frames, info, warnings = decode(make_video(num_frames=20, container=container))

    assert [frame.time_s for frame in frames] == pytest.approx([index / 30 for index in range(20)], abs=1e-3)
    assert [frame.index for frame in frames] == list(range(20))
    assert (info.frames, info.width, info.height) == (20, 96, 64)
    assert info.duration_s == pytest.approx(20 / 30, abs=2e-3)
    assert info.fps == pytest.approx(30, rel=5e-3)
    assert warnings == ()


def test_pictures_are_rgb_and_whole(make_video: VideoMaker) -> None:
    frames, _, _ = decode(make_video(num_frames=3))

    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.flags.c_contiguous
        assert frame.image[:28, :44].mean() == pytest.approx(255, abs=3)
        assert frame.image[36:, 52:].mean() == pytest.approx(40 + frame.index, abs=3)


def test_before_decoding_the_header_is_believed_and_afterwards_what_came(make_video: VideoMaker) -> None:
    content = make_video(num_frames=90, options={"movflags": "faststart"})
    with open_video(content[: len(content) // 2]) as video:
        assert (video.info.frames, video.info.duration_s) == (90, pytest.approx(3.0))
        frames = list(video.frames())
        assert video.info.frames == len(frames) < 60
        assert video.info.duration_s == pytest.approx(frames[-1].time_s + 1 / 30)
        assert any("ends early" in warning and "of 3.0 s" in warning for warning in video.warnings)


@pytest.mark.parametrize("container", ["matroska", "avi", "webm"])
def test_a_file_cut_off_in_the_middle_gives_what_it_has_and_says_so(container: str, make_video: VideoMaker) -> None:
    content = make_video(num_frames=90, size_wh=(160, 128), container=container)

    frames, info, warnings = decode(content[: len(content) * 2 // 3])

    assert 20 < len(frames) == info.frames < 75
    assert any("ends early" in warning for warning in warnings)


def test_damaged_frames_are_skipped_and_counted(make_video: VideoMaker, rng: np.random.Generator) -> None:
    content = bytearray(make_video(num_frames=120, size_wh=(160, 128)))
    start = content.index(b"mdat") + len(content) // 3
    content[start : start + 1500] = rng.bytes(1500)

    frames, info, warnings = decode(bytes(content))

    assert 50 < len(frames) == info.frames < 120
    assert any("damaged frame" in warning for warning in warnings)
    assert frames[-1].time_s == pytest.approx(119 / 30)


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "webm", "h264"])
@pytest.mark.parametrize("seed", range(6))
def test_random_damage_raises_nothing_but_video_errors(container: str, seed: int, make_video: VideoMaker) -> None:
    damage = np.random.default_rng(seed)
    content = bytearray(make_video(num_frames=20, container=container))
    for start in damage.integers(0, len(content), 12).tolist():
        content[start : start + 8] = damage.bytes(len(content[start : start + 8]))
    frames: list[Frame] = []

    with suppress(VideoError):
        frames, _, _ = decode(bytes(content))

    assert (np.diff([frame.time_s for frame in frames]) > 0).all()


def test_a_video_without_a_decodable_frame_is_undecodable(make_video: VideoMaker) -> None:
    content = bytearray(make_video(num_frames=5))
    start = content.index(b"mdat") + 4
    content[start : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - start)

    with pytest.raises(Undecodable, match="no frame of this h264 video"):
        open_video(bytes(content))


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotated_video_comes_upright(rotation: int, make_video: VideoMaker, tmp_path: Path) -> None:
    content = make_video(num_frames=2, rotation=rotation)
    path = tmp_path / "rotated.mp4"
    path.write_bytes(content)

    with open_video(content) as video:
        claimed_wh = (video.info.width, video.info.height)
        frame = next(video.frames())

    _, other_reader = cv2.VideoCapture(str(path)).read()  # turns by itself
    assert claimed_wh == frame.size_wh == ((64, 96) if rotation in (90, -90) else (96, 64))
    row, column = UPRIGHT_CORNERS[rotation]
    assert frame.image[-4 if row else 4, -4 if column else 4, 0] > 240
    assert np.abs(frame.image.astype(int) - other_reader[..., ::-1]).mean() < 3


@pytest.mark.parametrize(
    ("rotation", "flip", "corner"),
    [(0, "hflip", (0, 1)), (0, "vflip", (1, 0)), (90, "hflip", (1, 1)), (-90, "vflip", (1, 1))],
)
def test_mirrored_video_comes_upright(
    rotation: int, flip: str, corner: tuple[int, int], make_video: VideoMaker
) -> None:
    with open_video(make_video(num_frames=1, rotation=rotation, flips={flip: True})) as video:
        image = next(video.frames()).image

    corners = [
        (row, column) for row in (0, 1) for column in (0, 1) if image[-4 if row else 4, -4 if column else 4, 0] > 240
    ]
    assert corners == [corner]


def test_max_side_shrinks_the_longer_side_and_says_by_how_much(make_video: VideoMaker) -> None:
    content = make_video(num_frames=2, rotation=90)

    frames, info, _ = decode(content, max_side=48)

    assert [frame.size_wh for frame in frames] == [(32, 48)] * 2
    assert [frame.scale for frame in frames] == [0.5, 0.5]
    assert (info.width, info.height) == (64, 96)


def test_max_side_never_enlarges(make_video: VideoMaker) -> None:
    frames, _, _ = decode(make_video(num_frames=1), max_side=500)

    assert (frames[0].size_wh, frames[0].scale) == ((96, 64), 1.0)


def test_thinning_keeps_the_index_and_time_of_the_source(make_video: VideoMaker) -> None:
    frames, info, _ = decode(make_video(num_frames=30), fps=10.0)

    assert [frame.index for frame in frames] == list(range(0, 30, 3))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 10 for index in range(10)])
    assert info.frames == 30


def test_a_video_and_its_copy_at_half_the_rate_are_thinned_to_the_same_times(make_video: VideoMaker) -> None:
    whole, _, _ = decode(make_video(num_frames=60, fps=30), fps=15.0)
    half, _, _ = decode(make_video(num_frames=30, fps=15, container="matroska"), fps=15.0)

    assert [frame.time_s for frame in whole] == pytest.approx([frame.time_s for frame in half], abs=1e-3)


def test_frames_that_are_not_wanted_are_not_converted(make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []

    class CountingReformatter:
        def reformat(self, picture: av.VideoFrame, *size: object, **options: object) -> av.VideoFrame:
            converted.append(picture.pts)
            return picture.reformat(format="rgb24")

    monkeypatch.setattr("pipeline.video.VideoReformatter", CountingReformatter)
    decode(make_video(num_frames=30), fps=5.0)

    assert len(converted) == 5


def test_uneven_frame_times_are_kept(make_video: VideoMaker) -> None:
    frames, info, _ = decode(make_video(num_frames=4, pts=[0, 1, 10, 40]))

    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / 30, 10 / 30, 40 / 30])
    assert info.duration_s == pytest.approx(41 / 30, abs=0.01)


def test_a_stream_without_timestamps_is_counted_and_says_so(make_video: VideoMaker) -> None:
    frames, info, warnings = decode(make_video(num_frames=5, container="h264", fps=25))

    assert [frame.time_s for frame in frames] == pytest.approx([index / 25 for index in range(5)])
    assert info.frames == 5
    assert any("no times" in warning for warning in warnings)


def test_one_frame_is_a_video(make_video: VideoMaker) -> None:
    frames, info, warnings = decode(make_video(num_frames=1), fps=15.0)

    assert [frame.time_s for frame in frames] == [0.0]
    assert (info.frames, info.fps) == (1, pytest.approx(30))
    assert warnings == ()


def test_a_second_pass_is_refused(make_video: VideoMaker) -> None:
    with open_video(make_video(num_frames=2)) as video:
        list(video.frames())
        with pytest.raises(ValueError, match="open it again"):
            video.frames()


@pytest.mark.parametrize("options", [{"fps": 0.0}, {"fps": -1.0}, {"max_side": 0}])
def test_senseless_options_are_refused(options: dict[str, float], make_video: VideoMaker) -> None:
    with pytest.raises(ValueError, match="expected"):
        decode(make_video(num_frames=2), **options)


@pytest.mark.parametrize(
    ("limits", "limit", "said"),
    [
        (VideoLimits(max_seconds=0.5), "seconds", "1 seconds, 0.5 are allowed"),
        (VideoLimits(max_frames=29), "frames", "30 frames, 29 are allowed"),
        (VideoLimits(max_pixels=96 * 64 - 1), "pixels", "6144 pixels in a frame, 6143 are allowed"),
    ],
    ids=["seconds", "frames", "pixels"],
)
def test_a_claim_beyond_a_limit_is_refused_at_once(
    limits: VideoLimits, limit: str, said: str, make_video: VideoMaker
) -> None:
    with pytest.raises(LimitExceeded, match=said) as caught:
        open_video(make_video(num_frames=30), limits=limits)
    assert caught.value.limit == limit


@pytest.mark.parametrize(
    ("limits", "limit"),
    [(VideoLimits(max_seconds=0.5), "seconds"), (VideoLimits(max_frames=15), "frames")],
    ids=["seconds", "frames"],
)
def test_without_a_claim_the_limits_are_counted(limits: VideoLimits, limit: str, make_video: VideoMaker) -> None:
    seen: list[int] = []
    content = make_video(num_frames=30, container="h264")
    with open_video(content, limits=limits) as video, pytest.raises(LimitExceeded) as caught:
        seen.extend(frame.index for frame in video.frames())
    assert caught.value.limit == limit
    assert 12 <= len(seen) <= 16


def test_a_header_that_claims_two_hours_is_refused(make_video: VideoMaker) -> None:
    with pytest.raises(LimitExceeded, match="seconds") as caught:
        open_video(make_video(num_frames=2, fps=1, pts=[0, 7200]))
    assert caught.value.limit == "seconds"


@pytest.mark.parametrize(
    ("size_wh", "passes"),
    [pytest.param((4096, 2304), True, id="4k"), pytest.param((7680, 4320), False, id="8k", marks=pytest.mark.slow)],
)
def test_4k_passes_and_8k_does_not(size_wh: tuple[int, int], passes: bool, make_video: VideoMaker) -> None:
    content = make_video(num_frames=1, size_wh=size_wh, container="avi")
    if passes:
        with open_video(content) as video:
            assert next(video.frames(max_side=256)).size_wh == (256, 144)
    else:
        with pytest.raises(LimitExceeded, match="33177600 pixels in a frame, 9437184 are allowed"):
            open_video(content)


def test_progress_rises_to_one(make_video: VideoMaker) -> None:
    with open_video(make_video(num_frames=30)) as video:
        shares = [video.progress for _ in video.frames()]

    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(1 / 30)
    assert shares[-1] == pytest.approx(1.0)


def test_memory_does_not_grow_with_the_length(make_video: VideoMaker) -> None:
    content = make_video(num_frames=200)
    with open_video(content) as video:
        stream = video.frames()
        for _ in range(20):
            next(stream)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in stream:
            pass
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 10 * 96 * 64 * 3


def test_the_shape_of_pixels_is_told(make_video: VideoMaker) -> None:
    with open_video(make_video(num_frames=1)) as video:
        assert video.pixel_aspect == Fraction(1)


def test_the_real_clips_decode_to_what_their_manifest_says(shared: Path) -> None:
    for entry in json.loads((shared / "videos" / "manifest.json").read_text()):
        if entry["width"] * entry["frames"] > 160_000:
            continue  # the long ones take seconds
        with open_video(shared / "videos" / entry["file"]) as video:
            times_s = [frame.time_s for frame in video.frames(fps=15.0, max_side=64)]
            info = video.info
        assert (info.frames, info.width, info.height) == (entry["frames"], entry["width"], entry["height"])
        assert info.duration_s == pytest.approx(entry["seconds"], abs=0.05)
        assert info.fps == pytest.approx(entry["fps"], abs=0.01)
        assert times_s[0] == 0.0
        assert (np.diff(times_s) > 0).all()
        assert video.warnings == ()
