"""``marey bench stream``: play a clip to a service of its own at a camera's pace, and see how it keeps up.

The service runs in a process of its own, so that its memory is its own; the clip is encoded beforehand, so that what
is measured is the service and not the camera.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer

import terminal
from service.client import Client
from service.client.streaming import TimedPicture
from service.stream_command import film
from service.streams.messages import Action, Config, Dropped, FramePoses

READY_S, STOP_S = 60.0, 30.0
SIDE = 640  # as browsers send
MEMORY_EVERY_S = 5.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """An action that was held to its end: when it began, and how much later it was first reported, s."""

    label: str
    start_s: float
    delay_s: float


@dataclass(slots=True)
class Watch:
    """What one camera heard."""

    processed: int = 0
    dropped: int = 0
    lags_ms: list[float] = field(default_factory=list)
    started_s: dict[int, float] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    taken_back: int = 0

    def hear(self, message: object) -> None:
        """Note one message."""
        if isinstance(message, FramePoses):
            self.processed += 1
            self.lags_ms.append(message.lag_ms)
        elif isinstance(message, Dropped):
            self.dropped += len(message.seqs)
        elif isinstance(message, Action) and message.type == "action.start":
            self.started_s[message.action_id] = message.decided_s
        elif isinstance(message, Action) and message.type == "action.end":
            self._end(message)

    def _end(self, action: Action) -> None:
        decided_s = self.started_s.pop(action.action_id)
        if action.end_s > action.start_s:
            self.decisions.append(Decision(action.label, action.start_s, decided_s - action.start_s))
        else:
            self.taken_back += 1


@dataclass(frozen=True, slots=True)
class Finding:
    """How a service kept up with its cameras; memory is that of its process, bytes, every few seconds."""

    cameras: int
    fps: float
    seconds: float
    processed: int
    dropped: int
    lag_ms: float
    lag_p95_ms: float
    decisions: Sequence[Decision]
    taken_back: int
    memory_bytes: Sequence[int]

    @property
    def memory_growth(self) -> float:
        """Memory over the last quarter as a multiple of what it was over the second quarter, medians."""
        quarter = len(self.memory_bytes) // 4
        if not quarter:
            return 1.0
        early, late = self.memory_bytes[quarter : 2 * quarter], self.memory_bytes[-quarter:]
        return statistics.median(late) / statistics.median(early)


@app.callback()
def _keep_the_name() -> None:
    """Make typer expect the command's name, though there is but one."""


@app.command("stream")
def bench_stream(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A video that cameras see, in a loop.")],
    fps: Annotated[float, typer.Option(min=1, max=120, help="Frames a second of each camera.")] = 15.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to watch.")] = 30.0,
    cameras: Annotated[int, typer.Option(min=1, help="Cameras at a time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Measure lag, decisions and memory of live streams."""
    finding = measure(file, fps=fps, seconds=seconds, cameras=cameras)
    if as_json:
        terminal.write(json.dumps(asdict(finding) | {"memory_growth": finding.memory_growth}))
        return
    for line in describe(finding):
        terminal.write(line)
    terminal.show_machine()


def describe(finding: Finding) -> Iterator[str]:
    """Say it in lines for people."""
    frames = finding.processed + finding.dropped
    yield f"{finding.cameras} x {finding.fps:g} frames/s for {finding.seconds:g} s: {frames} frames"
    yield f"looked at {finding.processed}, left out {finding.dropped}"
    yield f"lag {finding.lag_ms:.0f} ms, one in twenty over {finding.lag_p95_ms:.0f} ms"
    for label in dict.fromkeys(decision.label for decision in finding.decisions):
        delays_s = [decision.delay_s for decision in finding.decisions if decision.label == label]
        usual, latest = f"{statistics.median(delays_s):.1f} s", f"{max(delays_s):.1f} s"
        yield f"{label}: {len(delays_s)} times, said {usual} after it began, {latest} at the latest"
    yield f"taken back {finding.taken_back}"
    first, last = finding.memory_bytes[0], finding.memory_bytes[-1]
    yield f"memory {first / 2**20:.0f} to {last / 2**20:.0f} MiB, last quarter to second {finding.memory_growth:.2f}"


def measure(file: Path, *, fps: float, seconds: float, cameras: int = 1) -> Finding:
    """Start a service, show it a clip through some cameras at once, and end it."""
    pictures = list(film(str(file), SIDE, fps=fps, at_own_pace=False, stopped=threading.Event()))
    with serving() as (address, process_id), ThreadPoolExecutor(cameras + 1) as threads:
        done = threading.Event()
        memory = threads.submit(lambda: list(_memory(process_id, done)))
        watches = list(threads.map(lambda _: _watch(address, pictures, fps, seconds), range(cameras)))
        done.set()
        return _conclude(watches, fps, seconds, memory.result())


def _conclude(watches: Sequence[Watch], fps: float, seconds: float, memory_bytes: Sequence[int]) -> Finding:
    lags_ms = sorted(lag_ms for watch in watches for lag_ms in watch.lags_ms)
    return Finding(
        cameras=len(watches),
        fps=fps,
        seconds=seconds,
        processed=sum(watch.processed for watch in watches),
        dropped=sum(watch.dropped for watch in watches),
        lag_ms=statistics.median(lags_ms),
        lag_p95_ms=lags_ms[int(0.95 * len(lags_ms))],
        decisions=[decision for watch in watches for decision in watch.decisions],
        taken_back=sum(watch.taken_back for watch in watches),
        memory_bytes=memory_bytes,
    )


def _watch(address: str, pictures: Sequence[TimedPicture], fps: float, seconds: float) -> Watch:
    watch = Watch()
    with Client(address) as client:
        for message in client.stream(paced(pictures, fps=fps, seconds=seconds), Config(fps=fps)):
            watch.hear(message)
    return watch


def paced(pictures: Sequence[TimedPicture], *, fps: float, seconds: float) -> Iterator[TimedPicture]:
    """Yield a clip's pictures over and over at a camera's pace, which may not be the clip's, and with its times."""
    times_s = [time_s for time_s, _ in pictures]
    length_s = times_s[-1] + (times_s[-1] - times_s[0]) / max(1, len(times_s) - 1)
    begun_s = time.monotonic()
    for number in range(round(seconds * fps)):
        time_s = number / fps
        time.sleep(max(0.0, begun_s + time_s - time.monotonic()))
        shown = bisect_right(times_s, time_s % length_s if length_s else 0.0) - 1
        yield time_s, pictures[max(0, shown)][1]


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """Run a service in a process; yield its address and the process's number once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "marey", "serve", "--port", str(port)]
    settings = os.environ | {"MAREY_LOG_LEVEL": "warning", "MAREY_MAX_JOBS": "0"}
    with subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL) as process:
        try:
            _await_ready(address, process)
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(STOP_S)


def _await_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/readyz").is_success:
                return
        time.sleep(0.1)
    raise subprocess.CalledProcessError(process.poll() or 1, process.args)


def _memory(process_id: int, done: threading.Event) -> Iterator[int]:
    """Yield how much memory a process holds, bytes, every few seconds."""
    while True:
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(process_id)], capture_output=True, text=True, check=True)
        yield int(said.stdout) * 1024
        if done.wait(MEMORY_EVERY_S):
            return
