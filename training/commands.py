"""The commands that need torch: train, evaluate, export, import and more. ``marey.py`` hands over to ``app``."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bundle import CARD_FILE, Bundle, Card
from pipeline.errors import DataError
from pipeline.layouts import NTU25, layout_named
from pipeline.recognise import Recogniser
from training.bundles import export_bundle, measure
from training.catalogue import catalogue
from training.evaluate import Classifier
from training.folds import check_folds
from training.importing import Checkpoint, import_checkpoint, read_labels
from training.loop import CHECKPOINT_FILE
from training.loop import train as train_recipe
from training.recipe import Recipe
from training.recipes.registry import recipe_named, recipe_names
from training.runs import RUN_FILE, Run, changed, classifier
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
    with _callers_mistakes():
        settings = dict(_parse_change(change) for change in changes or ())
        if leave_out:
            settings["left_out"] = sorted(leave_out)
        run = _resume(out, recipe, settings) if resume and (out / RUN_FILE).exists() else None
        if not resume and (out / CHECKPOINT_FILE).exists():
            raise ValueError(f"{out} holds a run already: go on with --resume, or choose another folder")
        run = run or Run.start(out, recipe, settings)
    parts = divide(run.recipe, read_sets(run.recipe, data))
    if not parts.train:
        raise typer.BadParameter("nothing is left to train on: leave out less")
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
        recipe, classify, temperature = _recipe_of(recogniser.card), recogniser.logits, recogniser.card.temperature
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
    opened, others = Run.open(run), [Run.open(fold) for fold in folds or ()]
    with _callers_mistakes():
        check_folds(others)
    bundle = export_bundle(opened, others, data, out, version=version)
    typer.echo(bundle.card.to_json(), nl=False)


@app.command()
def recipes() -> None:
    """List the recipes."""
    typer.echo("\n".join(f"{name:20} {recipe_named(name).description}" for name in recipe_names()))


@app.command()
def architectures(
    layout: Annotated[str, typer.Option(help="The skeleton that is counted for.")] = NTU25.name,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the recognisers that can be trained: parameters, multiply-adds of two people's clip, layouts."""
    with _callers_mistakes():
        described = catalogue(layout_named(layout))
    if as_json:
        typer.echo(json.dumps([asdict(architecture) for architecture in described], indent=1))
        return
    for one in described:
        cost = f"{one.parameters / 1e6:6.2f} M {one.macs / 1e9:7.2f} GMAC   {one.frames} frames of {one.input}"
        typer.echo(f"{one.name:12} {cost}\n{'':12} {one.paper}")


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file of weights.")],
    source: Annotated[str, typer.Option("--format", help="Whose it is: mmaction2, pyskl, st-gcn, ...")],
    architecture: Annotated[str, typer.Option(help="Our recogniser: see marey models architectures.")],
    labels: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="One label a line, or a JSON list.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    layout: Annotated[str | None, typer.Option(help="The skeleton, if not the one that fits.")] = None,
    name: Annotated[str, typer.Option(help="The bundle's name, if not the folder's.")] = "",
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = "",
    options: Annotated[list[str] | None, typer.Option("--set", help="OPTION=JSON of the recogniser.")] = None,
) -> None:
    """Turn a checkpoint of another implementation into a bundle."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with _callers_mistakes():
        wanted = Checkpoint(
            path=checkpoint,
            source=source,
            architecture=architecture,
            labels=read_labels(labels),
            layout=layout_named(layout) if layout else None,
            options=dict(_parse_option(option) for option in options or ()),
        )
        bundle = import_checkpoint(wanted, out, name=name, licence=licence)
    typer.echo(bundle.card.to_json(), nl=False)


@contextlib.contextmanager
def _callers_mistakes() -> Iterator[None]:
    """Report a ValueError as wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _resume(folder: Path, recipe: str, settings: Mapping[str, object]) -> Run:
    """Open a run to go on with; ``ValueError`` if it was started by another recipe, or other settings are given."""
    run = Run.open(folder)
    if changed(recipe_named(recipe), settings or run.changes) != run.recipe:
        raise ValueError(f"{folder} was started with another recipe or other settings: see its {RUN_FILE}")
    return run


def _recipe_of(card: Card) -> Recipe:
    """Return the recipe that divides the data for a bundle's evaluation."""
    try:
        recipe = replace(recipe_named(card.name), features=card.features, still_motion=card.still_motion)
    except ValueError as error:
        raise DataError(f"no recipe says what model {card.name!r} was trained on: {error}") from error
    if recipe.class_labels != card.labels:
        raise DataError(f"model {card.name!r} has other labels than its recipe: evaluate the run that it came from")
    return recipe


def _parse_change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    known = {field.name for field in fields(Recipe)}
    if not equals or name not in known:
        raise ValueError(f"--set {text}: expected SETTING=JSON with one of {', '.join(sorted(known))}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _parse_option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, _with_tuples(json.loads(value))
    except ValueError as error:
        raise ValueError(f"--set {text}: expected OPTION=JSON, but reading it failed: {error}") from error


def _with_tuples(value: object) -> object:
    """Return a value of JSON as configurations have it, which know no lists."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
