"""Figures mean what they are called."""

from collections.abc import Sequence
from math import isnan

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.recognise import calibrate
from training.scores import (
    ClassScore,
    Interval,
    Outcome,
    calibration_error,
    interval,
    mean_and_spread,
    negative_log_likelihood,
    reliability,
)

F32 = NDArray[np.float32]
LABELS = ("squat", "wave", "idle", "other")


def outcome(probabilities: Sequence[Sequence[float]], truth: Sequence[str]) -> Outcome:
    return Outcome(np.array(probabilities, np.float32).reshape(len(truth), -1), tuple(truth), LABELS)


def answered(answers: Sequence[str], truth: Sequence[str]) -> Outcome:
    """Return the outcome of a classifier that is sure of these answers."""
    return outcome([[float(label == answer) for label in LABELS] for answer in answers], truth)


NOTHING = Outcome(np.zeros((0, 4), np.float32), (), LABELS)


@pytest.fixture(scope="module")
def calibrated() -> Outcome:
    """4000 answers whose scores are right about how often each label is true."""
    rng = np.random.default_rng(0)
    probabilities = calibrate(rng.normal(0, 2, (4000, 5)).astype(np.float32), 1.0)
    truth = ["abcde"[rng.choice(5, p=row / row.sum())] for row in probabilities.astype(float)]
    return Outcome(probabilities, tuple(truth), tuple("abcde"))


def test_the_best_label_counts_in_an_open_test_and_the_best_of_those_allowed_in_a_closed_one() -> None:
    judged = outcome([[0.4, 0.3, 0.3, 0.0], [0.3, 0.2, 0.5, 0.0], [0.1, 0.6, 0.0, 0.3]], ["squat", "squat", "squat"])
    assert judged.top1() == pytest.approx(1 / 3)
    assert judged.top1(among=["squat", "wave"]) == pytest.approx(2 / 3)


def test_a_truth_among_the_k_best_counts() -> None:
    judged = outcome([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]], ["wave", "idle"])
    assert [judged.top_k(k) for k in (1, 2, 3, 4, 9)] == [0, 0, 1, 1, 1]


