"""A training run on disk: a folder with what was trained (``run.json``), the log, and the checkpoint."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.errors import DataError
from pipeline.features import make_features, stack_features
from pipeline.values import F32, SkeletonClip
from training.evaluate import Classifier
from training.loop import CHECKPOINT_FILE, build_recogniser
from training.recipe import Recipe
from training.recipes.registry import recipe_named

RUN_FILE = "run.json"
BATCH = 128


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
        folder.mkdir(parents=True, exist_ok=True)
        record = {"recipe": recipe_name, "changes": dict(changes), "commit": run.commit}
        (folder / RUN_FILE).write_text(json.dumps(record, indent=1, default=sorted) + "\n", encoding="utf-8")
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read a run's folder; ``DataError`` if it holds no run."""
        try:
            record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: expected a run with {RUN_FILE}, but reading it failed: {error}") from error
        return cls(
            folder, changed(recipe_named(record["recipe"]), record["changes"]), record["changes"], record["commit"]
        )

    def load_model(self) -> nn.Module:
        """Return the trained model with its averaged weights; ``DataError`` if no epoch is complete."""
        path = self.folder / CHECKPOINT_FILE
        if not path.exists():
            raise DataError(f"{path}: expected a checkpoint, found none; train the run first")
        model = build_recogniser(self.recipe)
        model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["average"])
        return model.eval()


def changed(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """Return the recipe with settings replaced; ``ValueError`` names a setting that it does not have."""
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise ValueError(
            f"recipe {recipe.name!r} has no setting {', '.join(unknown)}: expected {', '.join(sorted(known))}"
        )
    adapted = dict(changes)
    if isinstance(left_out := changes.get("left_out"), Iterable):
        adapted["left_out"] = frozenset(left_out)  # JSON knows lists only
    return replace(recipe, **adapted)  # type: ignore[arg-type]  # names are checked above, values by their users


def classifier(model: nn.Module, recipe: Recipe) -> Classifier:
    """Return a function from windows to logits, by the features that serving uses."""

    @torch.no_grad()
    def classify(clips: Sequence[SkeletonClip]) -> F32:
        batches = (clips[start : start + BATCH] for start in range(0, len(clips), BATCH))
        values = (stack_features([make_features(clip, recipe.features) for clip in batch]) for batch in batches)
        return np.concatenate([model(torch.from_numpy(batch)).numpy() for batch in values])

    return classify


def current_commit() -> str:
    """Return the commit of the working tree, with "+" where it has changes; "" outside a repository."""
    try:
        describe = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(
            describe, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
