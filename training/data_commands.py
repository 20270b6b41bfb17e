"""The commands about data: convert, inspect, split, preview. ``marey.py`` hands over to ``app``; none needs torch."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

import terminal
from pipeline.engine import DEFAULT_POSE
from pipeline.errors import DataError
from training.contact_sheets import choose, draw_sheets
from training.conversion import Report, check_target, convert
from training.datasets.registry import read_set
from training.datasets.skeleton_set import load_arrays
from training.disk import whole_file
from training.extraction import extract
from training.inspection import Inspection, Span, SplitCounts, closest_layout, inspect
from training.labels import read_labels
from training.sightings import Extraction
from training.sources.registry import Footage, source_named
from training.splitting import add_split, of_ids, of_subjects, read_columns, share_of_groups

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Make and look at training data.")

SetFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A skeleton set (.npz).")]
Seed = Annotated[int, typer.Option(help="Another number chooses others at random.")]
# Reasons that are listed with their first few sequences.
SHOWN_IDS = 3


@app.command("convert")
def convert_(
    source: Annotated[str, typer.Argument(help="What it is: clips, ucf101, ...")],
    path: Annotated[Path, typer.Argument(exists=True, help="Where it lies.")],
    out: Annotated[Path, typer.Option(help="The file to write, NAME.npz.")],
    pose: Annotated[str | None, typer.Option(help="Of videos: the pose backend.")] = None,
    provider: Annotated[str | None, typer.Option(help="Of videos: auto, cpu, cuda or tensorrt.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Of videos: so many at a time.")] = None,
    people: Annotated[int | None, typer.Option(min=1, help="The main people of each sequence; 1 of videos.")] = None,
    labels: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Names for the classes.")] = None,
    cache: Annotated[Path | None, typer.Option(envvar="MAREY_CACHE", help="Where finished clips are kept.")] = None,
) -> None:
    """Turn clips, or a published data set, into a skeleton set."""
    with terminal.callers_mistakes():
        check_target(out)
        opened = source_named(source)(path)
        names = read_labels(labels) if labels else ()
        facts: dict[str, object] = {"source": source}
        if isinstance(opened, Footage):
            people = people or 1
            settings = Extraction(
                pose=pose or DEFAULT_POSE, provider=provider or "cpu", jobs=jobs or 1, people=people, cache=cache
            )
            facts |= {"pose": settings.pose, "pose_fps": settings.pose_fps}
            opened = extract(opened, settings)
        elif pose or provider or jobs:
            raise ValueError(f"{source} has skeletons already: --pose, --provider and --jobs would change nothing")
        with terminal.progress(out.name) as on_progress:
            report = convert(opened, out, people=people, labels=names, facts=facts, on_progress=on_progress)
    terminal.write("\n".join(_lines_of(report, out)))


@app.command("inspect")
def inspect_(file: SetFile, as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """Say what is in a skeleton set, and what is wrong with it."""
    inspection = inspect(file)
    if as_json:
        terminal.write(json.dumps(asdict(inspection), indent=1))
    else:
        _show(inspection)
    if inspection.faults:
        raise DataError(f"{file}: {'; '.join(inspection.faults)}")


@app.command()
def split(
    file: SetFile,
    name: Annotated[str, typer.Option(help="What the split is called.")],
    test_share: Annotated[float | None, typer.Option(help="Test on random subjects, about this share.")] = None,
    subjects: Annotated[str | None, typer.Option(help="Test on these subjects: 1,3,5.")] = None,
    ids: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Test on these ids, one a line.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Add a split to a skeleton set: what is tested on, the rest trains."""
    with terminal.callers_mistakes():
        ways = [way for way in (test_share, subjects, ids) if way is not None]
        if len(ways) != 1:
            raise ValueError("expected one of --test-share, --subjects and --ids")
        columns = read_columns(file)
        groups = np.asarray(columns["subject"], np.int64)
        if test_share is not None:
            rng = np.random.default_rng(seed)
            tested = share_of_groups(np.asarray(columns["y"], np.int64), groups, test_share, rng)
        elif subjects is not None:
            tested = of_subjects(groups, _parse_numbers(subjects))
        elif ids is not None:
            tested = of_ids([str(one) for one in columns["ids"]], _read_lines(ids))
        add_split(file, name, tested)
    terminal.write(f"{file}: split {name} trains on {int((~tested).sum())} and tests on {int(tested.sum())}")


@app.command()
def preview(
    file: SetFile,
    out: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    count: Annotated[int, typer.Option(min=1, help="Sequences to show.")] = 12,
    label: Annotated[list[str] | None, typer.Option(help="Show these labels only.")] = None,
    seed: Seed = 0,
) -> None:
    """Draw contact sheets of sample sequences."""
    arrays = load_arrays(file)
    source = read_set(file.stem, file, closest_layout([str(joint) for joint in arrays["joints"]]))
    names = [str(one) for one in arrays.get("ids", np.arange(len(source)))]
    with terminal.callers_mistakes():
        chosen = choose(source, count, label or (), np.random.default_rng(seed))
    for number, sheet in enumerate(draw_sheets(source, chosen, names), start=1):
        path = out / f"sheet-{number}.png"
        with whole_file(path) as part:
            part.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
        terminal.write(str(path))


def _lines_of(report: Report, out: Path) -> Iterator[str]:
    """Say what was kept and, reason by reason, what was dropped."""
    yield f"{out}: {report.sequences} sequences, {report.frames} frames"
    num_dropped = sum(map(len, report.dropped.values()))
    if num_dropped:
        yield f"dropped {num_dropped}:"
    for reason, ids in sorted(report.dropped.items(), key=lambda item: -len(item[1])):
        more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
        yield f"{len(ids):6}  {reason}: {', '.join(ids[:SHOWN_IDS])}{more}"


def _show(inspection: Inspection) -> None:
    one = inspection
    rows = [
        ("sequences", str(one.sequences)),
        ("frames", f"{one.frames}; {_range(one.frames_a_sequence)} a sequence"),
        ("people", f"up to {one.people}"),
        ("layout", one.layout or "none of ours"),
        ("channels", ", ".join(one.channels) or "not said"),
        ("frames/s", _range(one.fps) if one.fps else "not said"),
        ("subjects", "not said" if one.subjects is None else str(one.subjects)),
        *((f"split {name}", _sides(counts)) for name, counts in one.splits.items()),
        *((f"dropped {count}", reason) for reason, count in one.dropped.items()),
        *(("remark", remark) for remark in one.remarks),
        *(("FAULT", fault) for fault in one.faults),
    ]
    terminal.show_table(one.file, ("", ""), rows)
    terminal.show_table("", ("class", "sequences"), [(name, str(count)) for name, count in one.classes.items()])
    if one.seen is not None:
        terminal.show_table("", ("joint", "seen"), [(joint, f"{share:.0%}") for joint, share in one.seen.items()])


def _range(span: Span) -> str:
    if span.least == span.most:
        return f"{span.least:.4g}"
    return f"{span.least:.4g} to {span.most:.4g}, median {span.median:.4g}"


def _sides(counts: SplitCounts) -> str:
    neither = f", {counts.neither} in neither" if counts.neither else ""
    return f"{counts.train} train, {counts.test} test{neither}"


def _parse_numbers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"--subjects: expected whole numbers such as 1,3,5, got {text!r}")
    return [int(word) for word in words]


def _read_lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
