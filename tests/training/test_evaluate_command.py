"""``marey evaluate``: figures in lines, in JSON and as a report; what it cannot do, it says."""

import csv
import json
import sys
from collections.abc import Callable
from math import isnan
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from factories import make_card, write_bundle

import marey
from training.comparison import Judged
from training.evaluate_command import write_report
from training.examples import divide, learned, read_sets
from training.loop import train
from training.recipes.registry import recipe_named
from training.runs import Run, changed
from training.scores import Outcome

Say = Callable[..., SimpleNamespace]
CLASSES = ["squat", "jumping_jacks", "golf_swing"]
FIGURES = {"top1", "top5", "mean_class_accuracy", "calibration_error", "negative_log_likelihood"}


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run ``marey evaluate`` in this process; returns exit code, standard output, standard error on one line."""

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", "evaluate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "400")  # or long messages are folded in their box
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=" ".join(captured.err.split()))

    return run


def start(folder: Path, name: str, data: Path, **settings: object) -> Path:
    recipe = recipe_named(name)
    sets = read_sets(changed(recipe, settings), data)
    run = Run.start(folder, name, learned(recipe, settings, sets))
    train(run.recipe, divide(run.recipe, sets).train, folder, workers=0)
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two trainings of the same on whole sequences."""
    folder = tmp_path_factory.mktemp("runs")
    one, other = (start(folder / f"seed{seed}", "tiny_sequences", data, seed=seed, epochs=8) for seed in (0, 1))
    return one, other


def test_a_run_is_judged_in_a_line_and_class_by_class(say: Say, runs: tuple[Path, Path], data: Path) -> None:
    said = say(runs[0], "--data", data)
    head, row, _, class_head, *classes = (line.split() for line in said.out.splitlines())
    assert said.code == 0
    assert head == ["sequences", "top-1", "top-5", "classes", "held", "out"]
    assert row[:2] == ["seed0", "12"]
    assert class_head == ["class", "sequences", "recall", "precision", "mistaken", "for"]
    assert [(line[0], line[1]) for line in classes] == [(name, "4") for name in CLASSES]


def test_json_has_the_same_figures(say: Say, runs: tuple[Path, Path], data: Path) -> None:
    (figures,) = json.loads(say(runs[0], "--data", data, "--json").out)
    row = say(runs[0], "--data", data).out.splitlines()[1].split()
    said = [figures[name] for name in ("top1", "top5", "mean_class_accuracy", "held_out_top1")]
    assert [float(cell) for cell in row[2:]] == pytest.approx(said, abs=1e-4)
    assert set(figures) == FIGURES | {"name", "sequences", "held_out_top1", "per_class"}
    assert figures["top5"] == 1.0  # of three classes
    assert [one["label"] for one in figures["per_class"]] == CLASSES


def test_runs_are_compared_and_fused(say: Say, runs: tuple[Path, Path], data: Path) -> None:
    one, other, fused = json.loads(say(*runs, "--data", data, "--fuse", "--json").out)
    assert [row["name"] for row in (one, other, fused)] == ["seed0", "seed1", "fused"]
    assert "weights" not in one
    assert sum(fused["weights"]) == pytest.approx(1)
    lines = say(*runs, "--data", data, "--fuse").out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["seed0", "seed1", "fused"]
    assert lines[4].startswith("weights: ")


def test_a_report_is_a_table_and_three_pictures_a_run(
    say: Say, runs: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    assert say(runs[0], "--data", data, "--out", tmp_path / "one").code == 0
    assert say(*runs, "--data", data, "--fuse", "--out", tmp_path / "both").code == 0
    files = {"per_class.csv", "confusion.png", "per_class.png", "reliability.png"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == files
    for name in ("seed0", "seed1", "fused"):
        assert {path.name for path in (tmp_path / "both" / name).iterdir()} == files
    with (tmp_path / "one" / "per_class.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["label"], row["count"]) for row in table] == [(name, "4") for name in CLASSES]


def test_a_class_without_a_test_sequence_has_no_recall(
    say: Say, runs: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    with np.load(data / "penn_action.npz") as archive:
        trains = archive["train"] | (archive["y"] == 2)
        np.savez(tmp_path / "part.npz", **{**archive, "train": trains})
    (figures,) = json.loads(say(runs[0], "--data", tmp_path / "part.npz", "--json").out)
    *tested, untested = figures["per_class"]
    assert (untested["count"], untested["recall"]) == (0, None)
    assert figures["mean_class_accuracy"] == pytest.approx(np.mean([row["recall"] for row in tested]))
    judged = Judged("a", Outcome(np.eye(3, dtype=np.float32)[:2], ("a", "b"), ("a", "b", "c")), None)
    write_report(judged, tmp_path / "report")
    with (tmp_path / "report" / "per_class.csv").open(newline="") as file:
        assert isnan(float(list(csv.DictReader(file))[2]["recall"]))


def test_a_run_of_windows_has_the_figures_of_a_card_or_is_judged_by_its_sequences(
    say: Say, data: Path, tmp_path: Path
) -> None:
    run = start(tmp_path / "run", "tiny", data, epochs=1, windows_per_epoch=32)
    assert "still_windows_called_idle" in json.loads(say(run, "--data", data, "--json").out)
    (figures,) = json.loads(say(run, "--data", data, "--out", tmp_path / "report", "--json").out)
    assert set(figures) >= FIGURES
    assert (tmp_path / "report" / "confusion.png").exists()


def test_runs_of_two_tasks_are_compared_but_not_fused(
    say: Say, runs: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    other = start(tmp_path / "other", "tiny", data, epochs=1, windows_per_epoch=32)
    assert say(runs[0], other, "--data", data).code == 0
    said = say(runs[0], other, "--data", data, "--fuse")
    assert said.code == marey.Exit.USAGE
    assert "expected runs of one task and split to fuse, not so in seed0, other" in said.err


def test_what_a_bundle_cannot_is_said(say: Say, runs: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", make_card()).folder
    for more in ((runs[0],), ("--fuse",), ("--out", tmp_path / "report")):
        said = say(bundle, *more, "--data", data)
        assert said.code == marey.Exit.USAGE
        assert "a bundle is measured by itself" in said.err
    assert not (tmp_path / "report").exists()


def test_what_cannot_be_fused_or_told_apart_is_said(
    say: Say, runs: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    alone = say(runs[0], "--data", data, "--fuse")
    assert (alone.code, "expected several runs to fuse, got seed0 alone" in alone.err) == (marey.Exit.USAGE, True)
    twice = say(runs[0], runs[0], "--data", data, "--out", tmp_path / "report")
    assert twice.code == marey.Exit.USAGE
    assert "expected runs of different names, got ['seed0', 'seed0']" in twice.err


def test_a_file_without_the_runs_split_is_said_to_be_that(say: Say, data: Path, tmp_path: Path) -> None:
    recipe = recipe_named("tiny_sequences")
    settings = learned(recipe, {"split": "xsub"}, read_sets(recipe, data))
    Run.start(tmp_path / "run", "tiny_sequences", settings)
    said = say(tmp_path / "run", "--data", data)
    assert said.code == marey.Exit.USAGE
    assert "penn_action has no split 'xsub': expected one of official" in said.err
