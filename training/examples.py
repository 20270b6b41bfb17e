"""Which labelled sequences belong to which part of a training: trained on, held out, or only tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.layouts import layout_named
from pipeline.values import SkeletonClip
from training.datasets.registry import read_set
from training.datasets.skeleton_set import B1, I8, NO_PART, TESTED, TRAINS, SkeletonSet
from training.recipe import Recipe, SequenceRecipe, WindowRecipe

# The data sets whose first split counts where a recogniser learns windows; of others, everything trains.
TESTED_SETS = ("penn_action", "own")


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One sequence of a set, under the recipe's label."""

    source: SkeletonSet
    index: int
    label: str

    def clip(self) -> SkeletonClip:
        """Return the whole sequence."""
        return self.source.clip(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Examples to train on, to calibrate and choose by (groups held out of training), and to test (official split)."""

    train: tuple[Example, ...]
    calibration: tuple[Example, ...]
    test: tuple[Example, ...]


def read_sets(recipe: Recipe, data: Path) -> dict[str, SkeletonSet]:
    """Read the recipe's data sets in its layout: ``data`` is a folder with ``NAME.npz`` each, or the only file."""
    layout = layout_named(recipe.features.layout)
    return {name: read_set(name, data / f"{name}.npz" if data.is_dir() else data, layout) for name in recipe.data_sets}


def learned(recipe: Recipe, settings: Mapping[str, object], sets: Mapping[str, SkeletonSet]) -> dict[str, object]:
    """Return the settings with what the recipe leaves to the data: the classes of a data set that it knows none of."""
    if isinstance(recipe, SequenceRecipe):
        return {"classes": [label for source in sets.values() for label in source.classes], **settings}
    assert isinstance(recipe, WindowRecipe)
    unknown = [name for name, labels in recipe.labels.items() if not labels and name in sets]
    labels = {name: {label: label for label in sets[name].classes} for name in unknown}
    return {"labels": labels, **settings} if labels else dict(settings)


def divide(recipe: Recipe, sets: Mapping[str, SkeletonSet], *, tested: Sequence[str] = TESTED_SETS) -> Parts:
    """Split all sequences into parts.

    What a ``WindowRecipe`` leaves out is in the test part only, under its own label; sets in ``tested`` keep their
    official test split out of its training. A ``SequenceRecipe`` tests on what its split tests. What has no part in a
    split is in no part at all.

    Raises:
        ValueError: the set has no split of the recipe's name.
    """
    parts: dict[str, list[Example]] = {"train": [], "calibration": [], "test": []}
    for name, source in sets.items():
        is_split = isinstance(recipe, SequenceRecipe) or name in tested
        sides = _sides(recipe, source) if is_split else np.full(len(source), TRAINS)
        held = held_out_groups(source, recipe.held_out_share, trains=sides == TRAINS if is_split else None)
        for index in range(len(source)):
            label = _label(recipe, source, index)
            if label is None or sides[index] == NO_PART:
                continue
            if _is_left_out(recipe, name, label) or sides[index] == TESTED:
                part = "test"
            else:
                part = "calibration" if source.groups[index] in held else "train"
            parts[part].append(Example(source, index, label))
    return Parts(*(tuple(parts[part]) for part in ("train", "calibration", "test")))


def check_examples(recipe: Recipe, parts: Parts) -> None:
    """Raise ``ValueError`` where there is nothing to train on, or nothing for some label of a recipe that is whole.

    What folds leave out may well be all that there is of another label.
    """
    if not parts.train:
        raise ValueError("nothing is left to train on: leave out less")
    if isinstance(recipe, WindowRecipe) and recipe.left_out:
        return
    made = {recipe.idle_label, recipe.other_label} if isinstance(recipe, WindowRecipe) else set()
    seen = {example.label for example in parts.train}
    if unseen := [label for label in recipe.class_labels if label not in seen | made]:
        raise ValueError(
            f"no sequence trains {', '.join(unseen)}: expected some of each label in the training part, beside those "
            "that are held out and tested; record more, or take the label out"
        )


def _sides(recipe: Recipe, source: SkeletonSet) -> I8:
    """Return the recipe's split, or the first one if it names none."""
    split = (recipe.split if isinstance(recipe, SequenceRecipe) else "") or next(iter(source.splits))
    if split not in source.splits:
        raise ValueError(f"{source.name} has no split {split!r}: expected one of {', '.join(source.splits)}")
    return source.splits[split]


def _label(recipe: Recipe, source: SkeletonSet, index: int) -> str | None:
    label = source.label(index)
    return recipe.labels[source.name].get(label, recipe.other_label) if isinstance(recipe, WindowRecipe) else label


def _is_left_out(recipe: Recipe, name: str, label: str) -> bool:
    return isinstance(recipe, WindowRecipe) and bool({name, label} & recipe.left_out)


def held_out_groups(source: SkeletonSet, share: float, *, trains: B1 | None = None) -> frozenset[int]:
    """Choose the groups of a set that are held out of training: always the same ones, at least one if any."""
    groups = np.unique(source.groups[source.train if trains is None else trains])
    num = max(1, round(share * len(groups))) if share else 0
    chosen = np.random.default_rng(0).permutation(groups)[:num]
    return frozenset(int(group) for group in chosen)
