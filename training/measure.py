"""Every figure of a card, each from sequences that the model was never trained on."""

from training.evaluate import (
    Classifier,
    each_noisy_window,
    judge_noisy,
    judge_sequences,
    judge_still,
    judge_whole,
)
from training.examples import TESTED_SETS, Example, Parts
from training.recipe import Recipe, SequenceRecipe, WindowRecipe, windowed
from training.scores import calibration_error


def measure(classify: Classifier, parts: Parts, recipe: Recipe, *, temperature: float) -> dict[str, float]:
    """Return every figure that needs no folds, on official test splits and held-out groups, where there are any."""
    if isinstance(recipe, SequenceRecipe):
        return _measure_sequences(classify, parts, recipe, temperature)
    return _measure_windows(classify, parts, windowed(recipe), temperature)


def _measure_sequences(
    classify: Classifier, parts: Parts, recipe: SequenceRecipe, temperature: float
) -> dict[str, float]:
    figures = {}
    for name, examples in ((recipe.data_set, parts.test), ("held_out_groups", parts.calibration)):
        if examples:
            outcome = judge_whole(classify, examples, recipe, temperature=temperature)
            figures[f"{name}_top1"] = outcome.top1()
            figures[f"{name}_mean_class_accuracy"] = outcome.mean_class_accuracy()
            figures[f"{name}_calibration_error"] = calibration_error(outcome)
    return figures


def _measure_windows(classify: Classifier, parts: Parts, recipe: WindowRecipe, temperature: float) -> dict[str, float]:
    figures = _measure_tested(classify, parts, recipe, temperature)
    if parts.calibration:
        window_s = recipe.features.window_s
        held_out = judge_sequences(
            classify, parts.calibration, recipe.class_labels, window_s=window_s, temperature=temperature
        )
        figures["held_out_groups_top1"] = held_out.top1()
        figures["held_out_groups_calibration_error"] = calibration_error(held_out)
    return figures


def _measure_tested(classify: Classifier, parts: Parts, recipe: WindowRecipe, temperature: float) -> dict[str, float]:
    """Measure on the official test split, less the actions that the recipe leaves out; no split, no figures."""
    labels, window_s = recipe.class_labels, recipe.features.window_s
    tested = [example for example in parts.test if _is_official(example) and example.label in labels]
    if not tested:
        return {}
    name = tested[0].source.name
    known = sorted({example.label for example in tested})
    clean = judge_sequences(classify, tested, labels, window_s=window_s, temperature=temperature)
    noisy = judge_noisy(classify, tested, labels, temperature=temperature)
    windows = each_noisy_window(classify, tested, labels, temperature=temperature)
    still = judge_still(classify, tested, recipe)
    jittery = judge_still(classify, tested, recipe, noisy=True)
    return {
        f"{name}_top1": clean.top1(among=known),
        f"{name}_top1_among_all_labels": clean.top1(),
        f"{name}_noisy_top1": noisy.top1(among=known),
        f"{name}_noisy_window_top1": windows.top1(among=known),
        "still_windows_called_idle": still.top1(),
        "still_noisy_windows_called_idle": jittery.top1(),
    }


def _is_official(example: Example) -> bool:
    return example.source.name in TESTED_SETS and not example.source.train[example.index]
