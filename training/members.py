"""Several runs as one recogniser: whether they fit together, and how much each of them counts."""

from collections.abc import Sequence

import numpy as np

from models.ensemble import FusedRecogniser, ensemble_of
from models.registry import Recogniser
from training.evaluate import calibration_windows
from training.examples import Parts
from training.fusion import fit_ensemble, fit_streams
from training.recipe import Recipe
from training.runs import Run, feature_batches

# In what the recipes of runs that become one recogniser must be alike.
ALIKE = ("features", "class_labels", "data_sets", "split", "held_out_share", "left_out")


def common_recipe(runs: Sequence[Run]) -> Recipe:
    """Return the recipe of the first run; ``ValueError`` if another one sees other features or data, or answers others.

    What differs between members is the network, how it was trained, and the seed; what was held out of the training of
    one was held out of all, or weights would be fitted to what a member has learned by heart.
    """
    first, *others = (run.recipe for run in runs)
    for setting in ALIKE:
        if any(getattr(other, setting, None) != getattr(first, setting, None) for other in others):
            folders = ", ".join(str(run.folder) for run in runs)
            raise ValueError(f"expected runs of the same {setting} to make one recogniser of, not so in {folders}")
    return first


def fused_model(runs: Sequence[Run], parts: Parts) -> Recogniser:
    """Return the ensemble of all runs' models, or the only one's, whose streams are weighed if it has several.

    Members that are one network trained several times count alike. Weighed on held-out people of data sets that they
    know, the one trained for longest would speak alone, though another may know more of what neither has seen.
    """
    models, recipe = [run.load_model() for run in runs], runs[0].recipe
    if len(models) == 1 and not _is_to_be_weighed(models[0], recipe):
        return models[0]
    windows = calibration_windows(parts.calibration, recipe)
    if not windows:
        return ensemble_of(models) if len(models) > 1 else models[0]
    batches = feature_batches([clip for clip, _ in windows], recipe)
    truth = np.array([recipe.class_labels.index(label) for _, label in windows])
    if len(models) > 1:
        return fit_ensemble(models, batches, truth, is_weighed=not _are_one_network(runs))
    (model,) = models
    assert isinstance(model, FusedRecogniser)
    model.weigh(fit_streams(model, batches, truth))
    return model


def _are_one_network(runs: Sequence[Run]) -> bool:
    first, *others = (run.recipe for run in runs)
    return all(one.architecture == first.architecture and one.options == first.options for one in others)


def _is_to_be_weighed(model: Recogniser, recipe: Recipe) -> bool:
    return isinstance(model, FusedRecogniser) and len(model.weights) > 1 and not recipe.options.get("weights")


def architecture_of(runs: Sequence[Run]) -> str:
    """Return what a card calls the model: "stfnet", or "ensemble of stfnet and ctrgcn"."""
    names = list(dict.fromkeys(run.recipe.architecture for run in runs))
    return f"ensemble of {' and '.join(names)}" if len(runs) > 1 else names[0]
