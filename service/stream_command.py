"""``marey stream``: send a camera or a file to a running service, and print what people do while they do it."""

import json
import signal
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Protocol

import cv2
import typer

import terminal
from pipeline.sources import is_camera
from pipeline.values import Frame
from pipeline.video import open_video
from service.client import Client
from service.client.streaming import Message, TimedPicture
from service.client.transport import DEFAULT_URL
from service.streams.messages import MAX_FPS, Action, Config, Dropped, FramePoses

# For pose backends to which every pixel is of use; at this quality joints do not move.
MAX_SIDE = 960
JPEG_QUALITY = 90
# Lags that the summary looks back on: a camera may run for months.
KEPT_LAGS = 10_000
PATHS = ("/v1/stream", "/stream")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Drop(StrEnum):
    """What becomes of frames that come quicker than they are looked at."""

    OLDEST = "oldest"
    NEVER = "never"


@app.callback()
def _keep_the_name() -> None:
    """Make typer expect the command's name, though there is but one."""


@app.command()
def stream(
    source: Annotated[str, typer.Argument(help="A camera's number or rtsp:// address, or a video file.")],
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a file at its own pace, as if it were a camera.")
    ] = False,
    url: Annotated[str, typer.Option(help="The service, as ws:// or http:// address.")] = DEFAULT_URL,
    api_key_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file with the service's API key.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The recogniser: see marey models list.")] = None,
    pose: Annotated[str | None, typer.Option(help="The pose backend: see marey models list.")] = None,
    stride_s: Annotated[float, typer.Option(min=0.05, max=60, help="Seconds from one decision to the next.")] = 0.25,
    fps: Annotated[float, typer.Option(min=1, max=MAX_FPS, help="Frames a second to look at.")] = 15.0,
    drop: Annotated[
        Drop | None, typer.Option(help="Frames to leave out if need be: never for files, oldest for what plays.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, one object a line.")] = False,
) -> None:
    """Recognise a camera, or a file, by a running service while it plays.

    Ctrl-C ends the source; what was sent is still answered. A second Ctrl-C ends the command.
    """
    policy = drop or (Drop.OLDEST if realtime or is_camera(source) else Drop.NEVER)
    is_played = not is_camera(source) and (realtime or policy is Drop.OLDEST)
    config = Config(model=model, pose=pose, stride_s=stride_s, fps=fps, poses=False, drop=policy.value)
    key = api_key_file.read_text(encoding="utf-8").strip() if api_key_file else None
    report: Report = JsonReport() if as_json else PlainReport()
    stopped = threading.Event()
    if not is_camera(source):
        open_video(source).close()  # what cannot be played is known before anybody is called
    summary = Summary()
    with terminal.callers_mistakes():
        client = Client(service_address(url), api_key=key)
    with client, _first_interrupt(stopped):
        try:
            for message in client.stream(
                lambda ready: film(source, ready.max_side, fps=fps, at_own_pace=is_played, stopped=stopped), config
            ):
                summary.hear(message)
                if isinstance(message, Action):
                    report.tell(message)
        finally:
            stopped.set()
            if summary.received:
                report.conclude(summary)


def film(
    source: str, max_side: int | None, *, fps: float, at_own_pace: bool, stopped: threading.Event
) -> Iterator[TimedPicture]:
    """Yield a video's pictures as JPEG with their times, until it ends or is stopped.

    They are no larger than the pose backend has use for, px: nothing is sent in vain, and nothing made smaller twice.
    """
    with open_video(source) as video:
        begun_s = time.monotonic()
        for frame in video.frames(fps=fps, max_side=max_side or MAX_SIDE):
            if at_own_pace:
                stopped.wait(begun_s + frame.time_s - time.monotonic())
            if stopped.is_set():
                return
            yield frame.time_s, encode(frame)


def encode(frame: Frame) -> bytes:
    """Return a frame's picture as JPEG."""
    _, coded = cv2.imencode(
        ".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return coded.tobytes()


def service_address(url: str) -> str:
    """Return the address of a service, given that or the one of its stream.

    >>> service_address("ws://hall:8000/v1/stream")
    'ws://hall:8000'
    """
    for path in PATHS:
        url = url.removesuffix(path)
    return url


class Summary:
    """Counts what became of the frames. Lag, ms, is from a frame's arrival at the service to its answer."""

    def __init__(self) -> None:
        self.processed = self.dropped = 0
        self._lags_ms: deque[float] = deque(maxlen=KEPT_LAGS)

    @property
    def received(self) -> int:
        """Frames that were answered in either way."""
        return self.processed + self.dropped

    def hear(self, message: Message) -> None:
        """Count a frame's answer."""
        if isinstance(message, FramePoses):
            self.processed += 1
            self._lags_ms.append(message.lag_ms)
        elif isinstance(message, Dropped):
            self.dropped += len(message.seqs)

    def lags_ms(self) -> tuple[float, float]:
        """Return the median and the 95th percentile."""
        if len(self._lags_ms) < 2:
            return sum(self._lags_ms), sum(self._lags_ms)
        return statistics.median(self._lags_ms), statistics.quantiles(self._lags_ms, n=20)[-1]


class Report(Protocol):
    """Says what people do, and in the end what became of the frames."""

    def tell(self, action: Action) -> None:
        """Say that an action began, goes on or ended."""

    def conclude(self, summary: Summary) -> None:
        """Say what became of the frames."""


class JsonReport:
    """One JSON object a line: every message about an action as it came, and the summary."""

    def tell(self, action: Action) -> None:
        """Write the message."""
        terminal.write(action.model_dump_json())

    def conclude(self, summary: Summary) -> None:
        """Write the summary."""
        counts = {"received": summary.received, "processed": summary.processed, "dropped": summary.dropped}
        lag_ms, lag_p95_ms = (round(lag_ms, 1) for lag_ms in summary.lags_ms())
        terminal.write(json.dumps({"type": "summary", **counts, "lag_ms": lag_ms, "lag_p95_ms": lag_p95_ms}))


class PlainReport:
    """A line when an action begins and one when it ends, for people."""

    def tell(self, action: Action) -> None:
        """Print a line, unless it would say nothing new."""
        if action.type == "action.update":
            return
        who = f"person {action.track_id:<3} {action.label.replace('_', ' ')}"
        if action.type == "action.start":
            terminal.show_line(f"{action.decided_s:8.1f} s  {who} since {action.start_s:.1f} s", style="green")
        elif action.end_s > action.start_s:
            span = f"{action.start_s:.1f} s to {action.end_s:.1f} s, score {action.score:.2f}"
            terminal.show_line(f"{action.decided_s:8.1f} s  {who} from {span}", style="bold")
        else:
            terminal.show_line(f"{action.decided_s:8.1f} s  {who} was a mistake", style="dim")

    def conclude(self, summary: Summary) -> None:
        """Print the counts."""
        counts = f"{summary.received} frames, {summary.processed} looked at, {summary.dropped} left out"
        lag_ms, lag_p95_ms = summary.lags_ms()
        terminal.say(f"{counts}; lag {lag_ms:.0f} ms, one in twenty over {lag_p95_ms:.0f} ms")


@contextmanager
def _first_interrupt(stopped: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C end the source, and leave the second to whoever had the first."""

    def stop(signum: int, at: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, former)

    former = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
