"""A card's figures are there where there is something to measure, and are of what their names say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.values import SkeletonClip
from training.evaluate import Classifier
from training.examples import Parts, divide, learned, read_sets
from training.measure import measure
from training.recipe import Recipe, SequenceRecipe, WindowRecipe
from training.runs import changed

OF_WINDOWS = {
    "penn_action_top1",
    "penn_action_top1_among_all_labels",
    "penn_action_noisy_top1",
    "penn_action_noisy_window_top1",
    "still_windows_called_idle",
    "still_noisy_windows_called_idle",
}
HELD_OUT_WINDOWS = {"held_out_groups_top1", "held_out_groups_calibration_error"}
OF_SEQUENCES = {"penn_action_top1", "penn_action_mean_class_accuracy", "penn_action_calibration_error"}
HELD_OUT_SEQUENCES = {f"held_out_groups_{figure}" for figure in ("top1", "mean_class_accuracy", "calibration_error")}


def always(label: str, recipe: Recipe, *, sureness: float = 20.0) -> Classifier:
    row = sureness * (np.array(recipe.class_labels) == label).astype(np.float32)

    def classify(clips: Sequence[SkeletonClip]) -> NDArray[np.float32]:
        return np.tile(row, (len(clips), 1))

    return classify


@pytest.fixture(scope="module")
def known(tiny_sequences: SequenceRecipe, data: Path) -> Recipe:
    """The recipe with the classes that a run would fill in."""
    return changed(tiny_sequences, learned(tiny_sequences, {}, read_sets(tiny_sequences, data)))


def parts_of(recipe: Recipe, data: Path) -> Parts:
    return divide(recipe, read_sets(recipe, data))


def test_whole_sequences_have_figures_of_their_test_and_of_what_was_held_out(known: Recipe, data: Path) -> None:
    parts = parts_of(known, data)
    figures = measure(always("squat", known), parts, known, temperature=1.0)
    assert set(figures) == OF_SEQUENCES | HELD_OUT_SEQUENCES
    share = np.mean([example.label == "squat" for example in parts.test])
    assert figures["penn_action_top1"] == pytest.approx(share)
    assert figures["penn_action_mean_class_accuracy"] == pytest.approx(1 / 3)
    assert figures["penn_action_calibration_error"] == pytest.approx(1 - share, abs=1e-3)


def test_what_was_not_held_out_has_no_figures(known: Recipe, data: Path) -> None:
    recipe = replace(known, held_out_share=0.0)
    assert set(measure(always("squat", recipe), parts_of(recipe, data), recipe, temperature=1.0)) == OF_SEQUENCES


def test_the_temperature_counts(known: Recipe, data: Path) -> None:
    sure, unsure = (
        measure(always("squat", known, sureness=4.0), parts_of(known, data), known, temperature=temperature)
        for temperature in (0.3, 4.0)
    )
    assert sure["penn_action_calibration_error"] > unsure["penn_action_calibration_error"]
    assert sure["penn_action_top1"] == unsure["penn_action_top1"]


def test_windows_have_figures_of_the_official_test_of_noise_and_of_stillness(tiny: WindowRecipe, data: Path) -> None:
    figures = measure(always("squat", tiny), parts_of(tiny, data), tiny, temperature=1.0)
    assert set(figures) == OF_WINDOWS | HELD_OUT_WINDOWS
    assert all(0 <= figure <= 1 for figure in figures.values())
    assert figures["penn_action_top1"] == pytest.approx(1 / 3)


def test_answers_count_among_the_labels_of_the_test_set_and_among_all(tiny: WindowRecipe, data: Path) -> None:
    best, second = (tiny.class_labels.index(label) for label in ("walk", "squat"))  # nobody walks in the test set
    row = 10 * np.eye(len(tiny.class_labels), dtype=np.float32)[best]
    row[second] = 5
    figures = measure(lambda clips: np.tile(row, (len(clips), 1)), parts_of(tiny, data), tiny, temperature=1.0)
    assert figures["penn_action_top1_among_all_labels"] == 0
    assert figures["penn_action_top1"] == pytest.approx(1 / 3)


def test_without_an_official_test_there_are_the_held_out_groups(tiny: WindowRecipe, data: Path) -> None:
    recipe = replace(tiny, labels={"kard": tiny.labels["kard"]}, strummed=frozenset(), repeated=frozenset())
    assert set(measure(always("wave", recipe), parts_of(recipe, data), recipe, temperature=1.0)) == HELD_OUT_WINDOWS
    bare = replace(recipe, held_out_share=0.0)
    assert measure(always("wave", bare), parts_of(bare, data), bare, temperature=1.0) == {}
