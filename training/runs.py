"""A training run on disk: a folder with what was trained (``run.json``), the log, and the checkpoint."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from models.registry import Recogniser
from pipeline.errors import DataError
from pipeline.features import FeatureSpec, make_features, stack_features
from pipeline.values import F32, SkeletonClip
from training.augment import Augmentation
from training.disk import whole_file
from training.evaluate import Classifier
from training.loop import CHECKPOINT_FILE, build_recogniser, read_checkpoint
from training.recipe import Recipe
from training.recipes.registry import recipe_named
from training.variation import Variation

RUN_FILE = "run.json"
BATCH = 128
Settings = TypeVar("Settings", bound=Recipe | FeatureSpec | Augmentation | Variation)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run folder says: the recipe with its changes, and the commit that it was trained at."""

    folder: Path
    recipe: Recipe
    changes: Mapping[str, object]
    commit: str

    @classmethod
    def start(cls, folder: Path, recipe_name: str, changes: Mapping[str, object]) -> "Run":
        """Write down what is about to be trained; ``ValueError`` for a recipe or a setting that does not exist."""
        run = cls(folder, changed(recipe_named(recipe_name), changes), changes, current_commit())
        record = {"recipe": recipe_name, "changes": dict(changes), "commit": run.commit, "sha256": digest(run.recipe)}
        with whole_file(folder / RUN_FILE) as part:  # another process of the same training may be reading it
            part.write_text(json.dumps(record, indent=1, default=sorted) + "\n", encoding="utf-8")
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read a run's folder; ``DataError`` if it holds no run, or one whose recipe has been rewritten since."""
        try:
            record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            recipe = changed(recipe_named(record["recipe"]), record["changes"])
            run = cls(folder, recipe, record["changes"], record["commit"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{folder}: expected a run with {RUN_FILE}, but reading it failed: {error}") from error
        if record.get("sha256", digest(recipe)) != digest(recipe):
            raise DataError(
                f"{folder}: recipe {record['recipe']!r} is no longer what this run was trained by; check out commit "
                f"{run.commit or '(unknown)'}, or train again"
            )
        return run

    def load_model(self) -> Recogniser:
        """Return the trained model with its averaged weights; ``DataError`` if no epoch is complete."""
        weights = read_checkpoint(self.folder / CHECKPOINT_FILE)["average"]
        model = build_recogniser(self.recipe)
        model.load_state_dict(weights)
        return model.eval()


def changed(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """Return the recipe with settings replaced, those of ``features`` and the like by name in a mapping.

    Another architecture begins with its own defaults: the recipe's ``options`` are those of the one that it names.

    Raises:
        ValueError: it has no such setting, or the value is not of its kind.

    """
    if changes.get("architecture", recipe.architecture) != recipe.architecture:
        recipe = replace(recipe, options={})
    return _replaced(recipe, changes)


def _replaced(settings: Settings, changes: Mapping[str, object]) -> Settings:
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    unknown = sorted(set(changes) - set(known))
    if unknown:
        kind = type(settings).__name__
        raise ValueError(f"{kind} has no setting {', '.join(unknown)}: expected some of {', '.join(sorted(known))}")
    return replace(settings, **{name: _fitted(name, known[name], value) for name, value in changes.items()})


def _fitted(name: str, old: object, new: object) -> Any:
    """Return a new value in the type of the old one: JSON has neither sets nor tuples, and 1 may be 1.0 or "1"."""
    if isinstance(old, Recipe | FeatureSpec | Augmentation | Variation) and isinstance(new, Mapping):
        return _replaced(old, new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: _with_tuples(value) for key, value in new.items()}}
    if isinstance(old, frozenset | tuple) and isinstance(new, list | tuple | frozenset):
        return type(old)(new)
    if isinstance(old, float | str) and type(new) is int:
        return type(old)(new)
    if isinstance(new, type(old)) and isinstance(new, bool) == isinstance(old, bool):
        return new
    raise ValueError(f"{name}: expected a value such as {old!r}, got {new!r}")


def _with_tuples(value: object) -> object:
    """Return a value of JSON as configurations have it, which know no lists."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def digest(recipe: Recipe) -> str:
    """Return the sha256 of all that a recipe says, but for its description."""
    said = json.dumps(asdict(replace(recipe, description="")), default=sorted, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def classifier(model: nn.Module, recipe: Recipe) -> Classifier:
    """Return a function from windows to logits, by the features that serving uses."""

    @torch.no_grad()
    def classify(clips: Sequence[SkeletonClip]) -> F32:
        return np.concatenate([model(torch.from_numpy(batch)).numpy() for batch in feature_batches(clips, recipe)])

    return classify


def feature_batches(clips: Sequence[SkeletonClip], recipe: Recipe) -> Iterator[F32]:
    """Yield windows' features, some at a time: [B, T, M, V, C]."""
    for start in range(0, len(clips), BATCH):
        yield stack_features([make_features(clip, recipe.features) for clip in clips[start : start + BATCH]])


def current_commit() -> str:
    """Return the commit of the working tree, with "+" where it has changes; "" outside a repository."""
    try:
        describe = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(
            describe, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