def test_of_equally_probable_labels_the_first_wins_alone_and_among_the_best() -> None:
    judged = outcome([[0.25] * 4] * 4, LABELS)
    assert judged.answers().tolist() == [0, 0, 0, 0]
    assert [judged.top_k(k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]


def test_the_best_alone_is_top1(calibrated: Outcome) -> None:
    assert calibrated.top_k(1) == calibrated.top1()


def test_a_truth_that_is_no_label_is_never_right_and_has_no_row() -> None:
    judged = answered(["squat", "wave", "idle"], ["squat", "wave", "dance"])
    assert judged.top1() == judged.top_k(4) == pytest.approx(2 / 3)
    assert judged.confusion().sum() == 2
    assert judged.mean_class_accuracy() == 1
    assert negative_log_likelihood(judged) == 0
    assert calibration_error(judged) == pytest.approx(1 / 3)


def test_rows_of_the_confusion_are_true_and_columns_are_said() -> None:
    judged = answered(["squat", "wave", "wave", "idle"], ["squat", "squat", "squat", "wave"])
    assert judged.confusion().tolist() == [[1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_all_labels_count_alike_in_the_mean_class_accuracy_but_those_without_a_sequence() -> None:
    judged = answered(["squat"] * 9 + ["squat"], ["squat"] * 9 + ["wave"])
    assert judged.top1() == pytest.approx(0.9)
    assert judged.mean_class_accuracy() == pytest.approx(0.5)


def test_each_class_has_its_recall_its_precision_and_what_it_is_mistaken_for() -> None:
    truth = ["squat"] * 5 + ["wave"] * 2
    judged = answered(["squat", "squat", "wave", "idle", "idle", "wave", "wave"], truth)
    squat, wave, idle, other = judged.per_class()
    assert squat == ClassScore("squat", 5, 0.4, 1.0, "idle")
    assert wave == ClassScore("wave", 2, 1.0, 2 / 3, None)
    assert (idle.count, idle.precision, idle.mistaken_for) == (0, 0.0, None)
    assert isnan(idle.recall)
    assert (other.count, other.mistaken_for) == (0, None)
    assert isnan(other.recall)
    assert isnan(other.precision)


def test_of_equally_frequent_mistakes_the_first_label_is_named() -> None:
    assert answered(["other", "idle"], ["squat", "squat"]).per_class()[0].mistaken_for == "idle"


def test_classes_agree_with_a_loop_over_the_answers(calibrated: Outcome) -> None:
    answers = [calibrated.labels[place] for place in calibrated.probabilities.argmax(axis=1)]
    pairs = list(zip(calibrated.truth, answers, strict=True))
    table = calibrated.confusion()
    for row, score in enumerate(calibrated.per_class()):
        right = sum(truth == said == score.label for truth, said in pairs)
        assert score.count == sum(truth == score.label for truth, _ in pairs)
        assert score.recall == pytest.approx(right / score.count)
        assert score.precision == pytest.approx(right / sum(said == score.label for _, said in pairs))
        assert table[row].tolist() == [pairs.count((score.label, said)) for said in calibrated.labels]


def test_nothing_measured_is_no_number() -> None:
    assert len(NOTHING) == NOTHING.confusion().sum() == 0
    scores = (NOTHING.top1(), NOTHING.top_k(5), NOTHING.mean_class_accuracy(), calibration_error(NOTHING))
    assert all(map(isnan, (*scores, negative_log_likelihood(NOTHING))))
    assert all(isnan(score.recall) and isnan(score.precision) for score in NOTHING.per_class())
    assert all(isnan(one.score) and isnan(one.accuracy) and not one.count for one in reliability(NOTHING))


def test_calibrated_probabilities_have_a_small_calibration_error_and_others_a_large_one(calibrated: Outcome) -> None:
    too_sure = Outcome(calibrate(4 * np.log(calibrated.probabilities), 1.0), calibrated.truth, calibrated.labels)
    assert calibration_error(calibrated) < 0.03
    assert calibration_error(too_sure) > 0.15
    assert negative_log_likelihood(calibrated) < negative_log_likelihood(too_sure)


@pytest.mark.parametrize(
    ("score", "truth", "expected"),
    [
        (1.0, ["squat", "squat", "squat", "squat"], 0.0),
        (1.0, ["wave", "wave", "wave", "wave"], 1.0),
        (0.75, ["squat", "squat", "squat", "wave"], 0.0),
        (0.75, ["squat", "squat", "squat", "squat"], 0.25),
    ],
    ids=["always sure and right", "always sure and wrong", "as sure as right", "too modest"],
)
def test_the_calibration_error_is_the_gap_between_scores_and_right_answers(
    score: float, truth: list[str], expected: float
) -> None:
    rest = (1 - score) / 3
    assert calibration_error(outcome([[score, rest, rest, rest]] * 4, truth)) == pytest.approx(expected)


def test_bins_say_how_sure_and_how_right_their_answers_are() -> None:
    rows = [[best, 1 - best, 0.0, 0.0] for best in (0.52, 0.54, 0.95, 1.0, 1.0)]
    bins = reliability(outcome(rows, ["squat", "wave", "squat", "squat", "wave"]), num_bins=10)
    assert [(one.low, one.high) for one in bins] == [(place / 10, (place + 1) / 10) for place in range(10)]
    assert [one.count for one in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    assert [bins[5].score, bins[5].accuracy] == pytest.approx([0.53, 0.5])
    assert [bins[9].score, bins[9].accuracy] == pytest.approx([2.95 / 3, 2 / 3])


def test_the_likelihood_is_that_of_the_true_label() -> None:
    judged = outcome([[0.5, 0.25, 0.25, 0], [0.5, 0.25, 0.25, 0]], ["squat", "wave"])
    assert negative_log_likelihood(judged) == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_a_truth_that_was_ruled_out_costs_much_but_not_everything() -> None:
    assert negative_log_likelihood(answered(["squat"], ["wave"])) == pytest.approx(27.6, abs=0.1)


def test_seeds_spread_by_their_sample_standard_deviation() -> None:
    values = [0.81, 0.86, 0.79, 0.9]
    spread = mean_and_spread(values)
    assert [spread.mean, spread.std] == pytest.approx([np.mean(values), np.std(values, ddof=1)])
    assert spread.num == 4


def test_equal_values_have_no_spread_and_one_has_none_that_is_known() -> None:
    assert mean_and_spread([0.1] * 3).std == pytest.approx(0, abs=1e-12)
    alone, none = mean_and_spread([0.9]), mean_and_spread([])
    assert (alone.mean, alone.num) == (0.9, 1)
    assert isnan(alone.std)
    assert isnan(none.mean)


def test_the_interval_ends_where_its_own_standard_errors_reach_what_was_measured() -> None:
    for right, num in ((0, 10), (3, 10), (97, 100), (100, 100), (1, 1)):
        bounds = interval(right / num, num)
        for end in (bounds.low, bounds.high):
            assert abs(right / num - end) == pytest.approx(1.96 * np.sqrt(end * (1 - end) / num), rel=1e-4)


def test_more_sequences_narrow_the_interval_and_none_leave_all_open() -> None:
    few, many = interval(0.9, 50), interval(0.9, 5000)
    assert few.low < many.low < 0.9 < many.high < few.high
    assert interval(float("nan"), 0) == Interval(0.0, 1.0)
    assert interval(1.0, 20).high == 1.0
