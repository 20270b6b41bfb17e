"""The commands that need torch: train, evaluate, export. ``marey.py`` hands over to ``app``."""

import json
import logging
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bundle import CARD_FILE, Bundle
from pipeline.errors import DataError
from pipeline.recognise import Recogniser
from training.bundles import export_bundle, measure
from training.evaluate import Classifier
from training.loop import train as train_recipe
from training.recipe import Recipe
from training.recipes.registry import recipe_named, recipe_names
from training.runs import RUN_FILE, Run, classifier
from training.windows import divide, read_sets

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Train, evaluate and export recognisers.")

Data = Annotated[Path, typer.Option(help="Folder with the recipe's data sets, NAME.npz each.")]
Fold = Annotated[list[Path] | None, typer.Option("--fold", help="A run with left_out; may be given several times.")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="The recipe's name.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run: log, checkpoint, what was trained.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="SETTING=JSON, e.g. epochs=6.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="A data set or an action not to train on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last complete epoch.")] = False,
) -> None:
    """Train a recogniser by a recipe."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        settings = dict(_parse_change(change) for change in changes or ())
        if leave_out:
            settings["left_out"] = sorted(leave_out)
        run = Run.open(out) if resume and (out / RUN_FILE).exists() else Run.start(out, recipe, settings)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    parts = divide(run.recipe, read_sets(run.recipe, data))
    train_recipe(run.recipe, parts.train, out, resume=resume)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A run, or a bundle.")],
    data: Data,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Measure a run or a bundle on official test splits and held-out groups."""
    classify: Classifier
    if (model / CARD_FILE).exists():
        recogniser = Recogniser(Bundle.open(model))
        recipe, classify, temperature = (
            recipe_named(recogniser.card.name),
            recogniser.logits,
            recogniser.card.temperature,
        )
    elif (model / RUN_FILE).exists():
        run = Run.open(model)
        recipe, classify, temperature = run.recipe, classifier(run.load_model(), run.recipe), 1.0
    else:
        raise DataError(f"{model}: expected a bundle with {CARD_FILE} or a run with {RUN_FILE}")
    figures = measure(classify, divide(recipe, read_sets(recipe, data)), recipe, temperature=temperature)
    lines = (
        json.dumps(figures, indent=1)
        if as_json
        else "\n".join(f"{name:36} {value:.4f}" for name, value in figures.items())
    )
    typer.echo(lines)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The run to export.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    folds: Fold = None,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1.0.0",
) -> None:
    """Turn a run into a bundle: calibrated, measured, checked against the trained model."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    bundle = export_bundle(Run.open(run), [Run.open(fold) for fold in folds or ()], data, out, version=version)
    typer.echo(bundle.card.to_json())


@app.command()
def recipes() -> None:
    """List the recipes."""
    typer.echo("\n".join(f"{name:20} {recipe_named(name).description}" for name in recipe_names()))


def _parse_change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    known = {field.name for field in fields(Recipe)}
    if not equals or name not in known:
        raise ValueError(f"--set {text}: expected SETTING=JSON with one of {', '.join(sorted(known))}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
