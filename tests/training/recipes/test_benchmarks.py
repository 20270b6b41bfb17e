"""Recipes for small public sets name sets that can be read, and networks that can be built."""

from dataclasses import replace

import pytest
import torch

from models.registry import names
from pipeline.layouts import layout_named
from training.datasets.registry import reader_names
from training.loop import build_recogniser
from training.recipe import SequenceRecipe
from training.recipes.benchmarks import SIZES, jhmdb14, msr_action3d, nw_ucla, penn_action, utd_mhad

RECIPES = (jhmdb14, msr_action3d, nw_ucla, penn_action, utd_mhad)


@pytest.mark.parametrize("recipe", [make() for make in RECIPES], ids=lambda recipe: recipe.name)
def test_a_recipe_is_called_as_its_data_set_and_holds_nothing_out(recipe: SequenceRecipe) -> None:
    assert recipe.name == recipe.data_set
    assert recipe.data_set in reader_names()
    assert recipe.held_out_share == 0


def test_every_recogniser_has_a_size() -> None:
    assert set(SIZES) == set(names()) - {"pooling"}  # the one of these tests


@pytest.mark.parametrize("make", [nw_ucla, penn_action], ids=["in space", "in the plane"])
@pytest.mark.parametrize("architecture", SIZES)
def test_every_recogniser_can_be_trained_by_it(architecture: str, make: type[SequenceRecipe]) -> None:
    recipe = replace(make(), architecture=architecture, options=SIZES[architecture], classes=("wave", "jump"))
    model = build_recogniser(recipe)
    features = recipe.features
    x = torch.randn(2, features.num_frames, 1, len(layout_named(features.layout)), len(features.channels))
    model(x).sum().backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []  # or several processes would wait for their gradients
