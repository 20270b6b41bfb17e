"""``marey evaluate``: what a bundle, a run, or several runs fused come to on data that they were not trained on."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, fields, replace
from pathlib import Path
from typing import Annotated

import typer

import terminal
from pipeline.bundle import CARD_FILE, Bundle, Card
from pipeline.errors import DataError
from pipeline.recognise import Recogniser
from training.comparison import Judged, fuse_judged, judge_run
from training.evaluate import Classifier
from training.examples import divide, read_sets
from training.measure import measure
from training.recipe import Recipe, WindowRecipe
from training.recipes.registry import recipe_named
from training.runs import RUN_FILE, Run, classifier
from training.scores import ClassScore, Outcome, calibration_error, negative_log_likelihood

Data = Annotated[Path, typer.Option(help="Folder with the recipe's data sets, NAME.npz each, or the only one's file.")]


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="A bundle, or runs.")],
    data: Data,
    fuse: Annotated[bool, typer.Option("--fuse", help="Also fuse the runs, weighed on held-out groups.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for tables (CSV) and plots (PNG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Measure a bundle, or runs side by side, on official test splits and held-out groups."""
    with terminal.callers_mistakes():
        is_bundle = _is_bundle(models, fuse=fuse, out=out)
        if is_bundle or (len(models) == 1 and out is None and _learns_windows(models[0])):
            figures = _measured(models[0], data)
            typer.echo(json.dumps(figures, indent=1) if as_json else "\n".join(_line(*one) for one in figures.items()))
            return
        judged = [judge_run(Run.open(model), data) for model in models]
        judged += [fuse_judged(judged)] if fuse else []
    if out is not None:
        for one in judged:
            write_report(one, out if len(judged) == 1 else out / one.name)
    typer.echo(json.dumps([_figures(one) for one in judged], indent=1) if as_json else _table(judged))


def _is_bundle(models: Sequence[Path], *, fuse: bool, out: Path | None) -> bool:
    """Say whether a bundle is to be measured; ``ValueError`` for what can be said of runs only."""
    names = [model.resolve().name for model in models]
    bundles = [str(model) for model in models if (model / CARD_FILE).exists()]
    if bundles and (len(models) > 1 or fuse or out):
        raise ValueError(f"{', '.join(bundles)}: a bundle is measured by itself; compare, fuse and plot its runs")
    if fuse and len(models) == 1:
        raise ValueError(f"expected several runs to fuse, got {names[0]} alone")
    if out and len(set(names)) < len(names):
        raise ValueError(f"each run has its own folder in {out}: expected runs of different names, got {names}")
    return bool(bundles)


def write_report(judged: Judged, folder: Path) -> None:
    """Write a table of the classes, and plots of confusions, recall and calibration."""
    from training.plots import plot_confusion, plot_per_class, plot_reliability

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "per_class.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(field.name for field in fields(ClassScore))
        table.writerows(astuple(row) for row in judged.test.per_class())
    for plot in (plot_confusion, plot_per_class, plot_reliability):
        plot(judged.test, folder / f"{plot.__name__.removeprefix('plot_')}.png")


def _learns_windows(folder: Path) -> bool:
    if not (folder / RUN_FILE).exists():
        raise DataError(f"{folder}: expected a bundle with {CARD_FILE} or a run with {RUN_FILE}")
    return isinstance(Run.open(folder).recipe, WindowRecipe)


def _measured(model: Path, data: Path) -> dict[str, float]:
    """Return the figures of a card, measured again."""
    classify: Classifier
    recipe: Recipe
    if (model / CARD_FILE).exists():
        recogniser = Recogniser(Bundle.open(model))
        recipe, classify, temperature = _recipe_of(recogniser.card), recogniser.logits, recogniser.card.temperature
    else:
        run = Run.open(model)
        recipe, classify, temperature = run.recipe, classifier(run.load_model(), run.recipe), 1.0
    return measure(classify, divide(recipe, read_sets(recipe, data)), recipe, temperature=temperature)


def _recipe_of(card: Card) -> WindowRecipe:
    """Return the recipe that divides the data for a bundle's evaluation."""
    try:
        recipe = recipe_named(card.name)
    except ValueError as error:
        raise DataError(f"no recipe says what model {card.name!r} was trained on: {error}") from error
    if not isinstance(recipe, WindowRecipe):
        raise DataError(f"{card.name!r} was trained on whole sequences: evaluate the run that it came from")
    recipe = replace(recipe, features=card.features, still_motion=card.still_motion)
    if recipe.class_labels != card.labels:
        raise DataError(f"model {card.name!r} has other labels than its recipe: evaluate the run that it came from")
    return recipe


def _figures(judged: Judged) -> dict[str, object]:
    test = judged.test
    figures: dict[str, object] = {
        "name": judged.name,
        "sequences": len(test),
        "top1": test.top1(),
        "top5": test.top_k(5),
        "mean_class_accuracy": test.mean_class_accuracy(),
        "calibration_error": calibration_error(test),
        "negative_log_likelihood": negative_log_likelihood(test),
        "held_out_top1": judged.held_out.top1() if judged.held_out else None,
        "per_class": [_without_nan(asdict(row)) for row in test.per_class()],
    }
    return figures | ({"weights": judged.weights} if judged.weights else {})


def _without_nan(row: dict[str, object]) -> dict[str, object]:
    """Say null where nothing was there to measure: JSON has no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _table(judged: Sequence[Judged]) -> str:
    lines = [f"{'':24} {'sequences':>9} {'top-1':>7} {'top-5':>7} {'classes':>7} {'held out':>8}"]
    lines += [_row(one) for one in judged]
    lines += [f"weights: {', '.join(f'{weight:.3f}' for weight in one.weights)}" for one in judged if one.weights]
    return "\n".join([*lines, "", *_classes(judged[-1].test)])


def _row(judged: Judged) -> str:
    test, held_out = judged.test, f"{judged.held_out.top1():8.4f}" if judged.held_out else f"{'-':>8}"
    return (
        f"{judged.name:24} {len(test):9} {test.top1():7.4f} {test.top_k(5):7.4f} {test.mean_class_accuracy():7.4f} "
        f"{held_out}"
    )


def _classes(outcome: Outcome) -> list[str]:
    rows = (
        f"{row.label:24} {row.count:9} {row.recall:7.4f} {row.precision:9.4f}  {row.mistaken_for or ''}"
        for row in outcome.per_class()
    )
    return [f"{'class':24} {'sequences':>9} {'recall':>7} {'precision':>9}  mistaken for", *rows]


def _line(name: str, value: float) -> str:
    return f"{name:36} {value:.4f}"
