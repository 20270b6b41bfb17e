"""Whole clips are tried as an upload would be, and what is said of them is counted."""

import json
import re
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest
from factories import make_card
from footage import write_film

import marey
from pipeline.actions import DEFAULT_OPTIONS, Options
from pipeline.engine import Engine, load_engine
from pipeline.values import Recognition, Segment, Track
from pipeline.video import Video
from training.clip_trials import Tally, Trial, tally, try_clips
from training.sources.registry import Dropped, LabelledClip


class FakeRecogniser:
    card = make_card(("idle", "wave", "squat"), silent_labels=("idle",))


class FakeEngine(Engine):
    """Says the same of every clip: two people, one waves from 1 to 3 s, the other squats from 4 to 6 s."""

    def __init__(self) -> None:
        self.recogniser = FakeRecogniser()  # type: ignore[assignment]  # a card is all that is asked of it

    def recognise(
        self, video: Video, options: Options = DEFAULT_OPTIONS, *, on_progress: Callable[[float], None] | None = None
    ) -> Recognition:
        assert not options.explain
        said = (Segment("wave", 1, 0.9, 1.0, 3.0, ()), Segment("squat", 2, 0.9, 4.0, 6.0, ()))
        return Recognition(video.info, tuple(Track(place, 0.0, 7.0, (one,)) for place, one in enumerate(said)))


def clip_of(path: Path, label: str, start_s: float = 0.0, end_s: float = inf) -> LabelledClip:
    return LabelledClip(id=f"{label}/{path.name}", label=label, path=path, start_s=start_s, end_s=end_s)


def said(trial: Trial | Dropped) -> list[str]:
    assert isinstance(trial, Trial)
    return [segment.label for segment in trial.said]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_film(tmp_path / "clip.mp4", seconds=1.0)


def test_what_is_said_of_anybody_counts(video: Path) -> None:
    (trial,) = try_clips(FakeEngine(), [clip_of(video, "wave")])
    assert said(trial) == ["wave", "squat"]
    assert isinstance(trial, Trial)
    assert trial.is_known
    assert trial.is_right
    assert [segment.label for segment in trial.wrong] == ["squat"]


def test_of_a_part_counts_what_lies_in_it_by_half(video: Path) -> None:
    parts = [(0.0, 2.0), (2.1, 4.9), (2.0, 5.0), (6.0, inf)]
    trials = try_clips(FakeEngine(), [clip_of(video, "wave", *part) for part in parts])
    assert [said(trial) for trial in trials] == [["wave"], [], ["wave", "squat"], []]


def test_an_action_that_the_model_does_not_report_is_not_to_be_named(video: Path) -> None:
    (idle, juggling) = try_clips(FakeEngine(), [clip_of(video, "idle"), clip_of(video, "juggling")])
    for trial in (idle, juggling):
        assert isinstance(trial, Trial)
        assert not trial.is_known
        assert len(trial.wrong) == 2


def test_what_cannot_be_read_is_left_out_with_the_reason(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("no video at all")
    before = Dropped("other.mp4", "it lies in no label's folder")
    stray, broken = try_clips(FakeEngine(), [before, clip_of(letter, "wave")])
    assert stray is before
    assert isinstance(broken, Dropped)
    assert "letter.txt" in broken.reason


def test_all_is_counted(video: Path) -> None:
    clips = [clip_of(video, "wave", 0, 3.5), clip_of(video, "wave", 3.5, 8), clip_of(video, "juggling")]
    trials = [trial for trial in try_clips(FakeEngine(), clips) if isinstance(trial, Trial)]
    assert tally(trials) == Tally(clips=2, named=1, segments=4, wrong=3)
    assert tally([]) == Tally(0, 0, 0, 0)


def test_the_embedded_model_names_what_a_real_clip_shows(shared: Path) -> None:
    path = shared / "videos" / "stgcn_clean_and_jerk.mp4"
    (trial,) = try_clips(load_engine(), [clip_of(path, "clean_and_jerk")])
    assert isinstance(trial, Trial)
    assert trial.is_right
    assert not trial.wrong


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Try a table of two clips and a letter by the command; returns what it writes."""
    monkeypatch.setattr("training.benchmark_commands.load_engine", lambda **chosen: FakeEngine())
    for name in ("a.mp4", "b.mp4"):
        write_film(tmp_path / name, seconds=1.0)
    (tmp_path / "letter.txt").write_text("no video at all")
    table = tmp_path / "clips.csv"
    table.write_text("path,label,end_s\na.mp4,wave,3.5\nb.mp4,Juggling,3.5\nletter.txt,wave,\n")

    def run(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["marey", "benchmark", "clips", str(table), *options])
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        assert not ended.value.code, captured.err
        assert "letter.txt: left out, " in captured.err
        return captured.out

    return run


def test_the_command_counts_as_json(say: Callable[..., str]) -> None:
    assert json.loads(say("--json")) == {"clips": 1, "named": 1, "segments": 2, "wrong": 1}


def test_the_command_names_every_mistake(say: Callable[..., str]) -> None:
    out = say()
    assert "named 1 of 1 known actions; 1 of 2 names wrong" in out
    assert ["juggling", "1", "not known", "wave in b.mp4@0-3.5"] in [
        re.split(r"\s{2,}", line.strip()) for line in out.split("\n")
    ]
