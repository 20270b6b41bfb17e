"""Recipes are known by name."""

import pytest

from training.recipe import Recipe
from training.recipes.everyday import everyday
from training.recipes.registry import recipe_named, recipe_names, register


def test_every_recipe_of_the_folder_is_known_and_can_be_made() -> None:
    assert {"everyday", "everyday-quick"} <= set(recipe_names())
    assert all(isinstance(recipe_named(name), Recipe) for name in recipe_names())


def test_a_recipe_has_the_name_that_it_is_known_by() -> None:
    assert [recipe_named(name).name for name in recipe_names()] == list(recipe_names())


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe 'everyway': expected one of .*everyday, everyday-quick"):
        recipe_named("everyway")


def test_a_name_is_given_once() -> None:
    recipe_names()
    with pytest.raises(ValueError, match="recipe 'everyday' is registered already"):
        register("everyday")(everyday)
