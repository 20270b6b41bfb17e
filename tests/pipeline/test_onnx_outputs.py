"""A model that was cut down answers what it still answers as before, and does no more than that needs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from factories import make_wrist_model
from onnx import TensorProto, helper

from pipeline.errors import ModelError
from pipeline.onnx import OnnxModel
from pipeline.onnx_outputs import keep_outputs

OUTPUTS = ("logits", "frame_attention", "joint_attention")


def parse(model: bytes) -> onnx.ModelProto:
    parsed = onnx.load_model_from_string(model)
    onnx.checker.check_model(parsed)
    return parsed


def make_branching_model() -> bytes:
    """Return y = x + 1, or x + 1 + x where x is above zero; z = -x is nobody's."""
    value: Any = helper.make_tensor_value_info
    x, y, z = (value(name, TensorProto.FLOAT, [1]) for name in "xyz")
    branches = {
        f"{name}_branch": helper.make_graph([node], name, [], [value(name, TensorProto.FLOAT, [1])])
        for name, node in (
            ("then", helper.make_node("Add", ["more", "x"], ["then"])),
            ("else", helper.make_node("Identity", ["more"], ["else"])),
        )
    }
    nodes = [
        helper.make_node("Add", ["x", "one"], ["more"]),
        helper.make_node("Neg", ["x"], ["z"]),
        helper.make_node("Greater", ["x", "zero"], ["above"]),
        helper.make_node("If", ["above"], ["y"], **branches),
    ]
    numbers = [helper.make_tensor(name, TensorProto.FLOAT, [1], [number]) for name, number in (("one", 1), ("zero", 0))]
    graph = helper.make_graph(nodes, "branching", [x], [y, z], numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("names", [("logits",), ("joint_attention",), ("logits", "frame_attention"), OUTPUTS], ids=str)
def test_what_is_kept_is_answered_as_before(names: tuple[str, ...]) -> None:
    whole = make_wrist_model()
    clips = {"clips": np.random.default_rng(0).normal(size=(3, 8, 1, 17, 2)).astype(np.float32)}
    expected, answers = OnnxModel(whole, threads=1).run(clips), OnnxModel(whole, threads=1, outputs=names).run(clips)
    assert set(answers) == set(names)
    for name in names:
        np.testing.assert_array_equal(answers[name], expected[name])


def test_what_nobody_needs_is_gone() -> None:
    whole, cut = parse(make_wrist_model()), parse(keep_outputs(make_wrist_model(), ("joint_attention",)))
    assert [node.op_type for node in cut.graph.node] == ["Abs", "ReduceMean", "Softmax"]
    assert [output.name for output in cut.graph.output] == ["joint_attention"]
    assert cut.graph.input == whole.graph.input
    assert cut.opset_import == whole.opset_import


def test_a_model_of_which_everything_is_kept_stays_what_it_is() -> None:
    assert parse(keep_outputs(make_wrist_model(), OUTPUTS)) == parse(make_wrist_model())


@pytest.mark.parametrize(("x", "y"), [(2.0, 5.0), (-2.0, -1.0)])
def test_what_branches_take_from_outside_stays(x: float, y: float) -> None:
    cut = keep_outputs(make_branching_model(), ("y",))
    assert [node.op_type for node in parse(cut).graph.node] == ["Add", "Greater", "If"]
    assert OnnxModel(cut, threads=1).run({"x": np.array([x], np.float32)})["y"] == pytest.approx([y])


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="expected a model with outputs age, mood, got one without"):
        keep_outputs(make_wrist_model(), ("logits", "mood", "age"))


@pytest.mark.parametrize(
    "broken", [b"not a model", make_wrist_model()[:-1], b"\x3a\x05"], ids=["text", "short", "bare"]
)
def test_what_is_no_model_is_refused(broken: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not an ONNX model"):
        keep_outputs(broken, ("logits",))
    path = tmp_path / "model.onnx"
    path.write_bytes(broken)
    with pytest.raises(ModelError, match="is not an ONNX model"):
        OnnxModel(path, outputs=("logits",))
