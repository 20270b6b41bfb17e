"""Several seeds of one recipe are one result, which can be kept, read again, and fused with others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import DataError
from training import experiments
from training.comparison import judge_run
from training.experiments import (
    Experiment,
    Result,
    carry_out,
    fuse_results,
    keep_logs,
    mean_over_splits,
    run_folder,
)
from training.loop import CHECKPOINT_FILE
from training.runs import Run, current_commit

STICKS = Experiment(name="sticks", recipe="tiny_sequences", changes={"epochs": 3}, seeds=(0, 1))
RESULT = Result(
    name="sticks",
    data_set="penn_action",
    split="",
    architecture="pooling",
    recipe="tiny_sequences",
    changes={"epochs": 3, "options": {"width": 8}},
    seeds=(0, 1),
    top1=(0.5, 0.75),
    mean_class_accuracy=(0.5, 0.7),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def result(data: Path, runs: Path) -> Result:
    return carry_out(STICKS, data, runs, workers=0)


def test_every_seed_is_a_run_with_the_changes(result: Result, runs: Path) -> None:
    for seed in (0, 1):
        recipe = Run.open(run_folder(runs, "sticks", seed)).recipe
        assert (recipe.seed, recipe.epochs, recipe.name) == (seed, 3, "tiny_sequences")
    assert result.seeds == (0, 1)


def test_a_result_is_what_its_runs_come_to(result: Result, runs: Path, data: Path) -> None:
    judged = [judge_run(Run.open(run_folder(runs, "sticks", seed)), data).test for seed in (0, 1)]
    assert result.top1 == tuple(one.top1() for one in judged)
    assert result.mean_class_accuracy == tuple(one.mean_class_accuracy() for one in judged)
    assert result.top1_spread.mean == pytest.approx(sum(result.top1) / 2)
    assert result.top1_spread.num == 2


def test_a_result_says_what_was_trained_and_where(result: Result) -> None:
    assert (result.data_set, result.architecture, result.recipe) == ("penn_action", "pooling", "tiny_sequences")
    assert (result.changes, result.epochs, result.members) == ({"epochs": 3}, 3, ())
    assert result.parameters > 100
    assert result.minutes is not None
    assert result.minutes > 0
    assert result.commit == current_commit()
    assert result.machine


def test_what_is_trained_is_not_trained_again(result: Result, data: Path, runs: Path) -> None:
    checkpoint = run_folder(runs, "sticks", 0) / CHECKPOINT_FILE
    before = checkpoint.read_bytes()
    again = carry_out(STICKS, data, runs, workers=0)
    assert checkpoint.read_bytes() == before
    assert again == result


@pytest.mark.usefixtures("result")
def test_what_was_trained_otherwise_does_not_pass_for_the_experiment(data: Path, runs: Path) -> None:
    with pytest.raises(ValueError, match="seed0 was trained with other settings: call the experiment otherwise"):
        carry_out(replace(STICKS, changes={"epochs": 4}), data, runs, workers=0)


def test_a_result_is_kept_and_read_again(tmp_path: Path) -> None:
    path = RESULT.save(tmp_path / "results")
    assert path == tmp_path / "results" / "sticks.json"
    assert Result.load(path) == RESULT


@pytest.mark.parametrize(
    "content",
    [None, "half of {", "[]", "{}", json.dumps({"seeds": [0]})],
    ids=["missing", "half", "list", "empty", "odd"],
)
def test_a_file_that_holds_no_result_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "one.json").write_text(content)
    with pytest.raises(DataError, match=r"one\.json: expected a result with name, data_set, .* reading it failed"):
        Result.load(tmp_path / "one.json")


def test_experiments_are_fused_seed_by_seed(result: Result, data: Path, runs: Path) -> None:
    wider = carry_out(replace(STICKS, name="wider", changes={"epochs": 3, "options": {"width": 32}}), data, runs)
    fused = fuse_results("both", [result, wider], data, runs)
    assert (fused.name, fused.members, fused.seeds) == ("both", ("sticks", "wider"), (0, 1))
    assert len(fused.top1) == 2
    assert fused.parameters == result.parameters + wider.parameters
    assert fused.architecture == "pooling"


@pytest.mark.parametrize(
    "other", [{"seeds": (0,)}, {"data_set": "kard"}, {"split": "2"}], ids=lambda one: next(iter(one))
)
def test_experiments_of_different_tasks_are_not_fused(other: dict[str, object], data: Path, runs: Path) -> None:
    with pytest.raises(ValueError, match="expected results of one data set, split and seeds, got sticks, other"):
        fuse_results("both", [RESULT, replace(RESULT, name="other", **other)], data, runs)


@pytest.mark.usefixtures("result")
def test_logs_are_kept_beside_the_result(runs: Path, tmp_path: Path) -> None:
    keep_logs(STICKS, runs, tmp_path)
    logs = sorted((tmp_path / "logs").iterdir())
    assert [log.name for log in logs] == ["sticks-seed0.csv", "sticks-seed1.csv"]
    assert all(len(log.read_text().splitlines()) == 4 for log in logs)


def test_the_mean_over_splits_is_taken_seed_by_seed() -> None:
    spread = mean_over_splits([RESULT, replace(RESULT, split="2", top1=(0.7, 0.55))])
    assert spread.mean == pytest.approx(0.625)
    assert spread.std == pytest.approx(0.0354, abs=1e-4)  # of 0.6 and 0.65
    assert spread.num == 2


def test_a_run_broken_off_at_the_end_of_an_epoch_has_its_minutes(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "epoch,learning_rate,loss,windows_per_s\n0,0.1,2.0,10\n1,0.1,1.5,0\n2,0.1,1.0,10\n", encoding="utf-8"
    )
    assert experiments._minutes(log, windows=200) == pytest.approx(1.0)


def test_an_epoch_in_which_the_machine_was_held_up_counts_as_any_other(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("epoch,windows_per_s\n0,10\n1,0.1\n2,10\n")
    assert experiments._minutes(log, windows=200) == pytest.approx(1.0)
