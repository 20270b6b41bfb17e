"""The benchmarks that need torch: recognisers and heatmaps. ``marey.py`` hands over to ``app``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

import terminal
from models.registry import names
from pipeline.benchmark import describe_machine
from pipeline.layouts import layout_named
from pipeline.onnx import default_threads
from training.speed import Comparison, Drawing, Setting, compare, compare_drawings

MOST = 10  # operators in a profile

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Measure recognisers and heatmaps.")

LayoutName = Annotated[str | None, typer.Option("--layout", help="The skeleton, if not the usual one.")]
Frames = Annotated[int | None, typer.Option(min=1, help="Frames in a clip, if not as many as usual.")]
People = Annotated[int, typer.Option(min=1, help="People in a clip.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Cores that each may use.")]
Repeats = Annotated[int, typer.Option(min=1, help="Turns; the median counts.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def recognisers(
    architecture: Annotated[list[str] | None, typer.Option(help="A recogniser; all if none is given.")] = None,
    layout: LayoutName = None,
    frames: Frames = None,
    people: People = 2,
    batch: Annotated[int, typer.Option(min=1, help="Clips that are recognised at a time.")] = 1,
    threads: Threads = None,
    repeats: Repeats = 15,
    with_profile: Annotated[bool, typer.Option("--profile", help="Also list what onnxruntime spends most on.")] = False,
    as_json: Json = False,
) -> None:
    """Measure exported recognisers beside the networks that they were made from."""
    with terminal.callers_mistakes():
        setting = _setting(layout, frames, people, threads, repeats, batch=batch)
        comparisons = [_compare(name, setting) for name in architecture or names()]
    if as_json:
        ratios = [{"ratio": one.ratio, "explained_ratio": one.explained_ratio} for one in comparisons]
        typer.echo(json.dumps([asdict(one) | ratio for one, ratio in zip(comparisons, ratios, strict=True)], indent=1))
        return
    show_comparisons(comparisons, setting)
    for one in comparisons if with_profile else ():
        show_profile(one)
    _show_machine(setting)


@app.command()
def heatmaps(
    layout: LayoutName = None,
    frames: Frames = None,
    people: People = 2,
    threads: Threads = None,
    repeats: Repeats = 15,
    as_json: Json = False,
) -> None:
    """Measure heatmap volumes drawn by the exported graph beside the usual way of drawing them."""
    with terminal.callers_mistakes():
        setting = _setting(layout, frames, people, threads, repeats)
    drawings = list(compare_drawings(setting))
    if as_json:
        typer.echo(json.dumps([asdict(one) | {"ratio": one.ratio} for one in drawings], indent=1))
        return
    show_drawings(drawings)
    _show_machine(setting)


def show_comparisons(comparisons: Sequence[Comparison], setting: Setting) -> None:
    """Print a row a recogniser."""
    columns = (
        *("recogniser", "clip", "export", "MB", "difference"),
        *("torch ms", "onnx ms", "ratio", "explained: torch ms", "onnx ms", "ratio"),
    )
    rows = [
        (
            one.architecture,
            f"{one.num_frames} x {setting.num_people} x {one.layout}",
            f"{one.export_s:.0f} s",
            f"{one.num_bytes / 1e6:.1f}",
            f"{one.difference:.0e}",
            f"{one.torch_ms:.1f}",
            f"{one.onnx_ms:.1f}",
            f"{one.ratio:.2f}",
            f"{one.torch_explained_ms:.1f}",
            f"{one.onnx_explained_ms:.1f}",
            f"{one.explained_ratio:.2f}",
        )
        for one in comparisons
    ]
    terminal.show_table(f"{setting.num_clips} clips at a time, medians of {setting.repeats} turns", columns, rows)


def show_profile(comparison: Comparison) -> None:
    """Print the operators that onnxruntime spends most on for logits."""
    total_ms = sum(cost.spent_ms for cost in comparison.operators)
    rows = [
        (cost.name, str(cost.count), f"{cost.spent_ms:.2f}", f"{cost.spent_ms / total_ms:.0%}")
        for cost in comparison.operators[:MOST]
    ]
    terminal.show_table(comparison.architecture, ("operator", "number", "ms", "share"), rows)


def show_drawings(drawings: Sequence[Drawing]) -> None:
    """Print a row for joints and for limbs of each number of people."""
    rows = [
        (
            f"{one.volumes}s",
            str(one.num_people),
            f"{one.usual_ms:.1f}",
            f"{one.onnx_ms:.1f}",
            f"{one.ratio:.2f}",
            f"{one.difference:.0e}",
        )
        for one in drawings
    ]
    terminal.show_table("", ("volumes of", "people", "usual ms", "onnx ms", "ratio", "difference"), rows)


def _compare(architecture: str, setting: Setting) -> Comparison:
    terminal.say(f"{architecture}: exporting, which may take minutes")
    return compare(architecture, setting)


def _setting(
    layout: str | None, frames: int | None, people: int, threads: int | None, repeats: int, *, batch: int = 1
) -> Setting:
    return Setting(
        layout=layout_named(layout) if layout else None,
        num_frames=frames,
        num_people=people,
        num_clips=batch,
        threads=threads or default_threads(),
        repeats=repeats,
    )


def _show_machine(setting: Setting) -> None:
    terminal.say(f"measured on {describe_machine()}, with {setting.threads} threads")
