"""The commands that need torch: train, evaluate, export, import and more. ``marey.py`` hands over to ``app``."""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.layouts import NTU25, layout_named
from training.bundles import export_bundle
from training.catalogue import catalogue
from training.evaluate_command import Data, evaluate
from training.examples import check_examples, divide, learned, read_sets
from training.folds import check_folds
from training.importing import Checkpoint, import_checkpoint
from training.labels import read_labels
from training.loop import CHECKPOINT_FILE
from training.loop import train as train_recipe
from training.recipes.registry import recipe_named, recipe_names
from training.runs import RUN_FILE, Run, changed
from training.settings import parse_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Train, evaluate and export recognisers.")

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
        settings = parse_settings(changes or ())
        if leave_out:
            settings["left_out"] = sorted(leave_out)
        named, begun = recipe_named(recipe), Run.open(out) if resume and (out / RUN_FILE).exists() else None
        if begun and begun.recipe.name != named.name:
            raise ValueError(f"{out} was started with recipe {begun.recipe.name!r}: go on with that, or elsewhere")
        if not resume and (out / CHECKPOINT_FILE).exists():
            raise ValueError(f"{out} holds a run already: go on with --resume, or choose another folder")
        sets = read_sets(changed(named, settings), data)
        run = begun or Run.start(out, recipe, learned(named, settings, sets))
        if settings and changed(named, learned(named, settings, sets)) != run.recipe:
            raise ValueError(f"{out} was started with other settings: see its {RUN_FILE}, and give those or none")
        parts = divide(run.recipe, sets)
        check_examples(run.recipe, parts)
    train_recipe(run.recipe, parts.train, out, resume=resume)


app.command()(evaluate)


@app.command()
def export(
    runs: Annotated[list[Path], typer.Argument(help="The run to export, or several to export as one ensemble.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    folds: Fold = None,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1.0.0",
    name: Annotated[str, typer.Option(help="The bundle's name, if not the recipe's.")] = "",
) -> None:
    """Turn a run into a bundle: calibrated, measured, checked against the trained model."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    opened, others = [Run.open(run) for run in runs], [Run.open(fold) for fold in folds or ()]
    with _callers_mistakes():
        check_folds(others)
        bundle = export_bundle(opened, others, data, out, version=version, name=name)
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


def _parse_option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, _with_tuples(json.loads(value))
    except ValueError as error:
        raise ValueError(f"--set {text}: expected OPTION=JSON, but reading it failed: {error}") from error


def _with_tuples(value: object) -> object:
    """Return a value of JSON as configurations have it, which know no lists."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
