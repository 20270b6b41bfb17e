"""Real clips through the whole chain with the embedded model: what a user would say of them."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import pytest
from av.video.frame import PictureType
from av.video.stream import VideoStream

from pipeline.benchmark import loop_video
from pipeline.bundle import DEFAULT_MODEL, find_bundles
from pipeline.engine import Engine, Options, load_engine
from pipeline.values import Recognition, Segment
from pipeline.video import open_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Recognise = Callable[..., Recognition]
TOLERANCE_S = 0.3


@pytest.fixture(scope="module")
def engine() -> Engine:
    if DEFAULT_MODEL not in find_bundles():
        pytest.skip(f"needs the embedded model {DEFAULT_MODEL!r}: this would have checked what it says of a real clip")
    return load_engine(threads=2)


@pytest.fixture(scope="module")
def recognise(engine: Engine) -> Recognise:
    """Recognise a file; each only once."""

    @cache
    def run(path: Path, pose_fps: float = 15.0) -> Recognition:
        with open_video(path) as video:
            return engine.recognise(video, Options(pose_fps=pose_fps))

    return run


def main_action(recognition: Recognition) -> Segment:
    """Return the longest action of whoever was there for longest."""
    person = max(recognition.tracks, key=lambda track: track.end_s - track.start_s)
    return max(person.segments, key=lambda segment: segment.end_s - segment.start_s)


def transcode(source: Path, out: Path, *, codec: str, every: int = 1) -> None:
    """Encode every nth frame anew, hardly worse than it was."""
    with av.open(source) as reader, av.open(out, "w") as writer:
        taken = reader.streams.video[0]
        rate = Fraction(taken.average_rate or 30) / every
        stream = writer.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = taken.width, taken.height, "yuv420p"
        stream.options = {"qmin": "2", "qmax": "3"} if codec == "mpeg4" else {"crf": "12", "preset": "veryfast"}
        for index, picture in enumerate(reader.decode(taken)):
            if index % every == 0:
                picture.pts, picture.time_base = index // every, 1 / rate
                picture.pict_type = PictureType.NONE
                writer.mux(stream.encode(picture))
        writer.mux(stream.encode())


def copy_seconds(source: Path, out: Path, *, seconds: float) -> None:
    """Copy the beginning of a video without encoding it anew."""
    with av.open(source) as reader, av.open(out, "w") as writer:
        taken = reader.streams.video[0]
        stream = writer.add_stream_from_template(taken)
        for packet in reader.demux(taken):
            if packet.size and packet.pts is not None and float(packet.pts * packet.time_base) <= seconds:
                packet.stream = stream
                writer.mux(packet)


@pytest.mark.parametrize(
    ("clip", "label"), [("web_squat_rohan.mp4", "squat"), ("stgcn_clean_and_jerk.mp4", "clean_and_jerk")]
)
def test_what_somebody_does_is_recognised(shared: Path, recognise: Recognise, clip: str, label: str) -> None:
    assert main_action(recognise(shared / "videos" / clip)).label == label


def test_three_women_at_aerobics_are_three_people_from_start_to_end(shared: Path, recognise: Recognise) -> None:
    recognition = recognise(shared / "videos" / "felixchenfy_exercise.avi", 5.0)
    assert len(recognition.tracks) == 3
    assert all(track.end_s - track.start_s >= 0.9 * recognition.video.duration_s for track in recognition.tracks)


def test_nobody_is_in_the_empty_room_between_two_visitors(shared: Path, recognise: Recognise, tmp_path: Path) -> None:
    copy_seconds(shared / "videos" / "intel_one_by_one_person.mp4", tmp_path / "28s.mp4", seconds=28)
    recognition = recognise(tmp_path / "28s.mp4", 5.0)
    assert len(recognition.tracks) >= 2
    assert not [track for track in recognition.tracks if track.start_s < 22 and track.end_s > 20]


@pytest.mark.parametrize("variant", ["remuxed.mkv", "transcoded.avi", "half_rate.mp4"])
def test_the_answer_does_not_depend_on_the_file_that_carries_it(
    shared: Path, recognise: Recognise, tmp_path: Path, variant: str
) -> None:
    clip, copied = shared / "videos" / "stgcn_clean_and_jerk.mp4", tmp_path / variant
    if variant == "remuxed.mkv":
        loop_video(clip, copied, times=1)
    else:
        transcode(
            clip, copied, codec="mpeg4" if variant.endswith("avi") else "libx264", every=2 if "half" in variant else 1
        )
    action, other = main_action(recognise(clip)), main_action(recognise(copied))
    assert other.label == action.label
    assert (other.start_s, other.end_s) == pytest.approx((action.start_s, action.end_s), abs=TOLERANCE_S)
