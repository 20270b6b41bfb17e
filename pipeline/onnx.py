"""Run ONNX models: the only place that knows onnxruntime.

One wheel serves CPU, CUDA and TensorRT. onnxruntime itself falls back to the CPU with no more than a line in its log
when a GPU cannot be used; here a device that was asked for by name is either used or refused.
"""

import contextlib
import io
import itertools
import json
import logging
import operator
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from pipeline.errors import ModelError, ProviderMissing
from pipeline.onnx_outputs import keep_outputs

logger = logging.getLogger(__name__)

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")

_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
# onnxruntime's providers in order of preference; what one cannot run, the next does. TensorRT is never chosen by
# itself: it compiles for minutes before the first answer.
_CHAINS: Mapping[str, tuple[str, ...]] = {
    "auto": (_CUDA, _CPU),
    "cpu": (_CPU,),
    "cuda": (_CUDA, _CPU),
    "tensorrt": (_TENSORRT, _CUDA, _CPU),
}
_NAMES: Mapping[str, str] = {_CPU: "cpu", _CUDA: "cuda", _TENSORRT: "tensorrt"}

# cuDNN's default search tries every algorithm again for each new batch size.
_PROVIDER_OPTIONS: Mapping[str, dict[str, str]] = {_CUDA: {"cudnn_conv_algo_search": "HEURISTIC"}}
# A thread that spins while it waits takes a core from decoding and from other requests; one that sleeps wakes too late
# for the next operator, and small networks take a quarter longer. So it spins for as long as an operator may take.
# Before 1.27, onnxruntime cannot be told for how long.
_SPINNING: Mapping[str, str] = (
    {"session.intra_op.allow_spinning": "1", "session.intra_op.spin_duration_us": "50"}
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 27)
    else {"session.intra_op.allow_spinning": "0"}
)
# onnxruntime's errors have no root of their own.
_LOAD_ERRORS = (
    *(native.EPFail, native.Fail, native.InvalidArgument, native.InvalidGraph, native.InvalidProtobuf),
    *(native.NoModel, native.NoSuchFile, native.NotImplemented, native.RuntimeException),
    *(RuntimeError, ValueError),
)

# Small networks gain little from more, and other requests want the cores too.
MAX_DEFAULT_THREADS = 4
_ERRORS, _SILENCE, _WARNINGS = 3, 4, 2  # onnxruntime's log severities


@dataclass(frozen=True, slots=True)
class Tensor:
    """The name and shape of a model's input or output; None is a free axis."""

    name: str
    shape: tuple[int | None, ...]


class OnnxModel:
    """A loaded model. ``run`` may be called from several threads at once.

    ``provider`` is what runs it in fact: "cpu", "cuda" or "tensorrt". ``threads`` are the CPU cores that one call may
    use; by default those of this process, 4 at most. Of ``outputs``, where some are named, nothing but those is made.

    Raises:
        ValueError: for a provider that is none of ``PROVIDERS``, or ``threads`` below 1.
        ProviderMissing: "cuda" or "tensorrt" was asked for and cannot be used here; "auto" takes the CPU instead.
        ModelError: the file is no model that onnxruntime can load.

    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        provider: str = "cpu",
        threads: int | None = None,
        outputs: Collection[str] = (),
    ) -> None:
        if provider not in _CHAINS:
            raise ValueError(f"unknown provider {provider!r}: expected one of {', '.join(PROVIDERS)}")
        threads = default_threads() if threads is None else threads
        if threads < 1:
            raise ValueError(f"threads must be 1 or more, not {threads}")
        if outputs:
            model = keep_outputs(model if isinstance(model, bytes) else model.read_bytes(), outputs)
        self._session, reason = _open_session(model, _CHAINS[provider], threads)
        self.provider = _NAMES[self._session.get_providers()[0]]
        if provider not in ("auto", self.provider):
            raise ProviderMissing(_why_missing(provider, self.provider, reason))
        self.inputs = tuple(_tensor(node) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor(node) for node in self._session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[Any]]:
        """Return every output by name."""
        names = [output.name for output in self.outputs]
        return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """What all operators of a kind take in one run: how many there are, and ms together."""

    name: str
    count: int
    spent_ms: float


def profile(
    model: Path,
    feeds: Mapping[str, NDArray[np.generic]],
    *,
    threads: int,
    outputs: Collection[str] = (),
    repeats: int = 5,
) -> list[OperatorCost]:
    """Return what each kind of operator costs on the CPU, the dearest first: the sum of its nodes' medians."""
    source = keep_outputs(model.read_bytes(), outputs) if outputs else str(model)
    with tempfile.TemporaryDirectory(prefix="marey-") as folder:
        options = _session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(source, options, [_CPU])
        for _ in range(repeats):
            session.run(None, dict(feeds))
        events = json.loads(Path(session.end_profiling()).read_text())
    spent_us: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            spent_us[event["args"]["op_name"], event["name"]].append(event["dur"])
    nodes = sorted((kind, statistics.median(times) / 1e3) for (kind, _), times in spent_us.items())
    kinds = {kind: [ms for _, ms in group] for kind, group in itertools.groupby(nodes, key=operator.itemgetter(0))}
    costs = [OperatorCost(kind, len(spent), sum(spent)) for kind, spent in kinds.items()]
    return sorted(costs, key=lambda cost: -cost.spent_ms)


