"""The command ``marey``: serve, recognise files, look after models, measure, and find out what is broken.

Heavy packages are imported inside the commands that need them, so that ``marey --help`` answers at once. Settings come
from MAREY_ variables, the same as the service's; flags win. Answers go to standard output, all else to standard error.
"""

import dataclasses
import importlib
import json
import subprocess
import sys
from enum import IntEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import terminal
from pipeline import errors

if TYPE_CHECKING:
    from pipeline.actions import Options
    from pipeline.engine import Engine
    from pipeline.values import Recognition
    from pipeline.video import VideoLimits
    from service.settings import Settings


class Exit(IntEnum):
    """What the exit code says; docs/cli.md explains each."""

    OK = 0
    BROKEN = 1
    USAGE = 2
    NOT_A_VIDEO = 3
    LIMIT = 4
    MODEL = 5
    SOME_FAILED = 6
    DATA = 7
    SERVICE = 8


# The first row that fits decides.
EXIT_BY_ERROR: tuple[tuple[type[errors.MareyError], Exit], ...] = (
    (errors.LimitExceeded, Exit.LIMIT),
    (errors.VideoError, Exit.NOT_A_VIDEO),
    (errors.ModelError, Exit.MODEL),
    (errors.RemoteError, Exit.SERVICE),
    (errors.MareyError, Exit.DATA),
)
# Commands that other modules have, and what each does; those of TRAINING need the training extra.
SERVICE = {
    "stream": "Recognise a camera, or a file, by a running service while it plays.",
    "bench stream": "Measure lag, decisions and memory of live streams.",
}
TRAINING = {
    "recipes": "List the recipes that recognisers are trained by.",
    "train": "Train a recogniser by a recipe.",
    "evaluate": "Measure a trained recogniser on a data set's test split.",
    "export": "Turn a trained recogniser into a bundle that can be served.",
    "models architectures": "List the recognisers that can be trained: parameters, multiply-adds, layouts.",
    "models import": "Turn a checkpoint of another implementation into a bundle.",
    "data convert": "Turn clips, or a published data set, into a skeleton set.",
    "data inspect": "Say what is in a skeleton set, and what is wrong with it.",
    "data split": "Add a split to a skeleton set: what is tested on, the rest trains.",
    "data preview": "Draw contact sheets of sample sequences.",
    "bench recognisers": "Measure exported recognisers beside the networks that they were made from.",
    "bench heatmaps": "Measure heatmap volumes drawn by the exported graph beside the usual way of drawing them.",
    "benchmark papers": "Train every network of a paper's table, and hold it against the paper.",
    "benchmark sets": "Train recognisers on public data sets.",
    "benchmark claims": "Try what each paper says that its network gains.",
    "benchmark folds": "Judge runs on what they left out of training.",
    "benchmark explanations": "Judge explanations.",
    "benchmark clips": "Try a model on whole clips.",
    "benchmark page": "Write the page of benchmarks from results.",
}
# By the command's name, or else by its group's.
SERVICE_MODULES = {"stream": "service.stream_command", "bench stream": "service.stream_benchmark"}
TRAINING_MODULES = {
    "": "training.commands",
    "models": "training.commands",
    "data": "training.data_commands",
    "bench": "training.speed_commands",
    "benchmark": "training.benchmark_commands",
}
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Video files.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A video file.")]
Model = Annotated[str | None, typer.Option(help="The recogniser: see marey models list.")]
Pose = Annotated[str | None, typer.Option(help="The pose backend: see marey models list.")]
Provider = Annotated[str | None, typer.Option(help="auto, cpu, cuda or tensorrt.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Cores that one model may use.")]
Host = Annotated[str | None, typer.Option(help="The address to listen on.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The port to listen on; 0 for any that is free.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]

app = typer.Typer(
    name="marey",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Video in, actions out: who did what, from when to when.",
)
models = typer.Typer(name="models", no_args_is_help=True, help="List, inspect and pull models.")
data = typer.Typer(name="data", no_args_is_help=True, help="Make training data, and look at it.")
bench = typer.Typer(name="bench", no_args_is_help=True, help="Measure on this machine.")
benchmark = typer.Typer(name="benchmark", no_args_is_help=True, help="Train recognisers, and compare them.")
GROUPS = {"": app, "models": models, "data": data, "bench": bench, "benchmark": benchmark}
for _group in (models, data, bench, benchmark):
    app.add_typer(_group)


def main() -> None:
    """Run the command; what is the world's fault becomes one line on standard error and an exit code."""
    try:
        app(prog_name=app.info.name)
    except errors.MareyError as error:
        terminal.say(f"marey: {error}")
        sys.exit(exit_code(error))
    except subprocess.CalledProcessError as error:  # a process that was measured; it has said why it failed
        sys.exit(error.returncode)


def exit_code(error: errors.MareyError) -> Exit:
    """Return the exit code that stands for an error."""
    return next(code for kind, code in EXIT_BY_ERROR if isinstance(error, kind))


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False) -> None:
    if version:
        terminal.write(metadata.version("marey"))
        raise typer.Exit


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    model: Model = None,
    pose: Pose = None,
    provider: Provider = None,
    threads: Threads = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page, where there is a display.")] = False,
) -> None:
    """Start the service."""
    settings = _settings(host=host, port=port, model=model, pose=pose, provider=provider, threads=threads)
    from service.serve import run

    if show and terminal.has_display():
        terminal.open_when_ready(settings.host, settings.port)
    with terminal.callers_mistakes():
        run(settings)


