"""Measure the pipeline on this machine: what each stage costs, and whether memory grows with the length of a video."""

import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from pipeline.actions import DEFAULT_OPTIONS, Options
from pipeline.engine import Engine
from pipeline.errors import NotAVideo
from pipeline.video import VideoLimits, open_video

# A benchmark measures what a video costs; what a deployment allows is another question.
UNLIMITED = VideoLimits(max_bytes=sys.maxsize, max_seconds=1e9, max_pixels=sys.maxsize, max_frames=sys.maxsize)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure was measured on: without it a figure means nothing."""

    processor: str
    cores: int
    memory_bytes: int
    python: str

    def __str__(self) -> str:
        return f"{self.cores} cores of {self.processor}, {self.memory_bytes / 2**30:.0f} GiB, Python {self.python}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What recognising one video took: the median of some runs.

    ``stages_ms`` are the engine's own timings, ``windows`` those that were recognised. ``peak_bytes`` is the most
    memory that this process ever held: it means something only in a process that did nothing else.
    """

    duration_s: float
    frames: int
    wall_s: float
    stages_ms: Mapping[str, float]
    peak_bytes: int
    windows: int = 0

    @property
    def frames_per_s(self) -> float:
        """Video frames dealt with in a second."""
        return self.frames / self.wall_s if self.wall_s else 0.0

    @property
    def realtime_factor(self) -> float:
        """Seconds of video dealt with in a second: below 1 a live camera would be too fast."""
        return self.duration_s / self.wall_s if self.wall_s else 0.0

    @property
    def window_ms(self) -> float:
        """What recognising a window takes, features aside."""
        return self.stages_ms.get("recognise", 0.0) / self.windows if self.windows else 0.0


def describe_machine() -> Machine:
    """Say what this process runs on; ``cores`` are those it may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(_processor_name(), cores, memory, platform.python_version())


def measure(engine: Engine, source: Path, *, repeats: int = 3, options: Options = DEFAULT_OPTIONS) -> Cost:
    """Recognise a video ``repeats`` times and return the run of median length (of two the shorter)."""
    costs = sorted((_measure_once(engine, source, options) for _ in range(repeats)), key=lambda cost: cost.wall_s)
    return costs[(len(costs) - 1) // 2]


def _measure_once(engine: Engine, source: Path, options: Options) -> Cost:
    start = time.perf_counter()
    with open_video(source, limits=UNLIMITED) as video:
        recognition = engine.recognise(video, options)
    wall_s = time.perf_counter() - start
    seen = recognition.video
    return Cost(seen.duration_s, seen.frames, wall_s, recognition.timings_ms, peak_memory(), recognition.windows)


def measure_lengths(source: Path, loops: Sequence[int], command: Sequence[str]) -> Iterator[tuple[int, Cost]]:
    """Play a video over and over, each number of ``loops`` in a process of its own, and yield what each length cost.

    ``command`` is what the process runs; it takes a file as its last argument and writes a ``Cost`` as JSON.
    """
    with tempfile.TemporaryDirectory(prefix="marey-") as folder:
        for times in loops:
            looped = Path(folder, f"{times}.mkv")
            loop_video(source, looped, times=times)
            answer = subprocess.run([*command, str(looped)], stdout=subprocess.PIPE, check=True).stdout
            yield times, Cost(**json.loads(answer))
            looped.unlink()


def time_python(arguments: Sequence[str], *, repeats: int) -> float:
    """Return the seconds that a fresh Python takes for these arguments: the quickest of some runs."""
    return min(_time_once([sys.executable, *arguments]) for _ in range(repeats))


def _time_once(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def peak_memory() -> int:
    """Return the most resident memory that this process has held, in bytes.

    Linux's own high-water mark is read, because ``getrusage`` also counts what the parent held before it started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def loop_video(source: Path, out: Path, *, times: int) -> None:
    """Write ``source`` to ``out`` (.mkv holds any codec) that many times over, without encoding anything anew.

    Raises:
        NotAVideo: there is nothing in it that could be repeated.

    """
    try:
        with av.open(str(out), "w") as writer:
            written: VideoStream | None = None
            for turn in range(times):
                with av.open(str(source)) as reader:
                    if not reader.streams.video:
                        raise NotAVideo(f"{source} has no video stream: expected a video file")
                    written = written or writer.add_stream_from_template(reader.streams.video[0])
                    _copy_packets(reader, writer, written, turn)
    except av.FFmpegError as error:
        raise NotAVideo(f"{source} cannot be read as a video: {error.strerror}") from error


def _copy_packets(reader: InputContainer, writer: OutputContainer, written: VideoStream, turn: int) -> None:
    """Append a video's packets, moved behind the turns before.

    Decoding times are made anew from the presentation times, because some containers leave them out: in order, and
    early enough for every packet.
    """
    packets = [packet for packet in reader.demux(reader.streams.video[0]) if packet.size]
    times = [packet.pts if packet.pts is not None else packet.dts or 0 for packet in packets]
    in_order = sorted(times)
    delay = max((due - shown for due, shown in zip(in_order, times, strict=True)), default=0)
    shift = turn * _length(in_order)
    for packet, shown, due in zip(packets, times, in_order, strict=True):
        packet.pts = shown + shift
        packet.dts = due - delay + shift
        packet.stream = written
        writer.mux(packet)


def _length(times: Sequence[int]) -> int:
    """Return how long these sorted times last: from the first to one usual step after the last."""
    steps = [after - before for before, after in itertools.pairwise(times)]
    return times[-1] - times[0] + round(statistics.median(steps)) if steps else 1


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
