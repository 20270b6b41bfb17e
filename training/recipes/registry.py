"""Recipes by name: a dict and a decorator. One new recipe is one function in a file of this folder."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import TypeVar

from training.recipe import Recipe

R = TypeVar("R", bound=Recipe)

_RECIPES: dict[str, Callable[[], Recipe]] = {}


def register(name: str) -> Callable[[Callable[[], R]], Callable[[], R]]:
    """Make a recipe known under a name; ``ValueError`` if the name is taken."""

    def add(make: Callable[[], R]) -> Callable[[], R]:
        if name in _RECIPES:
            raise ValueError(f"recipe {name!r} is registered twice")
        _RECIPES[name] = make
        return make

    return add


def recipe_names() -> tuple[str, ...]:
    """Return the known recipes."""
    package = importlib.import_module("training.recipes")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"training.recipes.{module.name}")
    return tuple(sorted(_RECIPES))


def recipe_named(name: str) -> Recipe:
    """Return a recipe; ``ValueError`` lists the known ones."""
    known = recipe_names()
    if name not in known:
        raise ValueError(f"unknown recipe {name!r}: expected one of {', '.join(known)}")
    return _RECIPES[name]()
