"""Measuring, on generated videos and with stand-ins for the processes that are measured."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.actions import DEFAULT_OPTIONS, Options
from pipeline.benchmark import Cost, describe_machine, loop_video, measure, measure_lengths, peak_memory, time_python
from pipeline.engine import Engine
from pipeline.errors import NotAVideo
from pipeline.values import Recognition
from pipeline.video import Video, open_video


class FakeEngine(Engine):
    """Decodes for real and takes as long as it takes."""

    def __init__(self) -> None:
        """Need neither a pose backend nor a recogniser."""

    def recognise(
        self, video: Video, options: Options = DEFAULT_OPTIONS, *, on_progress: Callable[[float], None] | None = None
    ) -> Recognition:
        for _ in video.frames():
            pass
        return Recognition(video.info, (), {"decode": 1.0, "recognise": 6.0}, windows=4)


@pytest.fixture(params=["mp4", "matroska", "avi"])
def clip(request: pytest.FixtureRequest, tmp_path: Path, make_video: Callable[..., bytes]) -> Path:
    path = tmp_path / f"clip.{request.param}"
    path.write_bytes(make_video(num_frames=12, fps=10, container=request.param))
    return path


def test_a_looped_video_has_every_frame_as_often_as_it_is_played(clip: Path, tmp_path: Path) -> None:
    looped = tmp_path / "looped.mkv"
    loop_video(clip, looped, times=3)
    with open_video(looped) as video:
        times_s = [frame.time_s for frame in video.frames()]
    assert len(times_s) == 36
    assert times_s == pytest.approx([place / 10 for place in range(36)], abs=0.002)


def test_what_is_no_video_cannot_be_looped(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("no video at all")
    with pytest.raises(NotAVideo, match=r"letter\.txt"):
        loop_video(letter, tmp_path / "looped.mkv", times=2)


def test_a_measured_video_is_told_by_its_frames_and_seconds(clip: Path) -> None:
    cost = measure(FakeEngine(), clip, repeats=3)
    assert cost.frames == 12
    assert cost.frames_per_s == pytest.approx(12 / cost.wall_s)
    assert cost.realtime_factor == pytest.approx(cost.duration_s / cost.wall_s)
    assert cost.stages_ms == {"decode": 1.0, "recognise": 6.0}
    assert cost.window_ms == 1.5


def test_each_length_is_measured_in_a_process_that_is_given_the_looped_file(clip: Path) -> None:
    report = (
        "import json, os, sys; json.dump({'duration_s': 1.2, 'frames': 12, 'wall_s': 0.1, 'stages_ms': {}, "
        "'peak_bytes': os.path.getsize(sys.argv[1])}, sys.stdout)"
    )
    costs = list(measure_lengths(clip, [1, 4], [sys.executable, "-c", report]))
    assert [times for times, _ in costs] == [1, 4]
    assert costs[1][1].peak_bytes > costs[0][1].peak_bytes


def test_a_cost_survives_the_way_from_process_to_process() -> None:
    cost = Cost(1.0, 10, 0.5, {"pose": 400.0}, 2**20, 3)
    fields = {name: getattr(cost, name) for name in Cost.__slots__}
    assert Cost(**json.loads(json.dumps(fields))) == cost


def test_peak_memory_counts_what_was_held_for_a_moment() -> None:
    size = peak_memory()
    held = bytearray(b"x") * size
    assert peak_memory() >= len(held)
    del held
    assert peak_memory() >= size


def test_a_python_that_does_nothing_takes_some_time() -> None:
    assert 0 < time_python(["-c", "pass"], repeats=2) < 5


def test_a_machine_is_described_by_its_cores() -> None:
    machine = describe_machine()
    assert machine.cores >= 1
    assert str(machine).startswith(f"{machine.cores} cores of {machine.processor}")
