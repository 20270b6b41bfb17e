"""Clips become labelled skeletons: the main people, evenly in time, one after another or several at a time."""

import importlib
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import COCO17, FakePose, Scene, make_figure
from footage import cut_film, write_film

from pipeline.errors import DataError
from pipeline.values import F32, Track, Trajectory
from training import extraction, sightings
from training.conversion import convert
from training.extraction import extract, main_tracks, sequence_of
from training.sightings import Extraction, Sighting
from training.sources.clips import open_clips
from training.sources.registry import Dropped, Footage, LabelledClip, LabelledSequence


def standing(time_s: float) -> list[F32]:
    return [make_figure(x=160, torso=50, arms_up=0.5 + 0.5 * math.sin(4 * time_s))]


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], FakePose]:
    """Let a scene be what every pose backend sees."""

    def show(scene: Scene) -> FakePose:
        pose = FakePose(scene)
        monkeypatch.setattr(sightings, "pose_backend", lambda name, **_: pose)
        return pose

    return show


@pytest.fixture
def films(tmp_path: Path) -> Footage:
    """Three clips of two labels, and something else."""
    for number, name in enumerate(("squat/a.mp4", "squat/b.mp4", "wave/c.mp4")):
        write_film(tmp_path / "films" / name, seconds=1.2, shade=40 + 20 * number)
    (tmp_path / "films" / "wave" / "notes.txt").write_text("Dear reader")
    return open_clips(tmp_path / "films")


@pytest.fixture
def settings(tmp_path: Path) -> Extraction:
    return Extraction(cache=tmp_path / "cache")


def make_track(
    track_id: int = 1, *, times_s: Sequence[float] = tuple(np.arange(30) / 15), size: float = 50.0, x: float = 0.0
) -> Track:
    """Return somebody who moves a px to the right each frame."""
    num = len(times_s)
    keypoints = np.zeros((num, 17, 2), np.float32)
    keypoints[..., 0] = x + np.asarray(times_s, np.float32)[:, None] * 15
    boxes = np.tile(np.array([0, 0, size, size], np.float32), (num, 1))
    seen = Trajectory(np.array(times_s), keypoints, np.full((num, 17), 0.8, np.float32), boxes)
    return Track(track_id, times_s[0], times_s[-1], (), seen)


CLIP = LabelledClip(id="one", label="walk", path=Path("one.mp4"), subject=7, splits={"given": True})


def sequence(*tracks: Track, people: int = 1, fps: float = 15.0) -> LabelledSequence:
    made = sequence_of(CLIP, Sighting((320, 240), fps, tracks), layout=COCO17, people=people)
    assert isinstance(made, LabelledSequence)
    return made


def test_a_sequence_is_what_was_seen_of_the_main_person() -> None:
    made = sequence(make_track())
    assert (made.id, made.label, made.fps, made.size_wh) == ("one", "walk", 15.0, (320, 240))
    assert (made.subject, made.splits) == (7, {"given": True})
    assert made.keypoints.shape == (30, 1, 17, 2)
    assert made.keypoints[:, 0, 0, 0].tolist() == pytest.approx(list(range(30)), abs=1e-4)
    assert made.scores == pytest.approx(0.8)


def test_looks_at_odd_times_become_even_frames() -> None:
    looks = [0.0, 0.08, 0.12, 0.2, 0.28, 0.32, 0.4, 0.48, 0.52, 0.6, 0.68, 0.72, 0.8]  # 25 frames/s, thinned to 15
    made = sequence(make_track(times_s=looks))
    assert made.keypoints[:, 0, 0, 0].tolist() == pytest.approx(list(range(13)), abs=1e-4)


def test_a_short_gap_is_bridged_and_a_long_one_is_nobody() -> None:
    times = [*np.arange(15) / 15, *(2.6 + np.arange(15) / 15)]
    made = sequence(make_track(times_s=[time for time in times if not 0.3 < time < 0.6]))
    there = (made.scores > 0).all(axis=(1, 2))
    assert there[:15].all()
    assert not there[18:36].any()
    assert there[39:].all()


def test_a_sequence_begins_and_ends_with_its_people() -> None:
    made = sequence(make_track(times_s=2 + np.arange(30) / 15))
    assert len(made.keypoints) == 30
    assert made.keypoints[0, 0, 0, 0] == pytest.approx(30)


def test_the_main_people_are_those_who_are_large_for_long() -> None:
    brief = make_track(1, times_s=tuple(np.arange(12) / 15), size=100)
    small, large = make_track(2, size=20), make_track(3, size=60)
    assert [track.track_id for track in main_tracks([brief, small, large], 3)] == [3, 1, 2]
    assert [track.track_id for track in main_tracks([brief, small, large], 1)] == [3]


