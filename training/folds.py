"""Leave whole data sets and actions out: what a model says of what it never saw, and from which score it may speak.

A fold is a run with ``left_out``: a data set and some actions. Its model is judged on the data set (known actions,
other people and cameras), on the actions (unknown to it), and on the calibration part (known). No official test split
has a say in a threshold; it only measures what the thresholds come to.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pipeline.actions import DEFAULT_OPTIONS
from pipeline.recognise import calibrate
from pipeline.segments import SegmentSettings, smooth
from pipeline.values import F32
from training.evaluate import add_test_noise, as_seen, calibrated_temperature
from training.examples import Example, divide, read_sets
from training.members import common_recipe, fused_model
from training.recipe import WindowRecipe, windowed
from training.runs import Run, classifier
from training.windows import cover

# Above 0.95 a threshold would ask for more than the mean over neighbouring windows can give.
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# The precision that a label must hold on what training never saw, and the fewest sequences that must speak for it.
PRECISION = 0.9
FEWEST_SEQUENCES = 15
# Of actions that nobody taught it, a recogniser may name this share at most.
UNKNOWN_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fold's model said of one sequence at its surest moment, and what is true.

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
    """Return every fold's verdicts on what it did not train on, under simulated pose noise.

    Runs that left out the same are one fold: the members of an ensemble, as they are when it is exported.
    """
    check_folds(folds)
    members: dict[frozenset[str], list[Run]] = {}
    for fold in folds:
        members.setdefault(windowed(fold.recipe).left_out, []).append(fold)
    return [verdict for runs in members.values() for verdict in _judge_fold(runs, data, np.random.default_rng(seed))]


def check_folds(folds: Sequence[Run]) -> None:
    """Refuse runs that left nothing out (``ValueError``): they have nothing to say of what they never saw."""
    whole = [str(fold.folder) for fold in folds if not windowed(fold.recipe).left_out]
    if whole:
        raise ValueError(f"expected folds, runs that leave something out; {', '.join(whole)} left out nothing")


def choose_thresholds(verdicts: Sequence[Verdict], labels: Sequence[str], *, home: Collection[str]) -> dict[str, float]:
    """Return the score from which each label may be reported; a label that may never be is left out.

    No label may speak below the score at which at most ``UNKNOWN_SHARE`` of unknown actions are named. From there up a
    label must be right on data sets left out of training. Labels of the ``home`` set may speak where those are too few
    to tell, but not where their reports of known actions as a whole are wrong too often. Sequences of official test
    splits have no say.
    """
    usable = [verdict for verdict in verdicts if not verdict.is_tested]
    floor = _floor([verdict.score for verdict in usable if verdict.is_unknown])
    chosen = {}
    for label in labels:
        reports = [verdict for verdict in usable if verdict.said == label and not verdict.is_unknown]
        foreign = [report for report in reports if report.is_foreign]
        threshold = _lowest_sure(foreign, floor, is_trusted=label in home)
        if threshold is not None and label in home:
            threshold = _lowest_sure(reports, threshold, is_trusted=True)
        if threshold is not None:
            chosen[label] = threshold
    return chosen


def _floor(unknown_scores: Sequence[float]) -> float:
    """Return the lowest threshold that names few enough unknown actions."""
    scores = np.array(unknown_scores)
    named = (threshold for threshold in THRESHOLDS if not len(scores) or (scores >= threshold).mean() <= UNKNOWN_SHARE)
    return next(named, THRESHOLDS[-1])


def _lowest_sure(reports: Sequence[Verdict], floor: float, *, is_trusted: bool) -> float | None:
    """Return the lowest threshold from the floor up at which reports are right often enough.

    Where there are too few to tell, a trusted label may speak and another may not.
    """
    for threshold in (threshold for threshold in THRESHOLDS if threshold >= floor):
        right = [report.truth == report.said for report in reports if report.score >= threshold]
        if len(right) < FEWEST_SEQUENCES:
            return threshold if is_trusted else None
        if np.mean(right) >= PRECISION:
            return threshold
    return THRESHOLDS[-1] if is_trusted else None


def unknown_report_rate(verdicts: Sequence[Verdict], thresholds: Mapping[str, float]) -> float:
    """Return the share of unknown actions in official test splits that are given a name nevertheless."""
    unknown = [verdict for verdict in verdicts if verdict.is_unknown and verdict.is_tested]
    named = [verdict.score >= thresholds.get(verdict.said, np.inf) for verdict in unknown]
    return _share(named)


def foreign_precision(verdicts: Sequence[Verdict], thresholds: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Return the precision of labels on data sets left out of training, and the reports it is of, if enough to tell."""
    table = {}
    for label, threshold in thresholds.items():
        right = [
            verdict.truth == label
            for verdict in verdicts
            if verdict.is_foreign and verdict.said == label and verdict.score >= threshold
        ]
        if len(right) >= FEWEST_SEQUENCES:
            table[label] = (float(np.mean(right)), len(right))
    return table


