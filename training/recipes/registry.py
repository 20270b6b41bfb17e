"""Recipes by name. One new recipe is one function in a file of this folder."""

from collections.abc import Callable

from pipeline.registry import Registry
from training.recipe import Recipe

_RECIPES: Registry[str, Callable[[], Recipe]] = Registry("recipe", "training.recipes")
register = _RECIPES.register
recipe_names = _RECIPES.keys


def recipe_named(name: str) -> Recipe:
    """Return a recipe; ``ValueError`` lists the known ones."""
    return _RECIPES[name]()
