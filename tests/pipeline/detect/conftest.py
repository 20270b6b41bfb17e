"""Detectors whose answer is known beforehand."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.onnx import OnnxModel

ConstantModel = Callable[..., OnnxModel]


@pytest.fixture(scope="session")
def constant_model() -> ConstantModel:
    """Build a model that takes a picture of a shape and always answers the same."""

    def build(shape: tuple[int | str, ...], outputs: Mapping[str, np.ndarray]) -> OnnxModel:
        graph = helper.make_graph(
            [helper.make_node("Identity", [f"{name}_is"], [name]) for name in outputs],
            "constant",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
                for name, values in outputs.items()
            ],
            [numpy_helper.from_array(values, f"{name}_is") for name, values in outputs.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return OnnxModel(model.SerializeToString(), threads=1)

    return build
