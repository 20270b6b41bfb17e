"""What is exported says what was trained, or is not exported at all."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from models.registry import Recogniser, build
from pipeline.errors import ExportError
from pipeline.layouts import LAYOUTS
from pipeline.onnx import OnnxModel
from pipeline.recognise import INPUT, OUTPUTS
from pipeline.values import F32
from training.export import (
    TOLERANCES,
    _convolution_input_gradient,
    _depthwise_convolution,
    _differences,
    _Explainer,
    _refuse_if_apart,
    export_onnx,
    to_onnx,
)

SHAPE = {"num_frames": 12, "num_people": 2, "num_joints": 13, "num_channels": 3}


class Pooling(Recogniser):
    """A recogniser that is quick to export."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(x.square().mean(dim=(1, 2, 3)))


class Guessing(Pooling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.rand_like(x))


class Inflexible(Pooling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, 12, 2, 13, 3))


class Undefined(Pooling):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward((-x.abs()).sqrt())


@pytest.fixture
def stfnet() -> Recogniser:
    torch.manual_seed(0)
    options = {
        "base_channels": 8,
        "streams": ("bone_motion",),
        "widths": (1, 2),
        "strides": (1, 2),
        "mcf_blocks": (1,),
        "people": "present",
    }
    model = build("stfnet", layout=LAYOUTS["penn13"], num_classes=4, num_people=2, options=options)
    model(torch.randn(8, 12, 2, 13, 3))  # so that batch norm has statistics
    return model


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_file_answers_as_the_model_for_any_number_of_clips_and_frames(stfnet: Recogniser, tmp_path: Path) -> None:
    report = export_onnx(stfnet, tmp_path / "model.onnx", **SHAPE)
    exported = OnnxModel(report.path, threads=1)
    assert [node.name for node in exported.inputs] == [INPUT]
    assert exported.inputs[0].shape == (None, None, 2, 13, 3)
    assert stfnet.training
    stfnet.eval()
    for num_clips, num_frames in ((1, 12), (4, 12), (3, 7), (2, 30)):
        clips = torch.randn(num_clips, num_frames, 2, 13, 3)
        answers = exported.run({INPUT: clips.numpy()})
        for name, expected in zip(OUTPUTS, stfnet.explain(clips), strict=True):
            np.testing.assert_allclose(answers[name], expected.numpy(), atol=TOLERANCES[name])


