"""MS-G3D from elsewhere answers as it did there."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from checkpoints import Shapes, conv, conv_norm, made_up, norm, numbered, read_reference, spoilt
from torch import Tensor

from models.graph import scale_adjacency
from models.registry import Recogniser, build
from pipeline.errors import DataError
from pipeline.layouts import LAYOUTS
from training.importers.keys import load
from training.importers.msg3d import AUTHORS_NTU25, from_authors, from_pyskl
from training.importers.registry import importer_for

CHANNELS = (3, 6, 12, 24)
SMALL = {"base_channels": 6, "gcn_scales": 3, "g3d_scales": 2}
STRIDES = (1, 2, 2)


def graph_conv(name: str, channels: int, out_channels: int, *, num_scales: int, size: int) -> Shapes:
    layers = f"{name}.mlp.layers"
    return {
        f"{name}.A_res": (num_scales * size, size),
        **conv(f"{layers}.0", num_scales * channels, out_channels, 1, 1),
        **norm(f"{layers}.1", out_channels),
    }


def temporal(name: str, channels: int, out_channels: int, stride: int = 1) -> Shapes:
    width, shapes = out_channels // 6, {}
    for branch in range(6):
        shapes |= conv(f"{name}.branches.{branch}.0", channels, width, 1, 1)
        shapes |= norm(f"{name}.branches.{branch}.1", width)
        if branch < 4:
            shapes |= conv_norm(f"{name}.branches.{branch}.3", width, width, 3, 1)
    shapes |= norm(f"{name}.branches.4.4", width)
    if (channels, stride) != (out_channels, 1):
        shapes |= conv_norm(f"{name}.residual", channels, out_channels, 1, 1)
    return shapes


def authors_shapes(num_joints: int) -> Shapes:
    shapes = {**norm("data_bn", 2 * num_joints * 3), **conv("fc", 24, 4)}
    for number, before, after in numbered(1, CHANNELS):
        hidden, stride = after if number == 1 else before, STRIDES[number - 1]
        for place, window in enumerate((3, 5)):
            path = f"gcn3d{number}.gcn3d.{place}"
            shapes |= graph_conv(f"{path}.gcn3d.1", before, hidden, num_scales=2, size=window * num_joints)
            shapes |= {**conv(f"{path}.out_conv", hidden, after, 1, window, 1), **norm(f"{path}.out_bn", after)}
        shapes |= graph_conv(f"sgcn{number}.0", before, hidden, num_scales=3, size=num_joints)
        shapes |= temporal(f"sgcn{number}.1", hidden, after, stride)
        shapes |= {**temporal(f"sgcn{number}.2", after, after), **temporal(f"tcn{number}", after, after)}
    return shapes


def in_pyskl(state: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Write a checkpoint of the authors as PYSKL would: with a graph of its own, givers in rows, and other names."""
    num_joints = len(LAYOUTS[layout])
    theirs = AUTHORS_NTU25 if layout == "ntu25" else LAYOUTS[layout]
    renamed: dict[str, Tensor] = {"backbone.A": torch.eye(num_joints)}
    for key, value in state.items():
        if key.endswith("A_res"):
            size = value.shape[1]
            num_scales, window = len(value) // size, size // num_joints
            whole = value.view(-1, size, size) + torch.from_numpy(scale_adjacency(theirs, num_scales, window=window))
            A = torch.rand_like(whole)
            name = f"backbone.{key.removesuffix('A_res')}"
            renamed |= {f"{name}A": A, f"{name}PA": whole.transpose(1, 2) - A}
        else:
            renamed[f"cls_head.fc_cls{key[2:]}" if key.startswith("fc.") else f"backbone.{key}"] = value
    return renamed


def small(layout: str) -> Recogniser:
    return build("msg3d", layout=LAYOUTS[layout], num_classes=4, num_people=2, options=SMALL).eval()


@pytest.mark.parametrize("layout", ["ntu25", "openpose18"])
def test_a_checkpoint_of_the_authors_fits(layout: str) -> None:
    load(from_authors(made_up(authors_shapes(len(LAYOUTS[layout])))), small(layout))


@pytest.mark.parametrize("layout", ["ntu25", "coco17"])
def test_a_checkpoint_of_pyskl_answers_as_the_same_one_of_the_authors(layout: str) -> None:
    state = made_up(authors_shapes(len(LAYOUTS[layout])))
    ours, other = small(layout), small(layout)
    load(from_authors(state), ours)
    load(from_pyskl(in_pyskl(state, layout)), other)
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value, other.get_parameter(name), atol=1e-5, rtol=0)


def test_a_graph_that_is_not_ours_is_carried_over() -> None:
    state = made_up(authors_shapes(25))
    model = small("ntu25")
    load(from_authors(state), model)
    conv = model.get_submodule("backbones.0.blocks.0.factorised.0")
    expected = state["sgcn1.0.A_res"].view(3, 25, 25) + torch.from_numpy(scale_adjacency(AUTHORS_NTU25, 3))
    torch.testing.assert_close(conv.get_buffer("A") + conv.get_parameter("A_res"), expected)


def test_each_key_that_does_not_fit_is_named() -> None:
    state = made_up(authors_shapes(18))
    with pytest.raises(DataError, match=r"unexpected novelty \[3\]"):
        from_authors(spoilt(state, missing="fc.bias", misshapen="fc.weight"))
    bad = spoilt(state, missing="fc.bias", misshapen="gcn3d2.gcn3d.1.out_conv.weight")
    del bad["novelty"]
    with pytest.raises(DataError) as refusal:
        load(from_authors(bad), small("openpose18"))
    assert "missing backbones.0.classify.bias [4]" in str(refusal.value)
    assert "blocks.1.unified.1.collapse.weight: expected [12, 6, 1, 5, 1], got [11, 6, 1, 5, 1]" in str(refusal.value)


@pytest.mark.parametrize(
    ("num_joints", "misshapen", "complaint"),
    [(18, "sgcn1.0.A_res", "a square for each scale"), (7, "fc.weight", "graphs of 17, 18, 25 joints, got 7")],
)
def test_a_graph_that_is_none_is_refused(num_joints: int, misshapen: str, complaint: str) -> None:
    state = made_up(authors_shapes(num_joints))
    state[misshapen] = state[misshapen][:-1]
    with pytest.raises(DataError, match=complaint):
        from_authors(state)


def test_pyskls_graph_may_not_be_missing() -> None:
    state = in_pyskl(made_up(authors_shapes(17)), "coco17")
    del state["backbone.sgcn1.0.A"]
    with pytest.raises(DataError, match="expected a graph A of the same shape as PA"):
        from_pyskl(state)


def test_it_is_found_by_name() -> None:
    assert importer_for("ms-g3d", "msg3d") is from_authors
    assert importer_for("pyskl", "msg3d") is from_pyskl


def test_the_reference_answers_as_it_did(shared: Path) -> None:
    reference = read_reference(shared / "parity" / "msg3d_orig_ntu", axes="NCTVM")
    model = build("msg3d", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2).eval()
    load(from_authors(reference.state), model)
    with torch.no_grad():
        torch.testing.assert_close(model(reference.clips), reference.logits, atol=1e-4, rtol=0)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters == reference.meta["params"]
