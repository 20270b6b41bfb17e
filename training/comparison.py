"""Judge trained runs side by side, and what they come to when their probabilities are fused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from training.evaluate import Classifier, judge_sequences, judge_whole
from training.examples import Example, divide, read_sets
from training.fusion import fit_weights, fused
from training.recipe import Recipe, SequenceRecipe
from training.runs import Run, classifier
from training.scores import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a run, or several fused, says of the official test, and of what was held out of its training, if any.

    ``weights`` are those of the runs that are fused, in their order.
    """

    name: str
    test: Outcome
    held_out: Outcome | None
    weights: tuple[float, ...] = ()


def judge_run(run: Run, data: Path) -> Judged:
    """Judge a run on its data set's test split.

    Raises:
        DataError: the split tests nothing, or the data cannot be read.
    """
    parts = divide(run.recipe, read_sets(run.recipe, data))
    known = [example for example in parts.test if example.label in run.recipe.class_labels]
    if not known:
        raise DataError(f"{data}: expected sequences to test on, but the split of {run.folder} has none")
    classify = classifier(run.load_model(), run.recipe)
    held_out = judge_examples(classify, parts.calibration, run.recipe) if parts.calibration else None
    return Judged(run.folder.resolve().name, judge_examples(classify, known, run.recipe), held_out)


def judge_examples(classify: Classifier, examples: Sequence[Example], recipe: Recipe) -> Outcome:
    """Judge sequences in the way of the recipe's kind: each by one input, or by the mean over its windows."""
    if isinstance(recipe, SequenceRecipe):
        return judge_whole(classify, examples, recipe)
    return judge_sequences(classify, examples, recipe.class_labels, window_s=recipe.features.window_s)


def fuse_judged(members: Sequence[Judged]) -> Judged:
    """Fuse runs of one task: weighed by what was held out of all their trainings, alike where nothing was.

    Raises:
        ValueError: they were judged on different sequences or labels.
    """
    first = members[0]
    if any((one.test.truth, one.test.labels) != (first.test.truth, first.test.labels) for one in members):
        raise ValueError(
            f"expected runs of one task and split to fuse, not so in {', '.join(one.name for one in members)}"
        )
    held_out = _alike([one.held_out for one in members])
    weights = (
        fit_weights([one.probabilities for one in held_out], held_out[0].places())
        if held_out
        else (1 / len(members),) * len(members)
    )
    return Judged(
        "fused",
        _fuse([one.test for one in members], weights),
        _fuse(held_out, weights) if held_out else None,
        weights,
    )


def _alike(held_out: Sequence[Outcome | None]) -> list[Outcome]:
    """Return what was held out of all trainings; nothing if it was not the same of each."""
    there = [one for one in held_out if one is not None]
    alike = len(there) == len(held_out) and all(one.truth == there[0].truth for one in there)
    return there if alike else []


def _fuse(outcomes: Sequence[Outcome], weights: Sequence[float]) -> Outcome:
    probabilities = fused([outcome.probabilities for outcome in outcomes], weights)
    return Outcome(np.asarray(probabilities, np.float32), outcomes[0].truth, outcomes[0].labels)
