"""What is trained on public data sets is named, kept, gone on with and fused."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.registry import names
from pipeline.layouts import KINECT20, PENN13
from training.benchmark_page import DATA_SETS, PAGE, RESULTS, load_results, page_of
from training.benchmark_sets import Plan, experiments_of, run_sets
from training.examples import divide, read_sets
from training.experiments import Result
from training.loop import build_recogniser
from training.recipe import SequenceRecipe
from training.recipes import registry as recipes
from training.recipes.benchmarks import SIZES
from training.recipes.registry import recipe_named
from training.runs import changed

TWO = Plan(data_sets=("jhmdb14",), architectures=("stfnet",), streams=("joint", "bone"), seeds=(3,))


@pytest.mark.parametrize("architecture", names())
@pytest.mark.parametrize("data_set", list(DATA_SETS))
def test_every_recogniser_has_a_size_for_every_data_set(data_set: str, architecture: str) -> None:
    plan = Plan(data_sets=(data_set,), architectures=(architecture,))
    for experiment in experiments_of(plan, data_set, architecture):
        recipe = changed(recipe_named(data_set), {**experiment.changes, "classes": ["one", "other"]})
        assert recipe.features.layout in (KINECT20.name, PENN13.name)
        assert sum(parameter.numel() for parameter in build_recogniser(recipe).parameters()) < 3_000_000


def test_every_recogniser_has_a_size() -> None:
    assert {*SIZES} == {*names()} - {"pooling"}  # which is of the tests


def test_streams_and_splits_are_trained_one_by_one() -> None:
    named = [experiment.name for experiment in experiments_of(TWO, "jhmdb14", "stfnet")]
    assert named == [f"jhmdb14/stfnet-{stream}-split{split}" for split in (1, 2, 3) for stream in ("joint", "bone")]
    assert [one.name for one in experiments_of(TWO, "nw_ucla", "csta_cnn")] == ["nw_ucla/csta_cnn-joint"]


def test_results_and_logs_are_kept_and_runs_are_not_trained_again(
    tiny_sequences: SequenceRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(tiny_sequences, epochs=2)
    monkeypatch.setitem(recipes._RECIPES._entries, quick.name, lambda: quick)
    monkeypatch.setitem(SIZES, "pooling", {"width": 8})  # type: ignore[arg-type]  # a dict, whatever it says
    plan = Plan(data_sets=(quick.name,), architectures=("pooling",), seeds=(0, 1))
    (result,) = run_sets(plan, data, runs=tmp_path / "runs", out=tmp_path / "results")
    assert (len(result.top1), result.epochs, result.data_set) == (2, 2, quick.data_set)
    assert load_results(tmp_path / "results") == [result]
    logs = tmp_path / "results" / "logs" / quick.name
    assert sorted(path.name for path in logs.iterdir()) == [f"pooling-joint-seed{seed}.csv" for seed in (0, 1)]
    checkpoint = tmp_path / "runs" / result.name / "seed0" / "checkpoint.pt"
    before = checkpoint.read_bytes()
    (again,) = run_sets(plan, data, runs=tmp_path / "runs", out=tmp_path / "results")
    assert again == result
    assert checkpoint.read_bytes() == before
    assert divide(quick, read_sets(quick, data)).test


def test_networks_of_a_plan_are_fused_and_trained_for_as_long_as_it_says(
    tiny_sequences: SequenceRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipes._RECIPES._entries, tiny_sequences.name, lambda: tiny_sequences)
    for name, options in (("pooling", {"width": 8}), ("csta_cnn", {"base_channels": 2})):
        monkeypatch.setitem(SIZES, name, options)  # type: ignore[arg-type]  # a dict, whatever it says
    plan = Plan(data_sets=(tiny_sequences.name,), architectures=("pooling", "csta_cnn"), seeds=(0,), epochs=1)
    *alone, fused = run_sets(plan, data, runs=tmp_path / "runs", out=tmp_path / "results")
    assert [result.epochs for result in alone] == [1, 1]
    assert fused.name == f"{tiny_sequences.data_set}/all"
    assert fused.members == tuple(result.name for result in alone)
    assert fused in load_results(tmp_path / "results")


def result_of(name: str, *top1: float, **more: object) -> Result:
    given: dict[str, object] = {
        "name": name,
        "data_set": "nw_ucla",
        "split": "",
        "architecture": "stfnet",
        "recipe": "nw_ucla",
        "changes": {},
        "seeds": tuple(range(len(top1))),
        "top1": top1,
        "mean_class_accuracy": top1,
    }
    return Result(**{**given, **more})  # type: ignore[arg-type]


def test_the_page_has_a_row_a_network_the_best_first() -> None:
    fused = result_of("nw_ucla/stfnet-2s", 0.95, 0.97, members=("a", "b"))
    page = page_of([result_of("nw_ucla/stfnet-joint", 0.91, 0.93), fused])
    rows = [line for line in page.splitlines() if line.startswith("| stfnet")]
    assert [row.split("|")[2].strip() for row in rows] == ["2, fused", "joint"]
    assert "96.0 +- 1.4" in rows[0]
    assert "Our best, stfnet (2, fused): 96.0 +- 1.4, below the 97.2" in page


def test_many_networks_fused_are_counted_rather_than_listed() -> None:
    many = result_of("nw_ucla/all", 0.9, architecture="agcn + msg3d + stgcn", members=("a", "b", "c", "d"))
    assert "| all 3 | 4, fused |" in page_of([many])


def test_splits_are_one_row_with_their_mean() -> None:
    splits = [
        result_of(f"jhmdb14/{split}", top1, data_set="jhmdb14", split=str(split))
        for split, top1 in enumerate((0.8, 0.9, 0.85), start=1)
    ]
    (row,) = (line for line in page_of(splits).splitlines() if line.startswith("| stfnet"))
    assert "| 85.0 |" in row


def test_splits_are_compared_on_the_seeds_that_all_of_them_have() -> None:
    splits = [
        result_of(f"jhmdb14/{split}", *top1, data_set="jhmdb14", split=str(split))
        for split, top1 in enumerate(((0.8, 0.1), (0.9,), (0.85,)), start=1)
    ]
    (row,) = (line for line in page_of(splits).splitlines() if line.startswith("| stfnet"))
    assert "| 85.0 |" in row
    assert row.endswith("| 1 |")


def test_a_split_by_itself_is_said_to_be_that() -> None:
    page = page_of([result_of("jhmdb14/one", 0.9, data_set="jhmdb14", split="2")])
    assert "| joint (split 2 alone) |" in page


def test_the_page_says_what_the_results_say() -> None:
    root = Path(__file__).parents[2]
    assert (root / PAGE).read_text(encoding="utf-8") == page_of(load_results(root / RESULTS))