def test_several_people_stand_in_one_sequence_the_main_one_first() -> None:
    late = make_track(2, times_s=1 + np.arange(30) / 15, size=20, x=500)
    made = sequence(make_track(1), late, people=3)
    assert made.keypoints.shape == (45, 3, 17, 2)
    assert (made.scores > 0).any(axis=2).sum(axis=0).tolist() == pytest.approx([31, 31, 0], abs=1)
    assert made.keypoints[20, 0, 0, 0] < 100 < made.keypoints[20, 1, 0, 0]


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ((), "nobody was found in it"),
        ((make_track(times_s=tuple(np.arange(9) / 15)),), "it is too short: nobody was seen for 0.7 s or more"),
        ((make_track(times_s=(0.0, 0.5, 1.0)),), "it is too short"),
    ],
    ids=["nobody", "brief", "few looks"],
)
def test_a_clip_with_nothing_to_recognise_is_dropped_with_the_reason(tracks: tuple[Track, ...], reason: str) -> None:
    dropped = sequence_of(CLIP, Sighting((320, 240), 15.0, tracks), layout=COCO17, people=1)
    assert isinstance(dropped, Dropped)
    assert dropped.reason.startswith(reason)


def test_footage_is_opened_as_a_data_set(
    films: Footage, settings: Extraction, see: Callable[[Scene], FakePose]
) -> None:
    see(standing)
    opened = extract(films, settings)
    parts = list(opened.sequences)
    assert (opened.layout, opened.classes, opened.total) == (COCO17, ("squat", "wave"), 4)
    assert [part.id for part in parts] == ["squat/a.mp4", "squat/b.mp4", "wave/c.mp4", "wave/notes.txt"]
    assert [isinstance(part, Dropped) for part in parts] == [False, False, False, True]
    assert isinstance(parts[3], Dropped)
    assert parts[3].reason.startswith("it cannot be decoded: notes.txt holds text; expected a video")


def test_whoever_was_stopped_goes_on_and_comes_to_the_same(
    films: Footage, settings: Extraction, see: Callable[[Scene], FakePose], tmp_path: Path
) -> None:
    see(standing)
    unbroken = Extraction(cache=tmp_path / "elsewhere")
    convert(extract(films, unbroken), tmp_path / "unbroken.npz")
    looks = [0]

    def stopped(time_s: float) -> list[F32]:
        looks[0] += 1
        if looks[0] > 25:  # of 18 a clip
            raise KeyboardInterrupt
        return standing(time_s)

    see(stopped)
    with pytest.raises(KeyboardInterrupt):
        convert(extract(films, settings), tmp_path / "set.npz")
    assert not list(tmp_path.glob("*set.npz*"))
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
    pose = see(standing)
    convert(extract(films, settings), tmp_path / "set.npz")
    assert len(pose.found_s) == 36  # the first clip was not looked at again
    assert (tmp_path / "set.npz").read_bytes() == (tmp_path / "unbroken.npz").read_bytes()


@pytest.mark.slow
def test_a_process_that_is_killed_is_said_to_be(
    films: Footage, settings: Extraction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("import os, signal", "def die(clips, settings):", "    os.kill(os.getpid(), signal.SIGKILL)")
    (tmp_path / "deadly.py").write_text("\n".join(lines))  # a module that other processes can import
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extraction, "_find_in_a_process", importlib.import_module("deadly").die)
    with pytest.raises(DataError, match="a process that looked for people was killed, perhaps for want of memory"):
        list(extract(films, replace(settings, jobs=2)).sequences)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """Two pieces each of two real clips, in folders by what they show."""
    root = tmp_path_factory.mktemp("real") / "clips"
    for label, name in (("squat", "web_squat_rohan.mp4"), ("clean_and_jerk", "stgcn_clean_and_jerk.mp4")):
        for number in range(2):
            start_s = 2.0 * number
            cut_film(shared / "videos" / name, root / label / f"{number}.mp4", start_s=start_s, end_s=start_s + 1.2)
    return root


@pytest.mark.slow
def test_several_processes_find_what_one_finds(real: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        settings = Extraction(cache=tmp_path / f"cache-{jobs}", jobs=jobs)
        convert(extract(open_clips(real), settings), tmp_path / f"{jobs}.npz")
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


@pytest.mark.slow
def test_a_command_that_was_killed_leaves_only_what_is_finished_and_goes_on(real: Path, tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "set.npz"
    command = [sys.executable, "-m", "marey", "data", "convert", "clips", str(real), "--out", str(out)]
    with subprocess.Popen([*command, "--cache", str(cache)]) as process:
        while process.poll() is None and not list(cache.rglob("*.npz")):
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert 0 < len(kept) < 4
    subprocess.run([*command, "--cache", str(cache)], check=True, stdout=subprocess.DEVNULL)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    convert(extract(open_clips(real), Extraction(cache=tmp_path / "other")), tmp_path / "unbroken.npz", people=1)
    with np.load(out) as resumed, np.load(tmp_path / "unbroken.npz") as unbroken:
        assert all(np.array_equal(resumed[name], unbroken[name]) for name in unbroken.files if name != "report")
