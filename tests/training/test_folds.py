"""Thresholds come from what training never saw, and official test splits have no say in them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.examples import Example, divide, read_sets
from training.folds import (
    FEWEST_SEQUENCES,
    PRECISION,
    THRESHOLDS,
    UNKNOWN_SHARE,
    Reports,
    Verdict,
    _verdict,
    choose_thresholds,
    foreign_precision,
    foreign_top1,
    judge_folds,
    reports_from,
    unknown_report_rate,
)
from training.loop import train
from training.recipe import WindowRecipe
from training.runs import Run

HOME = ("squat",)
LABELS = ("squat", "wave")


def verdict(
    said: str,
    score: float,
    truth: str,
    *,
    is_foreign: bool = True,
    is_unknown: bool = False,
    is_tested: bool = False,
    num: int = 1,
) -> list[Verdict]:
    """Return the same verdict a number of times."""
    source = "kard" if is_foreign else "penn_action"
    return [Verdict(said, score, truth, source, is_foreign, is_unknown, is_tested)] * num


def chosen(verdicts: Sequence[Verdict]) -> dict[str, float]:
    return choose_thresholds(verdicts, LABELS, home=HOME)


def test_an_everyday_action_speaks_from_the_lowest_score_at_which_it_is_right_often_enough() -> None:
    verdicts = verdict("wave", 0.93, "wave", num=30) + verdict("wave", 0.62, "throw", num=10)
    assert chosen(verdicts)["wave"] == 0.65


def test_exactly_the_precision_asked_for_will_do() -> None:
    wrong = 10
    right = round(wrong * PRECISION / (1 - PRECISION))
    verdicts = verdict("wave", 0.93, "wave", num=right) + verdict("wave", 0.93, "throw", num=wrong)
    assert chosen(verdicts)["wave"] == THRESHOLDS[0]
    assert "wave" not in chosen(verdicts + verdict("wave", 0.93, "throw", num=2))


def test_an_everyday_action_with_too_few_reports_stays_silent() -> None:
    assert "wave" in chosen(verdict("wave", 0.9, "wave", num=FEWEST_SEQUENCES))
    assert "wave" not in chosen(verdict("wave", 0.9, "wave", num=FEWEST_SEQUENCES - 1))


def test_an_everyday_action_must_be_right_on_sets_left_out_and_not_at_home() -> None:
    assert "wave" not in chosen(verdict("wave", 0.9, "wave", is_foreign=False, num=100))
    assert "squat" in chosen(verdict("squat", 0.9, "squat", is_foreign=False, num=100))


def test_a_label_of_the_home_set_must_be_right_on_sets_left_out_too_where_enough_speak_for_it() -> None:
    at_home = verdict("squat", 0.9, "squat", is_foreign=False, num=1000)
    elsewhere = verdict("squat", 0.93, "squat", num=20) + verdict("squat", 0.72, "sit", num=5)
    assert chosen(at_home + elsewhere)["squat"] == 0.75
    few = verdict("squat", 0.72, "sit", num=FEWEST_SEQUENCES - 1)
    assert chosen(at_home + few)["squat"] == THRESHOLDS[0]
    wrong_at_home = verdict("squat", 0.82, "sit", is_foreign=False, num=200)
    assert chosen(at_home + elsewhere + wrong_at_home)["squat"] == 0.85


def test_official_test_sequences_have_no_say() -> None:
    wrong_in_tests = verdict("wave", 0.9, "throw", is_tested=True, num=1000)
    unknown_in_tests = verdict("squat", 0.99, "golf", is_unknown=True, is_tested=True, num=1000)
    verdicts = verdict("wave", 0.9, "wave", num=20) + verdict("squat", 0.9, "squat", is_foreign=False, num=20)
    assert chosen(verdicts + wrong_in_tests + unknown_in_tests) == chosen(verdicts)
    assert chosen(verdict("wave", 0.9, "wave", is_tested=True, num=100)).get("wave") is None


def test_nobody_speaks_where_too_many_unknown_actions_would_be_named() -> None:
    verdicts = verdict("wave", 0.95, "wave", num=100) + verdict("squat", 0.95, "squat", num=100)
    share = math.ceil(100 * UNKNOWN_SHARE)
    unknown = verdict("squat", 0.82, "golf", is_unknown=True, num=share + 1)
    silent = verdict("other", 0.0, "golf", is_unknown=True, num=100 - share - 1)
    assert chosen(verdicts) == dict.fromkeys(LABELS, THRESHOLDS[0])
    assert chosen(verdicts + unknown + silent) == dict.fromkeys(LABELS, 0.85)


def test_without_verdicts_only_labels_of_the_home_set_speak() -> None:
    assert chosen([]) == {"squat": THRESHOLDS[0]}


def test_unknown_actions_in_official_tests_are_counted_if_they_are_named() -> None:
    verdicts = [
        *verdict("squat", 0.9, "golf", is_unknown=True, is_tested=True),  # named
        *verdict("squat", 0.6, "golf", is_unknown=True, is_tested=True),  # not sure enough
        *verdict("wave", 0.99, "golf", is_unknown=True, is_tested=True),  # a label that is never reported
        *verdict("other", 0.0, "golf", is_unknown=True, is_tested=True),
        *verdict("squat", 0.9, "golf", is_unknown=True),
        *verdict("squat", 0.9, "squat", is_tested=True),
    ]
    assert unknown_report_rate(verdicts, {"squat": 0.8}) == 0.25


def test_without_unknown_actions_there_is_no_rate() -> None:
    assert math.isnan(unknown_report_rate(verdict("squat", 0.9, "squat"), {"squat": 0.8}))


def test_precision_is_measured_on_sets_left_out_from_the_threshold_up() -> None:
    verdicts = [
        *verdict("wave", 0.9, "wave", num=15),
        *verdict("wave", 0.9, "throw", num=5),
        *verdict("wave", 0.7, "throw", num=10),
        *verdict("wave", 0.9, "throw", is_foreign=False, num=10),
    ]
    assert foreign_precision(verdicts, {"wave": 0.8, "squat": 0.8}) == {"wave": (0.75, 20)}


def test_actions_of_sets_left_out_are_counted_set_by_set_and_nothing_else_is() -> None:
    verdicts = [
        *verdict("wave", 0.3, "wave", num=3),
        *verdict("idle", 0.0, "wave"),
        *(replace(one, source="utd_mhad") for one in verdict("squat", 0.9, "squat")),
        *verdict("wave", 0.9, "other", num=9),
        *verdict("wave", 0.9, "squat", is_foreign=False, num=9),
        *verdict("wave", 0.9, "squat", is_unknown=True, num=9),
    ]
    assert foreign_top1(verdicts, LABELS) == {"kard": 0.75, "utd_mhad": 1.0}


def test_reports_are_shares_of_the_known_actions_of_sets_left_out_from_a_score_on() -> None:
    verdicts = [
        *verdict("wave", 0.9, "wave", num=5),
        *verdict("wave", 0.7, "wave"),
        *verdict("squat", 0.8, "wave", num=2),
        *verdict("idle", 0.0, "wave", num=2),
        *verdict("wave", 0.9, "squat", is_unknown=True, is_tested=True),
        *verdict("wave", 0.7, "squat", is_unknown=True, is_tested=True, num=3),
        *verdict("wave", 0.9, "squat", is_foreign=False, num=9),
    ]
    assert reports_from(verdicts, LABELS, 0.8) == Reports(0.8, right=0.5, wrong=0.2, unknown=0.25)
    nothing = reports_from([], LABELS, 0.8)
    assert all(map(math.isnan, (nothing.right, nothing.wrong, nothing.unknown)))


def test_a_precision_of_too_few_reports_is_none() -> None:
    few = verdict("wave", 0.9, "wave", num=FEWEST_SEQUENCES - 1)
    assert foreign_precision(few, {"wave": 0.8}) == {}
    assert foreign_precision(few + few[:1], {"wave": 0.8}) == {"wave": (1.0, FEWEST_SEQUENCES)}


def fold_of(folder: Path, data: Path, **changes: object) -> Run:
    run = Run.start(folder, "tiny", {"left_out": ["kard", "squat"], "epochs": 2, "windows_per_epoch": 96, **changes})
    train(run.recipe, divide(run.recipe, read_sets(run.recipe, data)).train, run.folder, workers=0)
    return run


@pytest.fixture(scope="module")
def fold(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fold_of(tmp_path_factory.mktemp("fold"), data)


def test_a_fold_is_judged_on_all_that_it_did_not_train_on(fold: Run, tiny: WindowRecipe, data: Path) -> None:
    verdicts = judge_folds([fold], data)
    sets = read_sets(tiny, data)
    kept = divide(replace(tiny, left_out=fold.recipe.left_out), sets).calibration
    foreign = [verdict for verdict in verdicts if verdict.is_foreign]
    unknown = [verdict for verdict in verdicts if verdict.is_unknown]
    assert {verdict.source for verdict in foreign} == {"kard"}
    assert len(foreign) == sum(sets["kard"].label(index) != "bend" for index in range(len(sets["kard"])))
    assert {verdict.truth for verdict in unknown} == {"squat"}
    assert len(unknown) == sum(sets["penn_action"].label(index) == "squat" for index in range(len(sets["penn_action"])))
    assert len(verdicts) == len(foreign) + len(unknown) + len(kept)
    assert 0 < sum(verdict.is_tested for verdict in verdicts) < len(unknown)


def test_scores_are_probabilities_and_those_of_silent_labels_0(fold: Run, data: Path) -> None:
    for verdict in judge_folds([fold], data):
        assert 0 <= verdict.score <= 1
        assert verdict.said in fold.recipe.class_labels
        assert (verdict.score == 0) == (verdict.said in ("idle", "other"))


def test_runs_that_left_out_the_same_are_judged_once_as_an_ensemble(fold: Run, data: Path, tmp_path: Path) -> None:
    other = fold_of(tmp_path / "other", data, seed=1)
    alone, both = judge_folds([fold], data), judge_folds([fold, other], data)
    assert len(both) == len(alone)
    assert [verdict.score for verdict in both] != [verdict.score for verdict in alone]
    apart = fold_of(tmp_path / "apart", data, left_out=["squat"], epochs=1, windows_per_epoch=32)
    assert len(judge_folds([fold, apart], data)) == len(alone) + len(judge_folds([apart], data))


@pytest.mark.parametrize(
    ("moments", "said", "score"),
    [
        ([{"idle": 0.9}, {"squat": 0.6}, {"wave": 0.8}, {"wave": 0.7}], "wave", 0.8),
        ([{"idle": 0.99}, {"squat": 0.4}], "squat", 0.4),
        ([{"idle": 0.9}, {"other": 0.8}], None, 0.0),
    ],
)
def test_a_sequence_is_judged_by_the_moment_at_which_an_action_is_surest(
    moments: Sequence[dict[str, float]], said: str | None, score: float, tiny: WindowRecipe, data: Path
) -> None:
    labels = tiny.class_labels
    probabilities = np.array([[moment.get(label, 0.0) for label in labels] for moment in moments], np.float32)
    example = Example(read_sets(tiny, data)["kard"], 0, "wave")
    found = _verdict(example, probabilities, tiny)
    assert found.score == pytest.approx(score)
    assert found.said == said if said else found.said in ("idle", "other")


def test_what_people_do_in_passing_is_neither_right_nor_wrong(tiny: WindowRecipe, data: Path) -> None:
    labels = tiny.class_labels
    moments = [{"walk": 0.9, "wave": 0.1}, {"wave": 0.6, "other": 0.4}]
    probabilities = np.array([[moment.get(label, 0.0) for label in labels] for moment in moments], np.float32)
    recipe = replace(tiny, in_passing={"wave": frozenset({"walk"})})
    source = read_sets(tiny, data)["kard"]
    assert _verdict(Example(source, 0, "squat"), probabilities, recipe).said == "walk"
    assert _verdict(Example(source, 0, "wave"), probabilities, recipe).said == "wave"


def test_verdicts_are_drawn_by_the_seed(fold: Run, data: Path) -> None:
    assert judge_folds([fold], data, seed=1) == judge_folds([fold], data, seed=1)
    assert judge_folds([fold], data, seed=1) != judge_folds([fold], data, seed=2)


def test_a_run_that_left_nothing_out_is_no_fold(tmp_path: Path, data: Path) -> None:
    whole = Run.start(tmp_path / "whole", "tiny", {})
    with pytest.raises(ValueError, match=r"expected folds, runs that leave something out; .*whole left out nothing"):
        judge_folds([whole], data)
