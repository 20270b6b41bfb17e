import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pipeline.errors import ModelError, ProviderMissing
from pipeline.onnx import MAX_DEFAULT_THREADS, PROVIDERS, OnnxModel, Tensor, default_threads, profile

# y = Identity(x), one float, opset 17.
IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201705a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a"
    "02080142040a001011"
)


def has_gpu() -> bool:
    return OnnxModel(IDENTITY, provider="auto").provider != "cpu"


def test_a_model_answers_every_output_by_name() -> None:
    model = OnnxModel(IDENTITY, threads=1)
    outputs = model.run({"x": np.array([2.5], np.float32)})
    assert list(outputs) == ["y"]
    assert outputs["y"].tolist() == [2.5]


def test_a_model_names_its_inputs_and_outputs() -> None:
    model = OnnxModel(IDENTITY)
    assert model.inputs == (Tensor("x", (1,)),)
    assert model.outputs == (Tensor("y", (1,)),)
    assert model.provider == "cpu"


def test_a_file_is_loaded_like_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "identity.onnx"
    path.write_bytes(IDENTITY)
    assert OnnxModel(path).run({"x": np.zeros(1, np.float32)})["y"].tolist() == [0.0]


def test_waiting_threads_spin_no_longer_than_an_operator_takes() -> None:
    options = OnnxModel(IDENTITY)._session.get_session_options()
    spins = options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert not spins or options.get_session_config_entry("session.intra_op.spin_duration_us") == "50"
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def test_the_default_number_of_threads_is_small() -> None:
    assert 1 <= default_threads() <= MAX_DEFAULT_THREADS
    assert OnnxModel(IDENTITY)._session.get_session_options().intra_op_num_threads == default_threads()


def test_auto_always_finds_a_provider() -> None:
    assert OnnxModel(IDENTITY, provider="auto").provider in PROVIDERS[1:]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_device_that_is_not_there_is_refused_not_replaced(provider: str) -> None:
    if has_gpu():
        pytest.skip("needs a machine without a GPU: this would have checked that the CPU does not stand in for one")
    with pytest.raises(ProviderMissing, match=f"'{provider}' was asked for.*'cpu' here.*CUDA.*'auto'"):
        OnnxModel(IDENTITY, provider=provider)


@pytest.mark.gpu
def test_cuda_is_used_where_it_is_there() -> None:
    if not has_gpu():
        pytest.skip("needs a GPU: this would have checked that a model runs on it")
    assert OnnxModel(IDENTITY, provider="cuda").provider == "cuda"


def test_an_unknown_provider_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="unknown provider 'gpu': expected one of auto, cpu, cuda, tensorrt"):
        OnnxModel(IDENTITY, provider="gpu")


def test_no_threads_at_all_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="threads must be 1 or more, not 0"):
        OnnxModel(IDENTITY, threads=0)


@pytest.mark.parametrize("provider", ["cpu", "auto"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, provider: str) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"broken\.onnx is not an ONNX model"):
        OnnxModel(path, provider=provider)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx"):
        OnnxModel(tmp_path / "missing.onnx")


def test_nothing_is_written_to_the_terminal_while_looking_for_a_gpu() -> None:
    code = (
        "from pipeline.onnx import OnnxModel\n"
        f"model = bytes.fromhex('{IDENTITY.hex()}')\n"
        "for provider in ('auto', 'cuda', 'tensorrt'):\n"
        "    try: OnnxModel(model, provider=provider)\n"
        "    except Exception as error: assert type(error).__name__ == 'ProviderMissing', error\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_profile_has_each_kind_of_operator_the_dearest_first(tmp_path: Path) -> None:
    path = tmp_path / "identity.onnx"
    path.write_bytes(IDENTITY)
    costs = profile(path, {"x": np.zeros(1, np.float32)}, threads=1, repeats=3)
    assert [(cost.name, cost.count) for cost in costs] == [("Identity", 1)]
    assert costs[0].spent_ms >= 0
    assert list(tmp_path.iterdir()) == [path]
