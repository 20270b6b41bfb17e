"""Turn a trained recogniser into an ONNX file, and let none out that says anything else than the model itself."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.registry import Recogniser
from pipeline.errors import ExportError, ModelError
from pipeline.onnx import OnnxModel
from pipeline.recognise import INPUT, OUTPUTS
from pipeline.values import F32

OPSET = 18  # the lowest that torch's exporter writes without converting
# An explanation is a gradient: a feature that rounds to the other side of a ReLU's kink moves it by a step, in one clip
# of a hundred by as much as this. Of explanations the middle one of several clips has to agree.
TOLERANCES = {"logits": 1e-4, "frame_attention": 1e-3, "joint_attention": 1e-3}
# Tracing takes axes of one length for the same axis: these two lengths are found nowhere else.
TRACED_NT = (11, 41)
# How often clips of a shape are drawn to compare a file with its model.
DRAWS = 3


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: bytes in the file, its opset, and how far any output is from the model's.

    Of explanations it is the middle one of several clips that counts.
    """

    path: Path
    num_bytes: int
    opset: int
    max_difference: float


def export_onnx(
    model: nn.Module, path: Path, *, num_frames: int, num_people: int, num_joints: int, num_channels: int
) -> ExportReport:
    """Write a recogniser's ``explain`` to ``path``: one input "clips" [N, T, M, V, C], ``OUTPUTS``, N and T free.

    The file appears only after onnxruntime on the CPU has agreed with the model within ``TOLERANCES`` for 1, 4 and, at
    another number of frames, 2 clips. The model itself is left as it is, in training mode or not. Takes about a minute:
    the exporter follows every size through the gradients. N must be 1 or more when the file is run.

    Raises:
        ValueError: the model is no recogniser.
        ExportError: it cannot be exported, or does not agree; nothing is left behind.
    """
    if not isinstance(model, Recogniser):
        raise ValueError(f"expected a recogniser, which can explain itself, not {type(model).__name__}")
    explainer = _Explainer(deepcopy(model).cpu().eval().requires_grad_(False))
    joints = (num_people, num_joints, num_channels)
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_bytes(to_onnx(explainer, torch.randn(*TRACED_NT, *joints)))
        shapes = [(1, num_frames, *joints), (4, num_frames, *joints), (2, num_frames + 5, *joints)]
        exported = OnnxModel(partial, threads=1)
        if exported.inputs[0].shape != (None, None, *joints):
            raise ExportError(
                f"{type(model).__name__} holds for clips {exported.inputs[0].shape} only, not any N and T"
            )
        differences = _differences(explainer, exported, shapes)
        _refuse_if_apart(differences, path)
        os.replace(partial, path)
    except (ModelError, RuntimeError) as error:  # torch has no narrower one for a model that it cannot follow
        raise ExportError(f"{type(model).__name__} cannot be exported: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return ExportReport(path, path.stat().st_size, OPSET, max(differences.values()))


class _Explainer(nn.Module):
    """Calls ``explain`` where the exporter calls ``forward``."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, clips: Float32[Tensor, "N T M V C"]) -> tuple[Tensor, Tensor, Tensor]:
        return self.recogniser.explain(clips)


def _convolution_input_gradient(
    slope: Tensor, x: Tensor, weight: Tensor, _bias_sizes: object, stride: list[int], padding: list[int], *rest: object
) -> tuple[Tensor, None, None]:
    """Write the gradient of a convolution by its input as a convolution: kernel flipped, channels of a group swapped.

    A strided one is first spread out over the frames that it came from, zeros in between; only time is ever strided.
    """
    dilation, _transposed, _output_padding, groups, _mask = rest
    assert isinstance(dilation, list)
    assert isinstance(groups, int)
    kernel = weight.shape[2:]
    swapped = (
        weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    )  # [groups * C_in, C_out / groups, ...]
    flipped = swapped.flip(*range(2, weight.dim()))
    if stride[0] > 1:
        gaps = [torch.zeros_like(slope)] * (stride[0] - 1)
        slope = torch.stack([slope, *gaps], dim=3).flatten(2, 3)[:, :, : x.shape[2]]
    outer = [gap * (size - 1) - margin for gap, size, margin in zip(dilation, kernel, padding, strict=True)]
    ones, none = [1] * len(kernel), [0] * len(kernel)
    return torch.ops.aten.convolution(slope, flipped, None, ones, outer, dilation, False, none, groups), None, None


def _norm_input_gradient(
    slope: Tensor, _x: Tensor, weight: Tensor, _mean: Tensor, variance: Tensor, *rest: object
) -> tuple[Tensor, None, None]:
    """Write the gradient of batch norm in evaluation mode by its input: a scale a channel."""
    eps = rest[-2]
    assert isinstance(eps, float)
    scale = weight * torch.rsqrt(variance + eps)
    return slope * scale.reshape(1, -1, *[1] * (slope.dim() - 2)), None, None


def _depthwise_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int], *rest: object
) -> object:
    """Write a 3D convolution of each channel by itself as 2D ones, one for each frame of the kernel, added up.

    On a CPU, onnxruntime takes a tiny matrix product a channel for the former; for the latter it has a kernel, if there
    are a multiple of 16 channels. Any other convolution, and a bias, which batch norm makes needless, is left alone.
    """
    dilation, _transposed, _output_padding, groups = rest
    assert isinstance(dilation, list)
    if weight.dim() != 5 or groups != weight.shape[0] or weight.shape[4] == 1 or bias is not None or stride[0] != 1:
        return NotImplemented
    missing, margin = -weight.shape[0] % 16, padding[0]
    frames = F.pad(x, (0, 0, 0, 0, margin, margin, 0, missing)).transpose(1, 2)  # [N, T + 2 * margin, C2, H, W]
    kernels = F.pad(weight, (*[0] * 9, missing)).unbind(dim=2)
    looks = []
    for number, kernel in enumerate(kernels):
        look = torch.conv2d(frames.flatten(0, 1), kernel, None, stride[1:], padding[1:], dilation[1:], len(kernel))
        begin = number * dilation[0]
        looks.append(look.reshape(*frames.shape[:3], *look.shape[2:])[:, begin : begin + x.shape[2]])
    return reduce(torch.add, looks).transpose(1, 2)[:, : weight.shape[0]]


def _softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Write attention's softmax as an ordinary one: torch's own also looks for rows that are masked out altogether."""
    return torch.softmax(x, dim, dtype)


def _expand(x: Tensor, size: list[int], *, implicit: bool = False) -> object:
    """Leave out an expansion that changes nothing, which products of matrices are full of: ONNX would copy."""
    same = len(size) == x.dim() and all(statically_known_true(a == b) for a, b in zip(size, x.shape, strict=True))
    return x.view(x.shape) if same else NotImplemented


# ONNX has no gradients: these two are written out, the rest is composed of operators that the exporter knows. The other
# three say the same as what torch would write, in operators that onnxruntime is faster at.
_REWRITTEN: Mapping[OpOverload, Callable[..., object]] = {
    torch.ops.aten.convolution_backward.default: _convolution_input_gradient,
    torch.ops.aten.native_batch_norm_backward.default: _norm_input_gradient,
    torch.ops.aten.convolution.default: _depthwise_convolution,
    torch.ops.aten._safe_softmax.default: _softmax,
    torch.ops.aten.expand.default: _expand,
}


def to_onnx(module: nn.Module, clips: Tensor, *, outputs: Sequence[str] = OUTPUTS) -> bytes:
    """Return a module as a model: one input "clips", its first two axes free, and the outputs under these names."""
    with _quiet_exporter(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no gradient that ONNX could follow
        traced = make_fx(module, _REWRITTEN, "symbolic", _allow_non_fake_inputs=True)(clips)
        program = torch.onnx.export(
            traced.eval(),
            (clips,),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("N"), 1: torch.export.Dim("T")},),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise torch.onnx.OnnxExporterError("the exporter returned nothing")
    serialised: bytes = _without_notes(program.model_proto).SerializeToString()
    return serialised


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes of every node: source lines with this machine's paths, half a megabyte of them."""
    for noted in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    model.graph.ClearField("value_info")
    return model


# What torch.onnx.export is made of, by its loggers.
EXPORTERS = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir")


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what torch's exporter says of itself: its steps, deprecated calls, that torchvision is not there."""
    levels = {name: logging.getLogger(name).level for name in EXPORTERS}
    for name in EXPORTERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated", category=FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@torch.no_grad()
def _differences(explainer: nn.Module, exported: OnnxModel, shapes: Sequence[tuple[int, ...]]) -> dict[str, float]:
    """Return the largest absolute difference of each output, of explanations in the middle one of a shape's clips.

    The clips are random and seeded. A NaN in any of them makes the difference NaN.
    """
    generator = torch.Generator().manual_seed(0)
    differences: dict[str, list[float]] = {name: [] for name in OUTPUTS}
    for shape in shapes:
        draws = [_difference(explainer, exported, torch.randn(shape, generator=generator)) for _ in range(DRAWS)]
        for place, name in enumerate(OUTPUTS):
            clips = np.concatenate([draw[place] for draw in draws])
            differences[name].append(float(clips.max() if name == OUTPUTS[0] else np.median(clips)))
    return {name: float(np.max(some)) for name, some in differences.items()}


def _difference(explainer: nn.Module, exported: OnnxModel, clips: Tensor) -> list[Float32[F32, " N"]]:
    """Return how far each output is from the model's, at most in each clip."""
    expected, got = explainer(clips), exported.run({INPUT: clips.numpy()})
    apart = []
    for name, output in zip(OUTPUTS, expected, strict=True):
        if got[name].shape != tuple(output.shape):
            raise ExportError(
                f"{name} of clips {tuple(clips.shape)}: expected {tuple(output.shape)}, got {got[name].shape}"
            )
        apart.append(np.abs(got[name] - output.numpy()).max(axis=1))
    return apart


def _refuse_if_apart(differences: dict[str, float], path: Path) -> None:
    apart = [
        f"{name} by {difference:.1e} ({TOLERANCES[name]:.0e} is allowed)"
        for name, difference in differences.items()
        if not difference <= TOLERANCES[name]
    ]
    if apart:
        raise ExportError(
            f"{path.name} does not say what the model says: {', '.join(apart)}; "
            "look for randomness and for branches that depend on the input"
        )
