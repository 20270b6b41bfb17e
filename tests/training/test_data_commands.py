"""The commands about data, run as ``marey`` runs them, on films in which a fake pose network sees somebody."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from factories import COCO17, FakePose, make_figure
from footage import write_film

import marey
from pipeline.values import F32
from training import sightings
from training.datasets.skeleton_set import read_arrays, read_converted
from training.sources import registry
from training.sources.registry import LabelledSequence, Opened

Say = Callable[..., SimpleNamespace]


def standing(time_s: float) -> list[F32]:
    return [make_figure(x=100, torso=50), make_figure(x=240, torso=30)]


@pytest.fixture(autouse=True)
def pose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePose:
    backend = FakePose(standing)
    monkeypatch.setattr(sightings, "pose_backend", lambda name, **_: backend)
    monkeypatch.setenv("MAREY_CACHE", str(tmp_path / "cache"))
    return backend


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run the command in this process; returns its exit code, standard output, and standard error on one line."""

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", "data", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "400")  # or long messages are folded in their box
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=" ".join(captured.err.split()))

    return run


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Five films each of two labels, and a letter."""
    for number in range(10):
        label = ("Squat", "tai chi")[number % 2]
        write_film(tmp_path / "films" / label / f"{number}.mp4", seconds=1.0, shade=20 * number)
    (tmp_path / "films" / "Squat" / "letter.txt").write_text("Dear reader")
    return tmp_path / "films"


@pytest.fixture
def converted(say: Say, films: Path, tmp_path: Path) -> Path:
    out = tmp_path / "set.npz"
    assert say("convert", "clips", films, "--out", out).code == 0
    return out


def test_a_folder_of_clips_becomes_a_file_and_says_what_was_dropped(say: Say, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "set.npz"
    said = say("convert", "clips", films, "--out", out)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[:2] == [f"{out}: 10 sequences, 150 frames", "dropped 1:"]
    assert lines[2].split(maxsplit=1)[0] == "1"
    assert lines[2].endswith(": Squat/letter.txt")
    read = read_converted(out, COCO17)
    assert (len(read), read.classes, read.keypoints.shape[1]) == (10, ("squat", "tai_chi"), 1)
    report = json.loads(str(read_arrays(out)["report"]))
    assert (report["source"], report["pose"], report["pose_fps"]) == ("clips", "movenet", 15.0)


def test_people_labels_and_cache_are_taken_from_the_command(
    say: Say, films: Path, tmp_path: Path, pose: FakePose
) -> None:
    out, cache = tmp_path / "set.npz", tmp_path / "elsewhere"
    (tmp_path / "labels.txt").write_text("Deep squat\nTai chi\n")
    options = ("--people", 2, "--labels", tmp_path / "labels.txt", "--cache", cache)
    assert say("convert", "clips", films, "--out", out, *options).code == 0
    read = read_converted(out, COCO17)
    assert (read.classes, read.keypoints.shape[1]) == (("deep_squat", "tai_chi"), 2)
    assert len(list(cache.rglob("*.npz"))) == 10
    looks = len(pose.found_s)
    assert say("convert", "clips", films, "--out", tmp_path / "again.npz", "--cache", cache).code == 0
    assert len(pose.found_s) == looks


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("clip", "FILMS"), marey.Exit.USAGE, "unknown source 'clip': expected one of clips"),
        (("clips", "FILMS", "--out", "set.zip"), marey.Exit.USAGE, "expected a name that ends in .npz"),
        (("clips", "nowhere"), marey.Exit.USAGE, "does not exist"),
        (("clips", "FILMS", "--jobs", "0"), marey.Exit.USAGE, "Invalid value for '--jobs'"),
        (("clips", "EMPTY"), marey.Exit.DATA, "expected a folder of clips for each label"),
        (("clips", "TABLE"), marey.Exit.DATA, "label missing"),
        (("skeletons", "FILMS", "--pose", "movenet"), marey.Exit.USAGE, "skeletons has skeletons already"),
        (("clips", "FILMS", "--labels", "LABELS"), marey.Exit.USAGE, "expected 2 labels, one a class, got 1"),
    ],
)  # fmt: skip
def test_wrong_usage_and_wrong_input_of_convert_are_told_apart_and_leave_nothing(
    say: Say,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    monkeypatch.setitem(registry._SOURCES._entries, "skeletons", lambda path: Opened(COCO17, ("wave",), iter(()), 0))
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("path,action\n")
    (tmp_path / "labels.txt").write_text("one\n")
    places = {
        "FILMS": films,
        "EMPTY": tmp_path / "empty",
        "TABLE": tmp_path / "table.csv",
        "LABELS": tmp_path / "labels.txt",
    }
    monkeypatch.chdir(tmp_path)
    out = () if "--out" in arguments else ("--out", tmp_path / "set.npz")
    said = say("convert", *(places.get(argument, argument) for argument in arguments), *out)
    assert said.code == code
    assert complaint in said.err
    assert not [path for path in tmp_path.iterdir() if "set" in path.name]


def test_a_file_that_is_there_is_found_out_before_anything_is_looked_at(
    say: Say, films: Path, tmp_path: Path, pose: FakePose
) -> None:
    (tmp_path / "set.npz").write_bytes(b"mine")
    said = say("convert", "clips", films, "--out", tmp_path / "set.npz")
    assert said.code == marey.Exit.USAGE
    assert "is there already: choose another name, or remove it first" in said.err
    assert not pose.found_s


def test_clips_in_which_nobody_is_make_no_file(say: Say, films: Path, tmp_path: Path, pose: FakePose) -> None:
    pose.scene = lambda _: []
    said = say("convert", "clips", films, "--out", tmp_path / "set.npz")
    assert said.code == marey.Exit.DATA
    assert "10 dropped, as nobody was found in it" in said.err
    assert not (tmp_path / "set.npz").exists()


def test_skeletons_of_others_are_converted_as_they_are(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = LabelledSequence(
        id="one",
        label="wave",
        keypoints=np.ones((4, 2, 17, 2), np.float32),
        scores=np.ones((4, 2, 17), np.float32),
        fps=30.0,
    )
    monkeypatch.setitem(
        registry._SOURCES._entries, "skeletons", lambda path: Opened(COCO17, ("wave",), iter([sequence]), 1)
    )
    assert say("convert", "skeletons", tmp_path, "--out", tmp_path / "set.npz").code == 0
    assert read_converted(tmp_path / "set.npz", COCO17).keypoints.shape == (4, 2, 17, 2)


def test_a_file_is_inspected_in_tables_or_in_json(say: Say, converted: Path) -> None:
    tables = say("inspect", converted)
    found = json.loads(say("inspect", converted, "--json").out)
    assert tables.code == 0
    for line in ("sequences  10", "layout     coco17", "frames/s   15", "tai_chi  5", "nose            100%"):
        assert line in tables.out
    assert found["classes"] == {"squat": 5, "tai_chi": 5}
    assert found["frames_a_sequence"] == {"least": 15.0, "median": 15.0, "most": 15.0}
    assert sum(found["dropped"].values()) == 1
    assert found["faults"] == []


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["tables", "JSON"])
def test_a_fault_has_an_exit_code(say: Say, write_set: Callable[..., Path], tmp_path: Path, form: tuple[str]) -> None:
    path = write_set(tmp_path / "set.npz", x=np.full((7, 13, 3), np.nan, np.float32))
    said = say("inspect", path, *form)
    assert said.code == marey.Exit.DATA
    assert "273 numbers in x are not finite" in said.err
    assert "273 numbers in x are not finite" in said.out


def test_a_file_is_split_by_share_by_subjects_and_by_ids(say: Say, converted: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("Squat/0.mp4\ntai chi/3.mp4\n")
    ways = {
        "share": ("--test-share", 0.2, "--seed", 3),
        "subjects": ("--subjects", "0, 4,6"),
        "ids": ("--ids", tmp_path / "ids.txt"),
    }
    for name, way in ways.items():
        assert say("split", converted, "--name", name, *way).code == 0
    arrays = read_arrays(converted)
    tested = {name: np.flatnonzero(arrays[f"split_{name}"] == 0).tolist() for name in ways}
    assert len(tested["share"]) == 2
    assert arrays["subject"][tested["subjects"]].tolist() == [0, 4, 6]
    assert [str(arrays["ids"][place]) for place in tested["ids"]] == ["Squat/0.mp4", "tai chi/3.mp4"]
    assert "split ids" in say("inspect", converted).out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--name", "my split", "--test-share", "0.2"), "--name 'my split': expected letters, digits and _"),
        (("--name", "test"), "expected one of --test-share, --subjects and --ids"),
        (("--name", "test", "--test-share", "0.2", "--subjects", "1"), "expected one of --test-share, --subjects"),
        (("--name", "test", "--test-share", "20"), "expected a share between 0 and 1, got 20.0"),
        (("--name", "test", "--subjects", "anna"), "expected whole numbers such as 1,3,5, got 'anna'"),
        (("--name", "test", "--subjects", "77"), "no sequence is of subject 77"),
        (("--test-share", "0.2"), "Missing option '--name'"),
    ],
)  # fmt: skip
def test_wrong_usage_of_split_is_said_to_be_that(
    say: Say, converted: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    before = converted.read_bytes()
    said = say("split", converted, *arguments)
    assert said.code == marey.Exit.USAGE
    assert complaint in said.err
    assert converted.read_bytes() == before


def test_a_preview_is_pictures(say: Say, converted: Path, tmp_path: Path) -> None:
    said = say("preview", converted, "--out", tmp_path / "sheets", "--count", 8)
    names = [str(tmp_path / "sheets" / f"sheet-{number}.png") for number in (1, 2)]
    assert said.out.splitlines() == names
    first, second = (cv2.imread(name) for name in names)
    assert first is not None
    assert second is not None
    assert first.shape[0] == 3 * second.shape[0]


def test_a_preview_of_an_unknown_label_says_which_there_are(say: Say, converted: Path, tmp_path: Path) -> None:
    said = say("preview", converted, "--out", tmp_path / "sheets", "--label", "hop")
    assert said.code == marey.Exit.USAGE
    assert "no label hop: expected some of squat, tai_chi" in said.err
    assert not (tmp_path / "sheets").exists()