@app.command()
def recognize(
    files: Files,
    as_json: Json = False,
    annotate: Annotated[
        Path | None, typer.Option(help="Also write the video with skeletons and labels (.mp4).")
    ] = None,
    model: Model = None,
    pose: Pose = None,
    provider: Provider = None,
    threads: Threads = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="The longest video to accept.")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Labels to list for each segment.")] = 5,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Report from this score on.")] = None,
    keypoints: Annotated[bool, typer.Option(help="Also list everybody's keypoints (JSON).")] = False,
) -> None:
    """Recognise the actions in video files: tables, or with --json a list with one object a file."""
    if annotate and len(files) > 1:
        raise typer.BadParameter(f"one file can be annotated at a time, got {len(files)}", param_hint="--annotate")
    settings = _settings(model=model, pose=pose, provider=provider, threads=threads, max_seconds=max_seconds)
    from pipeline.actions import Options
    from service.limits import request_limits

    with terminal.callers_mistakes():
        options = Options(top_k=top_k, threshold=threshold, keypoints=keypoints or annotate is not None)
    engine, limits = _load_engine(settings), request_limits(settings)
    answers: list[dict[str, object]] = []
    codes: list[Exit] = []
    for file in files:
        try:
            recognition = _recognise(engine, file, options, limits)
            if annotate:
                _annotate(engine, file, recognition, annotate, limits)
        except errors.VideoError as error:
            codes.append(exit_code(error))
            answers.append({"file": str(file), "error": {"kind": type(error).__name__, "message": str(error)}})
            terminal.say(f"marey: {file}: {error}")
            continue
        if as_json:
            answers.append({"file": str(file), **_as_json(engine, recognition, keypoints=keypoints)})
        else:
            terminal.show_recognition(str(file), recognition)
    if as_json:
        terminal.write(json.dumps(answers, indent=2, allow_nan=False))
    if codes:
        raise typer.Exit(codes[0] if len(files) == 1 else Exit.SOME_FAILED)


@models.command("list")
def models_list() -> None:
    """List the recognisers and the pose backends."""
    settings = _settings()
    from pipeline.bundle import find_bundles
    from pipeline.pose.cache import default_cache
    from pipeline.pose.registry import pose_backend_names, weights_of_backends

    weights, cache = weights_of_backends(), settings.cache or default_cache()
    ready = {name: all(file.is_intact(cache / file.name) for file in files) for name, files in weights.items()}
    bundles = find_bundles(settings.model_folders)
    poses = {name: ready.get(name, True) for name in pose_backend_names()}
    terminal.show_models([bundle.card for bundle in bundles.values()], poses)


@models.command("show")
def models_show(name: str) -> None:
    """Print a recogniser's card: labels, metrics, data, licence."""
    from pipeline.bundle import find_bundles

    bundles = find_bundles(_settings().model_folders)
    if name not in bundles:
        raise errors.UnknownModel(f"no recogniser is called {name!r}: expected one of {', '.join(bundles) or 'none'}")
    terminal.write(bundles[name].card.to_json().rstrip())


@models.command("pull")
def models_pull(profile: Annotated[str, typer.Argument(help="The pose backend whose weights are wanted.")]) -> None:
    """Download weights into the cache and check their sha256."""
    settings = _settings()
    from pipeline.weights import pull

    with terminal.progress(profile) as on_progress, terminal.callers_mistakes():
        paths = pull(
            profile, cache=settings.cache, on_progress=lambda _, done, total: on_progress(done / (total or done))
        )
    terminal.write("\n".join(map(str, paths)))


def module_of(command: str) -> str:
    """Return the module that has a command of another module."""
    return SERVICE_MODULES.get(command) or TRAINING_MODULES[command.rpartition(" ")[0]]


def _forward(context: typer.Context) -> None:
    _, *groups, name = context.command_path.split()
    module = module_of(" ".join([*groups, name]))
    try:
        commands = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if find_spec("torch"):  # something else is missing
            raise
        raise errors.ModelError(f"this needs the training extra: pip install 'marey[train]' ({error})") from error
    commands.app([name, *context.args], prog_name=" ".join(["marey", *groups]))


for _name, _help in (SERVICE | TRAINING).items():
    _group = GROUPS[_name.rpartition(" ")[0]]
    _group.command(_name.rpartition(" ")[2], help=_help, context_settings=FORWARDED)(_forward)


