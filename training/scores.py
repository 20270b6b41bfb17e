"""What an evaluation says in numbers: how often a classifier is right, of what, and whether its scores can be believed.

A score that nothing was there to measure is NaN. Of equal probabilities, the label that comes first in ``labels`` wins.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from pipeline.values import F32

B1 = NDArray[np.bool_]
I64 = NDArray[np.int64]

NUM_BINS = 15  # as in Guo et al. 2017
# A classifier that rules the truth out altogether must not decide a mean alone.
LEAST_PROBABILITY = 1e-12
NORMAL_95 = 1.959963984540054  # standard deviations about the mean that hold 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How one label fares: ``recall`` of its ``count`` sequences, ``precision`` of the answers that name it.

    ``mistaken_for`` is the wrong answer that its sequences get most often, None if they get none; of equally frequent
    ones the first in ``labels``. Recall is NaN where ``count`` is 0, precision where no answer names the label.
    """

    label: str
    count: int
    recall: float
    precision: float
    mistaken_for: str | None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The answers whose score is in [``low``, ``high``): their mean ``score``, and the share that is right.

    The last bin holds scores of 1 too. ``score`` and ``accuracy`` are NaN where ``count`` is 0.
    """

    low: float
    high: float
    count: int
    score: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of ``num`` values and their sample standard deviation, which is NaN of fewer than two."""

    mean: float
    std: float
    num: int


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies with a confidence of 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a classifier said of N sequences or windows: probabilities, and the labels that are true.

    A truth that is none of the ``labels`` is never right: it counts in ``top1``, ``top_k`` and calibration. What is
    said by class has no place for it: ``mean_class_accuracy``, ``per_class``, ``confusion`` and the likelihood.
    """

    probabilities: Float32[F32, "N K"]
    truth: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.truth)

    def answers(self, *, among: Collection[str] | None = None) -> Int64[I64, " N"]:
        """Return the place in ``labels`` of each best label, out of those ``among`` which it must be."""
        allowed = np.array([among is None or label in among for label in self.labels])
        best: I64 = np.where(allowed, self.probabilities, -1).argmax(axis=1)
        return best

    def places(self) -> Int64[I64, " N"]:
        """Return the place in ``labels`` of each truth, -1 if it has none."""
        known = {label: place for place, label in enumerate(self.labels)}
        return np.array([known.get(label, -1) for label in self.truth], np.int64)

    def right(self, *, among: Collection[str] | None = None) -> Bool[B1, " N"]:
        """Return whose best label is the true one."""
        right: B1 = self.answers(among=among) == self.places()
        return right

    def top1(self, *, among: Collection[str] | None = None) -> float:
        """Return the share whose best label is the true one; ``among`` restricts the answers, as a closed test does."""
        return _mean(self.right(among=among))

    def top_k(self, k: int) -> float:
        """Return the share whose true label is one of the k best."""
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return _mean((best == self.places()[:, None]).any(axis=1))

    def mean_class_accuracy(self) -> float:
        """Return the mean recall of the labels that have a sequence: all count alike, however many each has."""
        return _mean(np.array([score.recall for score in self.per_class() if score.count]))

    def confusion(self) -> Int64[I64, "K K"]:
        """Return how often each label (rows) was given each answer (columns)."""
        places, num = self.places(), len(self.labels)
        cells = (places * num + self.answers())[places >= 0]
        return np.bincount(cells, minlength=num * num).reshape(num, num)

    def per_class(self) -> tuple[ClassScore, ...]:
        """Return how each label fares, in the order of ``labels``."""
        table = self.confusion()
        right, counts, said = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
        wrong = table - np.diag(right)
        return tuple(
            ClassScore(
                label,
                int(counts[place]),
                _ratio(right[place], counts[place]),
                _ratio(right[place], said[place]),
                self.labels[wrong[place].argmax()] if wrong[place].any() else None,
            )
            for place, label in enumerate(self.labels)
        )


def reliability(outcome: Outcome, *, num_bins: int = NUM_BINS) -> tuple[ReliabilityBin, ...]:
    """Return how often answers are right by how sure they are, in bins of equal width."""
    score = outcome.probabilities.max(axis=1, initial=0)
    bins = np.minimum((score * num_bins).astype(np.int64), num_bins - 1)
    counts, scores, rights = (
        np.bincount(bins, weights=weights, minlength=num_bins) for weights in (None, score, outcome.right())
    )
    return tuple(
        ReliabilityBin(
            place / num_bins,
            (place + 1) / num_bins,
            int(count),
            _ratio(scores[place], count),
            _ratio(rights[place], count),
        )
        for place, count in enumerate(counts)
    )


def calibration_error(outcome: Outcome, *, num_bins: int = NUM_BINS) -> float:
    """Return the expected calibration error: how far scores are from shares of right answers, in [0, 1].

    It is the mean distance between the two in the bins of ``reliability``, each weighted by its answers.
    """
    filled = [one for one in reliability(outcome, num_bins=num_bins) if one.count]
    return _ratio(sum(abs(one.accuracy - one.score) * one.count for one in filled), len(outcome))


def negative_log_likelihood(outcome: Outcome) -> float:
    """Return the mean of -ln(probability of the true label), in nats: 0 is certain and right."""
    places = outcome.places()
    known = np.flatnonzero(places >= 0)
    likelihoods = outcome.probabilities[known, places[known]].astype(np.float64)
    return _mean(-np.log(np.maximum(likelihoods, LEAST_PROBABILITY)))


def mean_and_spread(values: Sequence[float]) -> Spread:
    """Return what the same measurement comes to over seeds.

    >>> mean_and_spread([0.5, 0.75, 1.0])
    Spread(mean=0.75, std=0.25, num=3)
    """
    num = len(values)
    return Spread(mean(values) if num else math.nan, stdev(values) if num > 1 else math.nan, num)


def interval(accuracy: float, num: int) -> Interval:
    """Return the Wilson interval of an accuracy that was measured on so many sequences: 0 to 1 for none.

    It says how much an accuracy may owe to which sequences were tested, and nothing of the seed of the training.

    >>> interval(0.9, 100)
    Interval(low=0.82..., high=0.94...)
    """
    if not num:
        return Interval(0.0, 1.0)
    square = NORMAL_95**2 / num
    middle = (accuracy + square / 2) / (1 + square)
    half = math.sqrt(square * (accuracy * (1 - accuracy) + square / 4)) / (1 + square)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if values.size else math.nan


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