def test_the_report_is_of_the_file(tmp_path: Path) -> None:
    report = export_onnx(Pooling(), tmp_path / "model.onnx", **SHAPE)
    assert report.num_bytes == report.path.stat().st_size
    assert report.opset == onnx.load(report.path).opset_import[0].version >= 17
    assert 0 <= report.max_difference <= 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_file_tells_nothing_of_the_machine_that_wrote_it(tmp_path: Path) -> None:
    report = export_onnx(Pooling(), tmp_path / "model.onnx", **SHAPE)
    assert b".py" not in report.path.read_bytes()


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (Guessing(), "does not say what the model says: logits by"),
        (Undefined(), "does not say what the model says: logits by nan"),
        (Inflexible(), "Inflexible cannot be exported"),
    ],
    ids=["random", "nan", "fixed"],
)
def test_a_model_that_cannot_be_trusted_leaves_no_file(model: Recogniser, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=complaint):
        export_onnx(model, tmp_path / "model.onnx", **SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_keeps_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the last good one")
    with pytest.raises(ExportError):
        export_onnx(Guessing(), path, **SHAPE)
    assert path.read_bytes() == b"the last good one"


def test_what_is_no_recogniser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a recogniser, which can explain itself, not Linear"):
        export_onnx(nn.Linear(3, 4), tmp_path / "model.onnx", **SHAPE)


class Stepping:
    """Answers as a model does, but for a step in one output of the clips that count up to a multiple of a number."""

    def __init__(self, model: Recogniser, output: str, every: int) -> None:
        self._model, self._place, self._every, self._asked = model, OUTPUTS.index(output), every, 0

    def run(self, inputs: dict[str, F32]) -> dict[str, F32]:
        answers = [answer.numpy().copy() for answer in self._model.explain(torch.from_numpy(inputs[INPUT]))]
        for clip in answers[self._place]:
            self._asked += 1
            clip[0] += 0.01 * (self._asked % self._every == 0)
        return dict(zip(OUTPUTS, answers, strict=True))


@pytest.mark.parametrize(
    ("output", "every", "is_refused"),
    [("joint_attention", 1, True), ("joint_attention", 4, False), ("frame_attention", 4, False), ("logits", 4, True)],
    ids=["all explanations", "few explanations of joints", "few explanations of frames", "few answers"],
)
def test_single_explanations_may_step_over_a_kink_and_answers_may_not(
    output: str, every: int, is_refused: bool, tmp_path: Path
) -> None:
    model = Pooling().eval().requires_grad_(False)
    shapes = [(clips, SHAPE["num_frames"], 2, 13, 3) for clips in (1, 4)]
    differences = _differences(_Explainer(model), Stepping(model, output, every), shapes)
    with pytest.raises(ExportError, match=f"{output} by 1.0e-02") if is_refused else nullcontext():
        _refuse_if_apart(differences, tmp_path / "model.onnx")


@pytest.mark.parametrize("num_frames", [7, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups"), [(9, 2, 1, 1), (3, 1, 4, 1), (3, 2, 3, 4), (1, 2, 1, 1)]
)
def test_the_written_out_gradient_of_a_convolution_is_its_gradient(
    kernel: int, stride: int, dilation: int, groups: int, num_frames: int
) -> None:
    margin = dilation * (kernel // 2)
    x, weight = torch.randn(2, 8, num_frames, 5, requires_grad=True), torch.randn(8, 8 // groups, kernel, 1)
    y = torch.conv2d(x, weight, None, (stride, 1), (margin, 0), (dilation, 1), groups)
    slope = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, x, slope)
    rest = [dilation, 1], False, [0, 0], groups, [True, False, False]
    written, _, _ = _convolution_input_gradient(slope, x, weight, None, [stride, 1], [margin, 0], *rest)
    torch.testing.assert_close(written, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [16, 5])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [((3, 3, 3), 1, 1), ((5, 3, 3), 2, 1), ((3, 1, 3), 1, 2), ((1, 3, 3), 2, 1)]
)
def test_a_depthwise_convolution_in_pictures_is_the_convolution(
    kernel: tuple[int, int, int], stride: int, dilation: int, channels: int
) -> None:
    x, weight = torch.randn(2, channels, 6, 9, 8), torch.randn(channels, 1, *kernel)
    strides, margins = [1, stride, stride], [dilation * (size // 2) for size in kernel]
    expected = torch.conv3d(x, weight, None, strides, margins, dilation, channels)
    rest = [dilation] * 3, False, [0, 0, 0], channels
    written = _depthwise_convolution(x, weight, None, strides, margins, *rest)
    torch.testing.assert_close(written, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "stride", "groups", "bias"),
    [
        ((8, 8, 3, 3, 3), 1, 1, False),
        ((8, 1, 3, 3, 3), 2, 8, False),
        ((8, 1, 3, 3, 3), 1, 8, True),
        ((8, 1, 3, 3), 1, 8, False),
    ],
    ids=["dense", "striding", "biased", "flat"],
)
def test_any_other_convolution_is_left_alone(shape: tuple[int, ...], stride: int, groups: int, bias: bool) -> None:
    x, weight = torch.randn(2, 8, *[6] * (len(shape) - 2)), torch.randn(shape)
    axes = len(shape) - 2
    rest = [1] * axes, False, [0] * axes, groups
    added = torch.zeros(8) if bias else None
    assert _depthwise_convolution(x, weight, added, [stride] * axes, [1] * axes, *rest) is NotImplemented


class Attending(nn.Module):
    """Frames that attend to frames, by all they hold."""

    def forward(self, x: Tensor) -> Tensor:
        frames = x.flatten(2)
        return nn.functional.scaled_dot_product_attention(frames, frames, frames)


def test_attention_is_exported_without_detours() -> None:
    clips = torch.randn(3, 7, 1, 4, 2)
    content = to_onnx(Attending(), clips, outputs=("y",))
    operators = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert "Softmax" in operators
    assert operators.isdisjoint({"Where", "IsNaN", "ReduceMin", "Expand"})
    exported = OnnxModel(content, threads=1).run({INPUT: clips[:2, :5].numpy()})
    np.testing.assert_allclose(exported["y"], Attending()(clips[:2, :5]).numpy(), atol=1e-5)