def foreign_top1(verdicts: Sequence[Verdict], actions: Collection[str]) -> dict[str, float]:
    """Return which share of the actions in each data set left out of training is recognised, whatever the score.

    Actions that were left out as well could not be.
    """
    right: dict[str, list[bool]] = {}
    for verdict in _foreign(verdicts, actions):
        right.setdefault(verdict.source, []).append(verdict.said == verdict.truth)
    return {source: float(np.mean(some)) for source, some in sorted(right.items())}


@dataclass(frozen=True, slots=True)
class Reports:
    """What would be reported from a score on: shares of the sequences of actions in data sets left out of training.

    ``unknown`` is the share of unknown actions in official test splits that would be given a name.
    """

    score: float
    right: float
    wrong: float
    unknown: float


def reports_from(verdicts: Sequence[Verdict], actions: Collection[str], score: float) -> Reports:
    """Return what the same threshold for every label would come to."""
    foreign = _foreign(verdicts, actions)
    right = [verdict.score >= score and verdict.said == verdict.truth for verdict in foreign]
    wrong = [verdict.score >= score and verdict.said != verdict.truth for verdict in foreign]
    unknown = unknown_report_rate(verdicts, dict.fromkeys(actions, score))
    return Reports(score, _share(right), _share(wrong), unknown)


def _share(some: Sequence[bool]) -> float:
    return float(np.mean(some)) if some else float("nan")


def _foreign(verdicts: Sequence[Verdict], actions: Collection[str]) -> list[Verdict]:
    return [one for one in verdicts if one.is_foreign and not one.is_unknown and one.truth in actions]


def _judge_fold(runs: Sequence[Run], data: Path, rng: np.random.Generator) -> Iterator[Verdict]:
    recipe = windowed(common_recipe(runs))
    parts = divide(recipe, read_sets(recipe, data))
    classify = classifier(fused_model(runs, parts), recipe)
    temperature = calibrated_temperature(classify, parts.calibration, recipe)
    unseen = [example for example in parts.test if _left_out(example, recipe)]
    for example in (*unseen, *parts.calibration):
        clip = add_test_noise(as_seen(example.clip(), rng), rng)
        windows = cover(clip, window_s=recipe.features.window_s, stride_s=DEFAULT_OPTIONS.stride_s)
        moments_s = np.array([(window.start_s + window.end_s) / 2 for window in windows])
        probabilities = calibrate(classify(windows), temperature)
        yield _verdict(example, smooth(probabilities, moments_s, width_s=SegmentSettings().smooth_s), recipe)


def _left_out(example: Example, recipe: WindowRecipe) -> bool:
    return example.source.name in recipe.left_out or example.label in recipe.left_out


def _verdict(example: Example, probabilities: Float32[F32, "T K"], recipe: WindowRecipe) -> Verdict:
    """Take the surest action of all moments, as the service would name it there, if any moment is an action's."""
    passing = recipe.in_passing.get(example.label, frozenset())
    probabilities = np.where([label in passing for label in recipe.class_labels], 0, probabilities)
    quiet = [recipe.class_labels.index(label) for label in (recipe.idle_label, recipe.other_label)]
    winners = probabilities.argmax(axis=1)
    scores = np.where(np.isin(winners, quiet), 0, probabilities.max(axis=1))
    surest = int(scores.argmax())
    return Verdict(
        recipe.class_labels[winners[surest]],
        float(scores[surest]),
        example.label,
        example.source.name,
        is_foreign=example.source.name in recipe.left_out,
        is_unknown=example.label in recipe.left_out,
        is_tested=not bool(example.source.train[example.index]) and example.source.name == "penn_action",
    )
