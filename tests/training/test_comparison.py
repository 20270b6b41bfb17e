"""Runs are judged on what they were not trained on, and fused by what none of them was trained on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from training.comparison import Judged, fuse_judged, judge_examples, judge_run
from training.evaluate import judge_sequences, judge_whole
from training.examples import divide, learned, read_sets
from training.loop import train
from training.recipe import Recipe, WindowRecipe
from training.recipes.registry import recipe_named
from training.runs import Run, changed, classifier
from training.scores import Outcome

LABELS = ("squat", "wave", "idle")
Start = Callable[..., Run]


def outcome(rows: Sequence[Sequence[float]], truth: Sequence[str]) -> Outcome:
    return Outcome(np.array(rows, np.float32), tuple(truth), LABELS)


# Of two sequences, one member knows the first and the other knows the second.
KNOWS_SQUATS = outcome([[0.8, 0.1, 0.1], [0.4, 0.3, 0.3]], ["squat", "wave"])
KNOWS_WAVES = outcome([[0.3, 0.4, 0.3], [0.1, 0.8, 0.1]], ["squat", "wave"])
KNOWS_NOTHING = outcome([[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]], ["squat", "wave"])


@pytest.fixture(scope="module")
def start(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Train a recipe with changes."""

    def run(name: str, **settings: object) -> Run:
        recipe = recipe_named(name)
        sets = read_sets(changed(recipe, settings), data)
        started = Run.start(tmp_path_factory.mktemp(name), name, learned(recipe, settings, sets))
        train(started.recipe, divide(started.recipe, sets).train, started.folder, workers=0)
        return started

    return run


@pytest.fixture(scope="module")
def run(start: Start) -> Run:
    return start("tiny_sequences", epochs=20)


def test_a_run_is_judged_on_its_test_split_and_on_what_it_held_out(run: Run, data: Path) -> None:
    judged = judge_run(run, data)
    parts = divide(run.recipe, read_sets(run.recipe, data))
    assert judged.name == run.folder.name
    assert judged.test.truth == tuple(example.label for example in parts.test)
    assert judged.held_out is not None
    assert judged.held_out.truth == tuple(example.label for example in parts.calibration)
    assert judged.weights == ()
    assert judged.test.top1() > 0.6  # three actions that hardly resemble each other


def test_where_nothing_was_held_out_nothing_is_said_of_it(start: Start, data: Path) -> None:
    assert judge_run(start("tiny_sequences", held_out_share=0.0), data).held_out is None


def test_a_split_that_tests_nothing_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    with np.load(data / "penn_action.npz") as archive:
        np.savez(tmp_path / "all.npz", **{**archive, "train": np.ones(len(archive["y"]), bool)})
    with pytest.raises(DataError, match=r"all\.npz: expected sequences to test on, but the split of .* has none"):
        judge_run(run, tmp_path / "all.npz")


def test_each_kind_of_recipe_is_judged_in_its_own_way(run: Run, start: Start, tiny: WindowRecipe, data: Path) -> None:
    of_windows = start("tiny", epochs=1, windows_per_epoch=32)

    def both(one: Run) -> tuple[Recipe, Outcome]:
        examples = divide(one.recipe, read_sets(one.recipe, data)).test
        classify = classifier(one.load_model(), one.recipe)
        labels, window_s = one.recipe.class_labels, one.recipe.features.window_s
        judged = judge_examples(classify, examples, one.recipe)
        expected = (
            judge_sequences(classify, examples, labels, window_s=window_s)
            if one is of_windows
            else judge_whole(classify, examples, one.recipe)  # type: ignore[arg-type]  # it is one of sequences
        )
        np.testing.assert_array_equal(judged.probabilities, expected.probabilities)
        return one.recipe, judged

    assert both(run)[1].labels == ("squat", "jumping_jacks", "golf_swing")
    assert both(of_windows)[1].labels == tiny.class_labels


def test_runs_of_which_nothing_was_held_out_count_alike() -> None:
    fused = fuse_judged([Judged("a", KNOWS_SQUATS, None), Judged("b", KNOWS_WAVES, None)])
    assert (fused.name, fused.weights, fused.held_out) == ("fused", (0.5, 0.5), None)
    mean = (KNOWS_SQUATS.probabilities + KNOWS_WAVES.probabilities) / 2
    np.testing.assert_allclose(fused.test.probabilities, mean, rtol=1e-6)
    assert fused.test.top1() == 1


def test_held_out_sequences_weigh_the_runs_and_the_test_does_not() -> None:
    better_held_out = Judged("a", KNOWS_NOTHING, KNOWS_SQUATS)
    better_tested = Judged("b", KNOWS_SQUATS, KNOWS_NOTHING)
    fused = fuse_judged([better_held_out, better_tested])
    assert fused.weights == pytest.approx((1.0, 0.0))
    assert fused.held_out is not None
    assert fused.held_out.top1() == KNOWS_SQUATS.top1()
    assert fused.test.top1() == 0


@pytest.mark.parametrize(
    "other", [None, outcome([[0.8, 0.1, 0.1]], ["squat"])], ids=["nothing held out", "other sequences held out"]
)
def test_runs_that_did_not_hold_out_the_same_count_alike(other: Outcome | None) -> None:
    fused = fuse_judged([Judged("a", KNOWS_SQUATS, KNOWS_SQUATS), Judged("b", KNOWS_WAVES, other)])
    assert fused.weights == (0.5, 0.5)
    assert fused.held_out is None


@pytest.mark.parametrize(
    "other",
    [outcome(KNOWS_WAVES.probabilities.tolist(), ["squat", "idle"]), replace(KNOWS_WAVES, labels=("a", "b", "c"))],
    ids=["other sequences", "other labels"],
)
def test_runs_of_different_tasks_are_not_fused(other: Outcome) -> None:
    with pytest.raises(ValueError, match="expected runs of one task and split to fuse, not so in a, b"):
        fuse_judged([Judged("a", KNOWS_SQUATS, None), Judged("b", other, None)])
