"""The recipe for one's own clips takes its labels from them, and keeps what it tests on apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import COCO17, make_figure

from pipeline.layouts import PENN13
from training.conversion import convert
from training.examples import divide, learned, read_sets
from training.measure import measure
from training.recipe import WindowRecipe
from training.recipes.everyday import everyday
from training.recipes.own import own
from training.runs import changed
from training.sources.registry import LabelledSequence, Opened


def write_clips(path: Path, labels: tuple[str, ...], *, each: int = 10, split: dict[int, dict[str, bool]]) -> Path:
    """Write sequences of somebody who stands, each its own subject; ``split`` says what some have a part in."""
    figure = np.tile(make_figure()[None, None], (30, 1, 1, 1))
    scores = np.full((30, 1, 17), 0.9, np.float32)
    sequences = [
        LabelledSequence(
            id=f"{label}/{number}",
            label=label,
            keypoints=figure,
            scores=scores,
            fps=15.0,
            subject=each * place + number,
            splits=split.get(number, {}),
        )
        for place, label in enumerate(labels)
        for number in range(each)
    ]
    convert(Opened(COCO17, labels, iter(sequences), len(sequences)), path)
    return path


def recipe_for(path: Path) -> WindowRecipe:
    recipe = changed(own(), learned(own(), {}, read_sets(own(), path)))
    assert isinstance(recipe, WindowRecipe)
    return recipe


def test_labels_are_those_of_the_data_and_what_every_service_needs(tmp_path: Path) -> None:
    path = write_clips(tmp_path / "clips.npz", ("wave", "bow"), split={})
    assert recipe_for(path).class_labels == ("bow", "wave", "idle", "other")


@pytest.mark.parametrize("labels", [("wave", "other"), ("wave", "idle")], ids=lambda labels: labels[1])
def test_clips_of_other_things_and_of_nothing_are_the_labels_that_are_there_already(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    path = write_clips(tmp_path / "clips.npz", labels, split={})
    recipe = recipe_for(path)
    assert recipe.class_labels == ("wave", "idle", "other")
    parts = divide(recipe, read_sets(recipe, path))
    assert {example.label for example in parts.train} == set(labels)


def test_what_is_split_off_is_tested_and_nothing_else_is(tmp_path: Path) -> None:
    sides = {number: {"test": number > 1} for number in range(9)}  # the tenth has no part
    path = write_clips(tmp_path / "clips.npz", ("wave", "bow"), split=sides)
    recipe = recipe_for(path)
    parts = divide(recipe, read_sets(recipe, path))
    numbers = [{example.index % 10 for example in part} for part in (parts.train, parts.calibration, parts.test)]
    assert numbers[2] == {0, 1}
    assert numbers[0] | numbers[1] == set(range(2, 9))
    assert (len(parts.train), len(parts.calibration), len(parts.test)) == (12, 2, 4)


def test_without_a_split_all_but_what_is_held_out_trains(tmp_path: Path) -> None:
    path = write_clips(tmp_path / "clips.npz", ("wave", "bow"), split={})
    recipe = recipe_for(path)
    parts = divide(recipe, read_sets(recipe, path))
    assert (len(parts.train), len(parts.calibration), len(parts.test)) == (17, 3, 0)


def test_figures_are_called_after_the_recipe(tmp_path: Path) -> None:
    path = write_clips(tmp_path / "clips.npz", ("wave", "bow"), split={0: {"test": False}, 1: {"test": True}})
    recipe = replace(recipe_for(path), held_out_share=0.5)
    parts = divide(recipe, read_sets(recipe, path))
    figures = measure(
        lambda clips: np.tile(np.eye(4, dtype=np.float32)[1], (len(clips), 1)), parts, recipe, temperature=1
    )
    assert figures["own_top1"] == 0.5  # it says "wave" of everything
    assert "penn_action_top1" not in figures
    assert "held_out_groups_top1" in figures


def test_the_network_and_its_input_are_those_of_everyday() -> None:
    assert (own().architecture, own().options, own().features) == (
        everyday().architecture,
        everyday().options,
        everyday().features,
    )
    assert own().features.layout == PENN13.name
