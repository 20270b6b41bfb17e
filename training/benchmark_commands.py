"""The commands that train to compare: ``marey benchmark``. ``marey.py`` hands over to ``app``."""

import json
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import terminal
from models.streams import STREAMS
from pipeline.bundle import DEFAULT_MODEL
from pipeline.engine import DEFAULT_POSE, load_engine
from training.benchmark_page import DATA_SETS, PAGE, RESULTS, load_results, page_of
from training.benchmark_sets import Plan as SetsPlan
from training.benchmark_sets import run_sets
from training.claims import CLAIMS, try_claims
from training.clip_trials import Trial, tally, try_clips
from training.faithfulness import HELD_JOINTS, MOVING_JOINTS, judge_explanations
from training.folds import Reports, foreign_top1, judge_folds, reports_from
from training.recipe import windowed
from training.recipes.benchmarks import SIZES
from training.reproduction import Line, Plan, plans_of, reproduce, sequence_recipe
from training.runs import Run
from training.scores import Spread
from training.settings import parse_settings
from training.sources.clips import open_clips

# From where on `folds` counts reports.
SCORES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Train recognisers, and compare them.")


@app.callback()
def _group() -> None:
    """Keep the commands' names, however many there are."""


@app.command()
def papers(
    table: Annotated[str, typer.Option(help="PAPER:TABLE, such as amanet:5 or stf-net:IV.")],
    data: Annotated[Path, typer.Option(exists=True, help="A skeleton set, NAME.npz, or with --recipe its folder.")],
    recipe: Annotated[str, typer.Option(help="Train by this one, not by the paper's own or the set's own.")] = "",
    seeds: Annotated[
        str, typer.Option(help="Numbers such as 0,1,2: each network is trained once with each.")
    ] = "0,1,2",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="SETTING=JSON, e.g. epochs=6 or options.base_channels=16.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of results (JSON); those that are there count.")] = Path("results"),
    runs: Annotated[Path, typer.Option(help="Folder of the runs, which are gone on with.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Train every network of a paper's table, and show how far each is from the baseline, here and there."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with terminal.callers_mistakes():
        paper, _, number = table.partition(":")
        data_set = data.stem if data.is_file() else _data_set_of(recipe)
        plans = plans_of(paper, number, data_set=data_set, recipe=recipe, settings=parse_settings(changes or ()))
        chosen = _parse_seeds(seeds)
    reports = []
    for plan in plans:
        lines = []
        for line in reproduce(plan, data, seeds=chosen, runs=runs, out=out):
            terminal.say(f"{_name(line)}: {_percent(line.result.top1_spread)}")
            lines.append(line)
        reports.append(report(plan, lines))
        save(reports[-1], out, plan, lines)
        if not as_json:
            show(plan, lines)
    if as_json:
        typer.echo(json.dumps(reports, indent=1))


@app.command("sets")
def sets_(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder with the sets, NAME.npz each.")],
    data_sets: Annotated[str, typer.Option("--sets", help="Names with commas.")] = ",".join(DATA_SETS),
    architectures: Annotated[str, typer.Option(help="Names with commas.")] = ",".join(SIZES),
    streams: Annotated[str, typer.Option(help="Streams with commas, of those recognisers that have any.")] = "joint",
    seeds: Annotated[str, typer.Option(help="Numbers such as 0,1,2: each network is trained once with each.")] = "0",
    epochs: Annotated[int | None, typer.Option(min=1, help="If not as many as the set's recipe has.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of results (JSON) and logs (CSV).")] = RESULTS,
    runs: Annotated[Path, typer.Option(help="Folder of the runs, which are gone on with.")] = Path("runs"),
) -> None:
    """Train recognisers on public data sets, each stream by itself, and fuse streams and networks."""
    with terminal.callers_mistakes():
        plan = SetsPlan(
            data_sets=_names(data_sets, DATA_SETS, "--sets"),
            architectures=_names(architectures, SIZES, "--architectures"),
            streams=_names(streams, STREAMS, "--streams"),
            seeds=_parse_seeds(seeds),
            epochs=epochs,
        )
    for result in run_sets(plan, data, runs=runs, out=out):
        terminal.say(f"{result.name}: {_percent(result.top1_spread)}")


@app.command()
def claims(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder with the sets, NAME.npz each.")],
    data_set: Annotated[str, typer.Option("--on", help="The set to try them on.")] = "utd_mhad",
    names: Annotated[str, typer.Option("--claims", help="Names with commas.")] = ",".join(CLAIMS),
    seeds: Annotated[
        str, typer.Option(help="Numbers such as 0,1,2: each network is trained once with each.")
    ] = "0,1,2",
    out: Annotated[Path, typer.Option(help="Folder of results (JSON) and logs (CSV).")] = RESULTS,
    runs: Annotated[Path, typer.Option(help="Folder of the runs, which are gone on with.")] = Path("runs"),
) -> None:
    """Try what each paper says that its network gains, two networks a claim."""
    with terminal.callers_mistakes():
        chosen = [CLAIMS[name] for name in _names(names, CLAIMS, "--claims")]
        (known,), numbers = _names(data_set, DATA_SETS, "--on"), _parse_seeds(seeds)
    for finding in try_claims(chosen, known, data, seeds=numbers, runs=runs, out=out):
        terminal.say(
            f"{finding.claim.paper}: {finding.claim.says}? {_percent(finding.baseline.top1_spread)} without, "
            f"{_percent(finding.challenger.top1_spread)} with: {finding.verdict}"
        )


@app.command()
def folds(
    runs: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="Runs that left something out.")],
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder with the sets, NAME.npz each.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Judge folds on what they left out, as the service would: by the surest moment of each sequence."""
    with terminal.callers_mistakes():
        opened = [Run.open(folder) for folder in runs]
        verdicts = judge_folds(opened, data)
        actions = {label for run in opened for label in windowed(run.recipe).actions}
    top1 = foreign_top1(verdicts, actions)
    reports = [reports_from(verdicts, actions, score) for score in SCORES]
    if as_json:
        typer.echo(json.dumps({"top1": top1, "reports": [_as_json(one) for one in reports]}, indent=1))
        return
    terminal.show_table(
        "actions of sets that training never saw",
        ("set", "top-1 %"),
        [(name, f"{100 * share:.1f}") for name, share in top1.items()],
    )
    terminal.show_table(
        "reported from a score on",
        ("score", "right %", "wrong %", "unknown actions named %"),
        [(f"{one.score:g}", *(f"{100 * x:.1f}" for x in (one.right, one.wrong, one.unknown))) for one in reports],
    )


@app.command()
def explanations(
    runs: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="A run, or those of an ensemble.")],
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder with the sets, NAME.npz each.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Judge explanations: how much of a score is left without the joints and frames that they point at."""
    with terminal.callers_mistakes():
        num_windows, found = judge_explanations([Run.open(folder) for folder in runs], data)
    if as_json:
        typer.echo(json.dumps({"windows": num_windows, "guides": [asdict(one) for one in found]}, indent=1))
        return
    held = (*(f"{count} held" for count in HELD_JOINTS), *(f"only {count} move" for count in MOVING_JOINTS))
    terminal.show_table(
        f"% of the winner's probability that is left, {num_windows} windows",
        ("joints and frames chosen by", *held, "quarter of frames held"),
        [
            (one.guide, *(f"{100 * left:.1f}" for left in (*one.held.values(), *one.moving.values(), one.frames)))
            for one in found
        ],
    )


@app.command()
def clips(
    source: Annotated[Path, typer.Argument(help="A folder of clips for each label, or a CSV file: see data convert.")],
    model: Annotated[str, typer.Option(help="The recogniser: see marey models list.")] = DEFAULT_MODEL,
    pose: Annotated[str, typer.Option(help="The pose backend: see marey models list.")] = DEFAULT_POSE,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Try a model on whole clips: how often the action is named, and how often one that is not there."""
    with terminal.callers_mistakes():
        engine = load_engine(model=model, pose=pose)
    trials: list[Trial] = []
    for trial in try_clips(engine, open_clips(source).clips):
        if isinstance(trial, Trial):
            trials.append(trial)
        else:
            terminal.say(f"{trial.id}: left out, {trial.reason}")
    counted = tally(trials)
    if as_json:
        typer.echo(json.dumps(asdict(counted), indent=1))
        return
    groups = {
        label: [one for one in trials if one.clip.label == label] for label in sorted({t.clip.label for t in trials})
    }
    terminal.show_table(
        f"named {counted.named} of {counted.clips} known actions; {counted.wrong} of {counted.segments} names wrong",
        ("label", "clips", "named", "wrong names"),
        [
            (
                label,
                str(len(group)),
                str(sum(one.is_right for one in group)) if group[0].is_known else "not known",
                ", ".join(f"{segment.label} in {one.clip.id}" for one in group for segment in one.wrong),
            )
            for label, group in groups.items()
        ],
    )


@app.command()
def page(
    results: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of results.")] = RESULTS,
    out: Annotated[Path, typer.Option(help="The page.")] = PAGE,
) -> None:
    """Write the page of benchmarks from the results that are kept."""
    out.write_text(page_of(load_results(results)), encoding="utf-8")
    terminal.say(f"wrote {out}")


def _names(text: str, known: Collection[str], option: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{option}: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return names


def report(plan: Plan, lines: Sequence[Line]) -> dict[str, object]:
    """Return a table as JSON has it: figures in percent, gains over the baseline in points."""
    first = lines[0].result
    return {
        "paper": plan.paper,
        "table": plan.table,
        "paper_data_set": plan.benchmark.dataset,
        "paper_protocol": plan.benchmark.protocol,
        "data_set": first.data_set,
        "split": first.split,
        "recipe": plan.recipe,
        "settings": plan.settings,
        "seeds": first.seeds,
        "commit": first.commit,
        "machine": first.machine,
        "rows": [
            {
                "architecture": line.row.architecture,
                "variant": line.row.variant,
                "options": line.row.options,
                "ours": 100 * line.result.top1_spread.mean,
                "spread": _or_none(100 * line.result.top1_spread.std),
                "paper": line.row.value,
                "gain": _gain(line, lines[0]),
                "paper_gain": line.row.value - plan.baseline.value,
                "parameters": line.result.parameters,
                "result": line.result.name,
                "members": line.result.members,
            }
            for line in lines
        ],
    }


def save(table: dict[str, object], out: Path, plan: Plan, lines: Sequence[Line]) -> Path:
    """Write a table beside the results of its networks."""
    result = lines[0].result
    path = out / f"{'-'.join(filter(None, (plan.paper, plan.table, result.data_set, result.split)))}.json"
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return path


def show(plan: Plan, lines: Sequence[Line]) -> None:
    """Print a table: the baseline in the first row, the gains over it in the others."""
    first = lines[0].result
    where = " ".join(filter(None, (first.data_set, first.split)))
    seeds = f"{len(first.seeds)} seed{'s' if len(first.seeds) > 1 else ''}"
    terminal.show_table(
        f"{plan.paper}, table {plan.table}: {where} by recipe {plan.recipe}, {seeds}",
        ("network", "ours %", f"paper % ({_place(plan)})", "ours - baseline", "paper - baseline", "parameters"),
        [
            (
                _name(line),
                _percent(line.result.top1_spread),
                f"{line.row.value:.1f}",
                "" if line is lines[0] else f"{_gain(line, lines[0]):+.1f}",
                "" if line is lines[0] else f"{line.row.value - plan.baseline.value:+.1f}",
                f"{line.result.parameters / 1e6:.2f} M",
            )
            for line in lines
        ],
    )


def _place(plan: Plan) -> str:
    return f"{plan.benchmark.dataset} {plan.benchmark.protocol}"


def _name(line: Line) -> str:
    return f"{line.row.architecture} {line.row.variant}".strip()


def _gain(line: Line, baseline: Line) -> float:
    return 100 * (line.result.top1_spread.mean - baseline.result.top1_spread.mean)


def _percent(spread: Spread) -> str:
    return f"{100 * spread.mean:.1f}" + (f" +- {100 * spread.std:.1f}" if spread.num > 1 else "")


def _as_json(reports: Reports) -> dict[str, float | None]:
    return {name: _or_none(value) for name, value in asdict(reports).items()}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _data_set_of(recipe: str) -> str:
    if not recipe:
        raise ValueError("--data: expected a skeleton set's file, NAME.npz, or --recipe to say which is meant")
    return sequence_recipe(recipe).data_set


def _parse_seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise ValueError(f"--seeds {text}: expected numbers such as 0,1,2") from error
    if min(seeds) < 0:
        raise ValueError(f"--seeds {text}: expected numbers from 0 on")
    return seeds
