"""Leave whole data sets and actions out: what a model says of what it never saw, and from which score it may speak.

A fold is a run with ``left_out``: a data set and some actions. Its model is judged on the data set (known actions,
other people and cameras), on the actions (unknown to it), and on the calibration part (known). No official test split
has a say in a threshold; it only measures what the thresholds come to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.recognise import calibrate
from pipeline.values import F32
from training.evaluate import STRIDE_S, add_test_noise, as_seen, calibrated_temperature
from training.recipe import Recipe
from training.runs import Run, classifier
from training.windows import Example, cover, divide, read_sets

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# The precision that a label must hold on what training never saw, and the fewest sequences that must speak for it.
PRECISION = 0.9
FEWEST_SEQUENCES = 15


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fold's model said of one sequence at its surest window, and what is true.

    ``source`` is the data set; ``is_foreign`` says that the data set was left out, ``is_unknown`` that the action was.
    ``is_tested`` marks official test sequences.
    """

    said: str
    score: float
    truth: str
    source: str
    is_foreign: bool
    is_unknown: bool
    is_tested: bool


def judge_folds(folds: Sequence[Run], data: Path, *, seed: int = 0) -> list[Verdict]:
    """Return every fold's verdicts on what it did not train on, under simulated pose noise."""
    return [verdict for fold in folds for verdict in _judge_fold(fold, data, np.random.default_rng(seed))]


def choose_thresholds(verdicts: Sequence[Verdict], labels: Sequence[str]) -> dict[str, float]:
    """Return for each label the lowest threshold from which its reports are right often enough, if there is one.

    Only sequences outside official test splits count. A label with too few reports to tell is left out as well.
    """
    chosen = {}
    usable = [verdict for verdict in verdicts if not verdict.is_tested]
    for label in labels:
        reports = [verdict for verdict in usable if verdict.said == label]
        for threshold in THRESHOLDS:
            sure = [verdict.truth == label for verdict in reports if verdict.score >= threshold]
            if len(sure) >= FEWEST_SEQUENCES and np.mean(sure) >= PRECISION:
                chosen[label] = threshold
                break
    return chosen


def unknown_report_rate(verdicts: Sequence[Verdict], thresholds: Mapping[str, float]) -> float:
    """Return the share of unknown actions in official test splits that are given a name nevertheless."""
    unknown = [verdict for verdict in verdicts if verdict.is_unknown and verdict.is_tested]
    named = [verdict.score >= thresholds.get(verdict.said, np.inf) for verdict in unknown]
    return float(np.mean(named)) if named else float("nan")


def foreign_precision(verdicts: Sequence[Verdict], thresholds: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Return, a label, the precision of its reports on data sets left out of training, and their number."""
    table = {}
    for label, threshold in thresholds.items():
        right = [
            verdict.truth == label
            for verdict in verdicts
            if verdict.is_foreign and verdict.said == label and verdict.score >= threshold
        ]
        if right:
            table[label] = (float(np.mean(right)), len(right))
    return table


def _judge_fold(fold: Run, data: Path, rng: np.random.Generator) -> Iterator[Verdict]:
    recipe = fold.recipe
    parts = divide(recipe, read_sets(recipe, data))
    classify = classifier(fold.load_model(), recipe)
    temperature = calibrated_temperature(classify, parts.calibration, recipe)
    unseen = [example for example in parts.test if _left_out(example, recipe)]
    for example in (*unseen, *parts.calibration):
        clip = add_test_noise(as_seen(example.clip(), rng), rng)
        windows = cover(clip, window_s=recipe.features.window_s, stride_s=STRIDE_S)
        # The service smooths over neighbouring windows; the mean over a short sequence is the same thing.
        yield _verdict(example, calibrate(classify(windows), temperature).mean(axis=0), recipe)


def _left_out(example: Example, recipe: Recipe) -> bool:
    return example.source.name in recipe.left_out or example.label in recipe.left_out


def _verdict(example: Example, probabilities: F32, recipe: Recipe) -> Verdict:
    silent = {recipe.class_labels.index(label) for label in (recipe.idle_label, recipe.other_label)}
    best = int(probabilities.argmax())
    return Verdict(
        recipe.class_labels[best],
        0.0 if best in silent else float(probabilities[best]),
        example.label,
        example.source.name,
        is_foreign=example.source.name in recipe.left_out,
        is_unknown=example.label in recipe.left_out,
        is_tested=not bool(example.source.train[example.index]) and example.source.name == "penn_action",
    )
