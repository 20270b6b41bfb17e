"""The embedded recogniser's recipe, against the data sets that it names."""

from collections.abc import Callable

import pytest

from models.registry import names
from pipeline.layouts import LAYOUTS
from training.datasets.registry import reader_names
from training.datasets.skeleton_set import SkeletonSet
from training.loop import build_recogniser
from training.recipe import WindowRecipe
from training.recipes.everyday import LABELS, PENN_ACTIONS, REPEATED, everyday
from training.recipes.registry import recipe_named


@pytest.fixture
def recipe() -> WindowRecipe:
    return everyday()


def test_it_names_data_sets_an_architecture_and_a_layout_that_there_are(recipe: WindowRecipe) -> None:
    assert set(recipe.labels) <= set(reader_names())
    assert recipe.architecture in names()
    assert recipe.features.layout in LAYOUTS


@pytest.mark.parametrize("name", list(LABELS))
def test_every_class_that_it_names_is_in_the_data_set(name: str, read_real: Callable[[str], SkeletonSet]) -> None:
    assert set(LABELS[name]) <= set(read_real(name).classes)


def test_all_labels_that_are_treated_apart_are_labels(recipe: WindowRecipe) -> None:
    treated = REPEATED | recipe.strummed | recipe.arm_actions | recipe.leg_actions
    assert treated.union(recipe.in_passing, *recipe.in_passing.values()) <= set(recipe.class_labels)
    assert set(PENN_ACTIONS) <= set(recipe.class_labels)


def test_strummed_labels_come_from_sets_in_2d(recipe: WindowRecipe, read_real: Callable[[str], SkeletonSet]) -> None:
    sources = {name for name, labels in recipe.labels.items() if recipe.strummed & set(labels.values())}
    assert {read_real(name).keypoints.shape[-1] for name in sources} == {2}


def test_its_network_can_be_built_and_is_small(recipe: WindowRecipe) -> None:
    model = build_recogniser(recipe)
    assert sum(value.numel() for value in model.parameters()) < 1_000_000


def test_the_quick_one_differs_in_its_name_and_epochs_only(recipe: WindowRecipe) -> None:
    quick = recipe_named("everyday-quick")
    apart = [name for name in WindowRecipe.__dataclass_fields__ if getattr(quick, name) != getattr(recipe, name)]
    assert apart == ["name", "epochs"]
