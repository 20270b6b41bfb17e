"""Sequences in random order: the same items whoever loads them, all of them once a pass."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.features import FeatureSpec, make_features
from training.examples import Example, divide, learned, read_sets
from training.loop import _batches, dataset_of
from training.recipe import SequenceRecipe
from training.runs import changed
from training.sequences import SequenceDataset
from training.variation import Variation, settle

BARE = SequenceRecipe(
    name="sticks",
    description="Stick figures' own classes",
    architecture="pooling",
    features=FeatureSpec(layout="penn13", num_frames=12, window_s=2.0),
    data_set="penn_action",
    held_out_share=0.0,
)


@pytest.fixture(scope="module")
def examples(data: Path) -> tuple[Example, ...]:
    return divide(BARE, read_sets(BARE, data)).train


@pytest.fixture(scope="module")
def recipe(data: Path) -> SequenceRecipe:
    settings = {"variation": {"jitter": 0.02, "roll_deg": 10}, "repeats": 2}
    known = changed(BARE, learned(BARE, settings, read_sets(BARE, data)))
    assert isinstance(known, SequenceRecipe)
    return known


def items_of(dataset: SequenceDataset) -> list[tuple[bytes, int]]:
    return [(values.numpy().tobytes(), int(label)) for values, label in (dataset[item] for item in range(len(dataset)))]


def test_the_classes_are_the_data_sets_own_in_its_order(recipe: SequenceRecipe) -> None:
    assert recipe.classes == ("squat", "jumping_jacks", "golf_swing")


def test_every_sequence_is_taken_once_a_pass(recipe: SequenceRecipe, examples: tuple[Example, ...]) -> None:
    plain = replace(recipe, variation=Variation())
    expected = Counter(
        make_features(settle(one.clip(), Variation(), spec=plain.features), plain.features).values.tobytes()
        for one in examples
    )
    dataset = SequenceDataset(plain, examples)
    assert len(dataset) == 2 * len(examples)
    taken = [values for values, _ in items_of(dataset)]
    for pass_ in (taken[: len(examples)], taken[len(examples) :]):
        assert Counter(pass_) == expected


def test_an_item_has_the_label_of_its_sequence(recipe: SequenceRecipe, examples: tuple[Example, ...]) -> None:
    counts = Counter(label for _, label in items_of(SequenceDataset(recipe, examples)))
    truth = Counter(recipe.class_labels.index(one.label) for one in examples)
    assert counts == {label: 2 * count for label, count in truth.items()}


def test_items_are_what_the_network_takes(recipe: SequenceRecipe, examples: tuple[Example, ...]) -> None:
    values, label = SequenceDataset(recipe, examples)[0]
    assert values.shape == (12, 1, 13, 2)
    assert values.dtype is torch.float32
    assert label.dtype is torch.int64


def test_items_are_the_same_in_whatever_order_and_process_they_are_loaded(
    recipe: SequenceRecipe, examples: tuple[Example, ...]
) -> None:
    dataset = SequenceDataset(recipe, examples)
    there = items_of(dataset)
    np.random.default_rng(0).random()
    backwards = [dataset[item] for item in reversed(range(len(dataset)))][::-1]
    assert [(values.numpy().tobytes(), int(label)) for values, label in backwards] == there
    fabric = _OneProcess()
    for workers in (0, 2):
        batches = list(_batches(dataset, recipe, fabric, workers))  # type: ignore[arg-type]
        values = torch.cat([clips for clips, _ in batches])
        assert [one.numpy().tobytes() for one in values] == [one for one, _ in there]


class _OneProcess:
    global_rank, world_size, device = 0, 1, torch.device("cpu")


def test_passes_epochs_and_seeds_differ(recipe: SequenceRecipe, examples: tuple[Example, ...]) -> None:
    dataset, other = SequenceDataset(recipe, examples), SequenceDataset(replace(recipe, seed=1), examples)
    first = items_of(dataset)
    dataset.epoch = 1
    later = items_of(dataset)
    dataset.epoch = 0
    seen = [values for values, _ in (*first, *later, *items_of(other))]
    assert len(set(seen)) == len(seen) == 6 * len(examples)
    assert [label for _, label in first] != [label for _, label in later]
    assert items_of(dataset) == first


def test_the_loop_loads_a_sequence_recipe_so(recipe: SequenceRecipe, examples: tuple[Example, ...]) -> None:
    assert isinstance(dataset_of(recipe, examples), SequenceDataset)