def default_threads() -> int:
    """Count the cores that this process may use, 4 at most."""
    # macOS and Windows have no affinity to ask for.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_DEFAULT_THREADS)


def _open_session(
    model: Path | bytes, chain: tuple[str, ...], threads: int
) -> tuple[onnxruntime.InferenceSession, str]:
    """Load a model on the providers of a chain that this wheel has, and say what went wrong with the others."""
    offered = [name for name in chain if name in onnxruntime.get_available_providers()]
    source = model if isinstance(model, bytes) else str(model)
    with _gpu_libraries() if len(offered) > 1 else contextlib.nullcontext(io.StringIO()) as said:
        session = _load(source, offered, threads)
    session.disable_fallback()
    return session, said.getvalue().partition("\n")[0]


def _load(source: str | bytes, providers: list[str], threads: int) -> onnxruntime.InferenceSession:
    options = _session_options(threads)
    settings = [_PROVIDER_OPTIONS.get(name, {}) for name in providers]
    try:
        return onnxruntime.InferenceSession(source, options, providers, settings, enable_fallback=0)
    except _LOAD_ERRORS as error:
        if len(providers) == 1:
            name = "the model" if isinstance(source, bytes) else source
            raise ModelError(f"{name} is not an ONNX model that can be loaded: {error}") from error
        logger.debug("provider refused", extra={"provider": providers[0], "reason": str(error)})
        return _load(source, providers[1:], threads)


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    for entry, value in _SPINNING.items():
        options.add_session_config_entry(entry, value)
    return options


@contextlib.contextmanager
def _gpu_libraries() -> Iterator[io.StringIO]:
    """Load CUDA from the nvidia wheels where they are installed, and catch what onnxruntime says about it."""
    said = io.StringIO()
    onnxruntime.set_default_logger_severity(_SILENCE)
    try:
        if hasattr(onnxruntime, "preload_dlls"):
            with contextlib.redirect_stdout(said):
                onnxruntime.preload_dlls()
        yield said
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)


def _why_missing(provider: str, got: str, reason: str) -> str:
    wants = "an NVIDIA driver, CUDA, cuDNN" + (" and TensorRT" if provider == "tensorrt" else "")
    detail = f" ({reason})" if reason else ""
    return (
        f"provider {provider!r} was asked for, but onnxruntime {onnxruntime.__version__} can only use {got!r} here: "
        f"it needs {wants}{detail}; install them, or ask for 'auto' or 'cpu'"
    )


def _tensor(node: onnxruntime.NodeArg) -> Tensor:
    return Tensor(node.name, tuple(size if isinstance(size, int) else None for size in node.shape))
