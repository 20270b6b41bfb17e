"""What the command shows to people: tables on standard output, progress and remarks on standard error."""

import contextlib
import os
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pipeline.benchmark import Cost
    from pipeline.bundle import Card
    from pipeline.doctor import Finding
    from pipeline.values import Recognition, Segment, Track

# Where output is piped there is no width to fit; a table must not be folded then.
PIPED_WIDTH = 160
POLL_S = 0.2


def write(text: str) -> None:
    """Write a line to standard output as it is."""
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """Write a line to standard error as it is."""
    sys.stderr.write(text + "\n")


@contextlib.contextmanager
def callers_mistakes() -> Iterator[None]:
    """Report a ValueError as wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title, if there is one, and a table of plain cells."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, markup=False)
    if title:
        console.print(title, style="bold")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def show_line(text: str, *, style: str) -> None:
    """Print a line to standard output, in colour where that is a terminal."""
    Console(highlight=False, markup=False, soft_wrap=True).print(text, style=style)


def show_recognition(name: str, recognition: "Recognition") -> None:
    """Print who did what, from when to when, and under it the warnings."""
    video = recognition.video
    fps = f"{round(video.fps, 2):g}"
    title = f"{name}: {video.duration_s:.1f} s, {video.frames} frames at {fps}/s, {video.width} x {video.height}"
    rows = [row for track in recognition.tracks for row in _track_rows(track)]
    show_table(title, ("person", "action", "from", "to", "score", "joints"), rows or [("nobody", "", "", "", "", "")])
    for warning in recognition.warnings:
        say(f"marey: {name}: {warning}")


def _track_rows(track: "Track") -> list[tuple[str, ...]]:
    if not track.segments:
        return [(str(track.track_id), "no action", f"{track.start_s:.1f} s", f"{track.end_s:.1f} s", "", "")]
    return [_segment_row(track.track_id, segment) for segment in track.segments]


def _segment_row(track_id: int, segment: "Segment") -> tuple[str, ...]:
    times = (f"{segment.start_s:.1f} s", f"{segment.end_s:.1f} s")
    joints = ", ".join(_spoken(joint) for joint in segment.key_joints)
    return (str(track_id), _spoken(segment.label), *times, f"{segment.score:.2f}", joints)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def show_models(cards: "Sequence[Card]", poses: Mapping[str, bool]) -> None:
    """Print the recognisers, and the pose backends with whether their weights are here."""
    rows = [
        (
            card.name,
            card.version,
            card.architecture,
            card.features.layout,
            f"{card.features.window_s:g} s",
            str(len(card.action_labels)),
            card.licence,
        )
        for card in cards
    ]
    show_table("", ("recogniser", "version", "architecture", "joints", "window", "labels", "licence"), rows)
    readiness = [(name, "ready" if ready else "weights missing") for name, ready in poses.items()]
    show_table("", ("pose backend", ""), readiness)


def show_cost(name: str, cost: "Cost") -> None:
    """Print how fast a video was recognised, and what each stage took of that."""
    total_ms = cost.wall_s * 1000
    rows = [
        (stage, f"{spent_ms:.1f}", f"{spent_ms / max(cost.frames, 1):.2f}", f"{spent_ms / total_ms:.0%}")
        for stage, spent_ms in cost.stages_ms.items()
    ]
    speed = f"{cost.frames_per_s:.0f} frames/s, {cost.realtime_factor:.1f} x real time"
    title = f"{name}: {cost.frames} frames of {cost.duration_s:.1f} s in {cost.wall_s:.2f} s: {speed}"
    show_table(title, ("stage", "ms", "ms a frame", "share"), rows)
    write(f"{cost.windows} windows recognised, {cost.window_ms:.1f} ms each")


def show_lengths(name: str, costs: "Sequence[tuple[int, Cost]]") -> None:
    """Print what each length of a video cost, with ratios to the first."""
    first = costs[0][1]
    rows = [
        (
            f"x{times}",
            f"{cost.duration_s:.1f} s",
            str(cost.frames),
            f"{cost.frames_per_s:.0f}",
            f"{cost.frames_per_s / first.frames_per_s:.2f}",
            f"{cost.peak_bytes / 2**20:.0f} MiB",
            f"{cost.peak_bytes / first.peak_bytes:.2f}",
        )
        for times, cost in costs
    ]
    show_table(name, ("played", "video", "frames", "frames/s", "ratio", "peak memory", "ratio"), rows)


def show_startup(seconds: Mapping[str, float]) -> None:
    """Print how long each start took, with ratios to the first."""
    first_s = next(iter(seconds.values()))
    rows = [(name, f"{spent_s:.2f} s", f"{spent_s / first_s:.1f}") for name, spent_s in seconds.items()]
    show_table("", ("start of", "time", "ratio"), rows)


def show_machine() -> None:
    """Say what figures were measured on; they mean nothing without."""
    from pipeline.benchmark import describe_machine

    say(f"measured on {describe_machine()}")


def show_findings(findings: "Sequence[Finding]") -> None:
    """Print what the doctor found; what is missing but not needed is absent, not broken."""
    verdicts = {(True, True): "ok", (True, False): "ok", (False, True): "BROKEN", (False, False): "absent"}
    rows = [(verdicts[finding.ok, finding.needed], finding.subject, finding.said) for finding in findings]
    show_table("", ("", "what", "finding"), rows)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error, if that is a terminal; what it yields takes the share that is done."""
    from rich.progress import Progress  # not needed by any other command

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def has_display() -> bool:
    """Tell whether a browser could be shown."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_when_ready(host: str, port: int) -> None:
    """Open the service's page as soon as something answers there, from a thread that ends with the process."""

    def wait_and_open() -> None:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                webbrowser.open(f"http://{host}:{port}/")
                return
            time.sleep(POLL_S)

    threading.Thread(target=wait_and_open, daemon=True).start()