@bench.command("pipeline")
def bench_pipeline(
    file: File,
    model: Model = None,
    pose: Pose = None,
    provider: Provider = None,
    threads: Threads = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; the median one is shown.")] = 3,
    as_json: Json = False,
) -> None:
    """Measure what each stage costs on a video."""
    settings = _settings(model=model, pose=pose, provider=provider, threads=threads)
    from pipeline.benchmark import measure

    cost = measure(_load_engine(settings), file, repeats=repeats)
    if as_json:
        terminal.write(json.dumps(dataclasses.asdict(cost)))
        return
    terminal.show_cost(file.name, cost)
    terminal.show_machine()


@bench.command("length")
def bench_length(
    file: File,
    loops: Annotated[str, typer.Option(help="How many times over the clip is played, one run each.")] = "1,2,4,8",
    model: Model = None,
    pose: Pose = None,
    provider: Provider = None,
) -> None:
    """Measure whether memory and speed hold as a video grows longer: each length in a process of its own."""
    settings = _settings(model=model, pose=pose, provider=provider)
    from pipeline.benchmark import measure_lengths

    choice = ["--model", settings.model, "--pose", settings.pose, "--provider", settings.provider]
    command = [sys.executable, "-m", "marey", "bench", "pipeline", "--repeats", "1", "--json", *choice]
    terminal.show_lengths(file.name, list(measure_lengths(file, _parse_counts(loops), command)))
    terminal.show_machine()


@bench.command("startup")
def bench_startup(repeats: Annotated[int, typer.Option(min=1, help="Runs; the quickest is shown.")] = 3) -> None:
    """Measure how long it takes to get going, beside an empty Python."""
    from pipeline.benchmark import time_python

    steps = {
        "an empty Python": ("-c", "pass"),
        "marey --help": ("-m", "marey", "--help"),
        "the service, imported": ("-c", "import service.app"),
        "the default engine, loaded": ("-c", "from pipeline.engine import load_engine; load_engine()"),
    }
    seconds = [time_python(arguments, repeats=repeats) for arguments in steps.values()]
    terminal.show_startup(dict(zip(steps, seconds, strict=True)))
    terminal.show_machine()


@app.command()
def doctor(host: Host = None, port: Port = None, as_json: Json = False) -> None:
    """Look at what serving needs; exit code 1 if something needed is broken."""
    from pipeline.doctor import Finding, examine, is_healthy

    try:
        settings = _settings(host=host, port=port)
        findings = [Finding("settings", True, "as they should be")]
        findings += examine(
            host=settings.host, port=settings.port, model_folders=settings.model_folders, cache=settings.cache
        )
    except typer.BadParameter as error:
        findings = [Finding("settings", False, str(error)), *examine()]
    if as_json:
        terminal.write(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        terminal.show_findings(findings)
    raise typer.Exit(Exit.OK if is_healthy(findings) else Exit.BROKEN)


def _settings(**flags: Any) -> "Settings":
    """Read the settings; flags that were not given (None) leave the environment's or the default."""
    from pydantic import ValidationError

    from service.settings import Settings, describe_faults

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise typer.BadParameter(describe_faults(error)) from error


def _load_engine(settings: "Settings") -> "Engine":
    from service.engines import settings_loader

    with terminal.callers_mistakes():
        return settings_loader(settings)(settings.model, settings.pose)


def _recognise(engine: "Engine", file: Path, options: "Options", limits: "VideoLimits") -> "Recognition":
    from pipeline.video import open_video

    with open_video(file, limits=limits) as video, terminal.progress(file.name) as on_progress:
        return engine.recognise(video, options, on_progress=on_progress)


def _annotate(engine: "Engine", file: Path, recognition: "Recognition", out: Path, limits: "VideoLimits") -> None:
    from pipeline.draw import annotate

    annotate(file, recognition, engine.pose.layout, out, limits=limits)
    terminal.say(f"wrote {out}")


def _parse_counts(text: str) -> list[int]:
    counts = [int(word) if word.strip().isdigit() else 0 for word in text.split(",")]
    if min(counts) < 1:
        raise typer.BadParameter(f"expected whole numbers above 0 such as 1,2,4, got {text!r}", param_hint="--loops")
    return counts


def _as_json(engine: "Engine", recognition: "Recognition", *, keypoints: bool) -> dict[str, object]:
    """Express a recognition as the service does, less the request id that there is none of."""
    from service.schemas import answer_of

    if not keypoints:
        tracks = tuple(dataclasses.replace(track, trajectory=None) for track in recognition.tracks)
        recognition = dataclasses.replace(recognition, tracks=tracks)
    answer = answer_of(recognition, engine.recogniser, layout=engine.pose.layout, request_id="")
    return answer.model_dump(mode="json", exclude={"request_id"})


if __name__ == "__main__":
    main()
