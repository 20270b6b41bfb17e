"""``marey benchmark`` as it is run: a small table of small networks on a small set, from the command to the JSON."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import marey
from training.examples import divide, read_sets
from training.loop import train
from training.recipe import WindowRecipe
from training.runs import Run

Say = Callable[..., SimpleNamespace]
# CSTA-CNN's ablations as narrow as can be, on the benchmark recipe of Penn Action.
QUICK = ("--set", "epochs=1", "--set", "options.base_channels=2", "--set", "features.num_frames=30")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    """Run the command in this process; returns its exit code, standard output, and standard error on one line."""

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", "benchmark", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "400")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=" ".join(captured.err.split()))

    return run


def test_a_table_is_trained_and_shown_beside_the_paper_and_gone_on_with(say: Say, data: Path, tmp_path: Path) -> None:
    where = ("--table", "csta-cnn:3", "--data", data / "penn_action.npz", "--out", tmp_path / "out")
    said = say("papers", *where, "--runs", tmp_path / "runs", "--seeds", "0,1", *QUICK)
    assert said.code == 0, said.err
    title, columns, baseline, *rows = said.out.strip().splitlines()
    assert title == "csta-cnn, table 3: penn_action by recipe penn_action, 2 seeds"
    assert "ours %" in columns
    assert "paper % (uestc cs)" in columns
    assert "+-" in baseline
    assert "95.6" in baseline
    assert [row.split("  ")[0] for row in rows] == ["csta_cnn without st", "csta_cnn without s", "csta_cnn without t"]
    assert [f"{paper - 95.6:+.1f}" in row for paper, row in zip((95.1, 95.4, 95.2), rows, strict=True)] == [True] * 3

    table = json.loads((tmp_path / "out" / "csta-cnn-3-penn_action.json").read_text())
    again = say("papers", *where, "--runs", tmp_path / "runs", "--seeds", "0,1", *QUICK, "--json")
    assert json.loads(again.out) == [table]
    assert "epoch" not in again.err
    assert (table["paper"], table["data_set"], table["seeds"]) == ("csta-cnn", "penn_action", [0, 1])
    assert table["settings"]["epochs"] == 1
    first, *others = table["rows"]
    assert first["gain"] == first["paper_gain"] == 0
    assert [row["gain"] for row in others] == pytest.approx([row["ours"] - first["ours"] for row in others])
    assert all((tmp_path / "out" / f"{row['result']}.json").exists() for row in table["rows"])


def test_one_seed_has_no_spread(say: Say, data: Path, tmp_path: Path) -> None:
    where = ("--data", data, "--recipe", "penn_action", "--out", tmp_path / "out", "--runs", tmp_path / "runs")
    said = say("papers", "--table", "csta-cnn:2", *where, "--seeds", "3", *QUICK, "--json")
    assert said.code == 0, said.err
    ((row,),) = [table["rows"] for table in json.loads(said.out)]
    assert row["spread"] is None
    assert 0 <= row["ours"] <= 100


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--table", "csta-cnn"), "unknown table '' of csta-cnn: expected one of 1, 2, 3"),
        (
            ("--table", "csta:3"),
            "unknown paper 'csta': expected one of 3d-starnet, am-stgcn, amanet, csta-cnn, stf-net",
        ),
        (("--table", "csta-cnn:3", "--seeds", "one"), "--seeds one: expected numbers such as 0,1,2"),
        (("--table", "csta-cnn:3", "--seeds", "0,-1"), "--seeds 0,-1: expected numbers from 0 on"),
        (("--table", "csta-cnn:3", "--set", "epochs"), "--set epochs: expected SETTING=JSON"),
        (("--table", "csta-cnn:3", "--set", "options.widht=3"), "options: none of csta_cnn has widht"),
        (("--table", "csta-cnn:3", "--recipe", "everyday"), "no recipe for sequences is named 'everyday'"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_trained(
    say: Say, data: Path, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    said = say("papers", *arguments, "--data", data / "penn_action.npz")
    assert said.code == marey.Exit.USAGE
    assert complaint in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_needs_a_recipe(say: Say, data: Path) -> None:
    said = say("papers", "--table", "csta-cnn:3", "--data", data)
    assert said.code == marey.Exit.USAGE
    assert "--data: expected a skeleton set's file, NAME.npz, or --recipe" in said.err


def test_folds_are_judged_on_what_they_left_out(say: Say, data: Path, tmp_path: Path, tiny: WindowRecipe) -> None:
    run = Run.start(tmp_path / "fold", "tiny", {"left_out": ["kard", "squat"], "epochs": 1, "windows_per_epoch": 32})
    train(run.recipe, divide(run.recipe, read_sets(run.recipe, data)).train, run.folder, workers=0)
    said = say("folds", run.folder, "--data", data, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["top1"].keys() == {"kard"}
    assert [line["score"] for line in answer["reports"]] == [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    shown = say("folds", run.folder, "--data", data).out
    assert "unknown actions named %" in shown
    assert f"{100 * answer['top1']['kard']:.1f}" in shown


def test_a_run_that_left_nothing_out_is_refused(say: Say, data: Path, tmp_path: Path, tiny: WindowRecipe) -> None:
    Run.start(tmp_path / "whole", "tiny", {})
    said = say("folds", tmp_path / "whole", "--data", data)
    assert said.code == 2
    assert "expected folds, runs that leave something out" in said.err


def test_explanations_are_judged_beside_movement_and_chance(
    say: Say, data: Path, tmp_path: Path, tiny: WindowRecipe
) -> None:
    run = Run.start(tmp_path / "run", "tiny", {"epochs": 12})
    train(run.recipe, divide(run.recipe, read_sets(run.recipe, data)).train, run.folder, workers=0)
    said = say("explanations", run.folder, "--data", data, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert [one["guide"] for one in answer["guides"]] == ["explanation", "movement", "chance"]
    shown = say("explanations", run.folder, "--data", data).out
    assert f"is left, {answer['windows']} windows" in shown
    assert f"{100 * answer['guides'][0]['frames']:.1f}" in shown
