"""ST-GCN++ from elsewhere answers as it did there; one of the checkpoints is really trained."""

from pathlib import Path

import pytest
import torch
from checkpoints import Shapes, conv, conv_norm, made_up, norm, numbered, read_reference, spoilt

from models.registry import build
from pipeline.errors import DataError
from pipeline.layouts import LAYOUTS, Layout
from training.importers.keys import load
from training.importers.stgcnpp import from_mmaction2, from_pyskl

FINGERS = ("thumb", "index", "middle", "ring", "little")
HAND21 = Layout(
    "hand21",
    ("wrist", *(f"{finger}_{place}" for finger in FINGERS for place in range(4))),
    tuple(
        (f"{finger}_{place}", f"{finger}_{place - 1}" if place else "wrist") for finger in FINGERS for place in range(4)
    ),
    "wrist",
)
# The public gesture demo of PYSKL: six units, the last of them wider and slower.
GESTURES = {"widths": (1, 1, 1, 1, 1, 2), "strides": (1, 1, 1, 1, 1, 2)}
SMALL = {"base_channels": 12, "widths": (1, 2), "strides": (1, 2)}


def unit_shapes(unit: str, channels: int, out_channels: int) -> Shapes:
    width = out_channels // 6
    shapes: Shapes = {
        f"{unit}.gcn.A": (3, 17, 17),
        **conv(f"{unit}.gcn.conv", channels, 3 * out_channels, 1, 1),
        **norm(f"{unit}.gcn.bn", out_channels),
        **conv(f"{unit}.gcn.down.0", channels, out_channels, 1, 1),
        **norm(f"{unit}.gcn.down.1", out_channels),
        **conv(f"{unit}.tcn.branches.5", out_channels, width, 1, 1),
        **norm(f"{unit}.tcn.transform.0", out_channels),
        **conv(f"{unit}.tcn.transform.2", out_channels, out_channels, 1, 1),
        **norm(f"{unit}.tcn.bn", out_channels),
    }
    for branch in range(5):
        name = f"{unit}.tcn.branches.{branch}"
        shapes |= {**conv(f"{name}.0", out_channels, width, 1, 1), **norm(f"{name}.1", width)}
        shapes |= conv(f"{name}.3.conv", width, width, 3, 1) if branch < 4 else {}
    return shapes


def shapes_with(head: str) -> Shapes:
    shapes = {**norm("backbone.data_bn", 17 * 3), **conv(head, 24, 4)}
    for number, before, after in numbered(0, (3, 12, 24)):
        shapes |= unit_shapes(f"backbone.gcn.{number}", before, after)
    return shapes | conv_norm("backbone.gcn.1.residual", 12, 24, 1, 1)


def test_a_checkpoint_of_mmaction2_or_pyskl_fits() -> None:
    model = build("stgcnpp", layout=LAYOUTS["coco17"], num_classes=4, options=SMALL)
    load(from_mmaction2(made_up(shapes_with("cls_head.fc"))), model)
    load(from_pyskl(made_up(shapes_with("cls_head.fc_cls"))), model)


def test_each_key_that_does_not_fit_is_named() -> None:
    model = build("stgcnpp", layout=LAYOUTS["coco17"], num_classes=4, options=SMALL)
    branch = "backbone.gcn.0.tcn.branches.2.0.weight"
    bad = spoilt(made_up(shapes_with("cls_head.fc")), missing="backbone.gcn.1.gcn.A", misshapen=branch)
    with pytest.raises(DataError, match=r"unexpected novelty \[3\]"):
        from_mmaction2(bad)
    del bad["novelty"]
    with pytest.raises(DataError, match="does not fit, 2 of its keys") as caught:
        load(from_mmaction2(bad), model)
    assert "missing backbones.0.blocks.1.spatial.A [3, 17, 17]" in str(caught.value)
    assert "blocks.0.temporal.0.enter.0.weight: expected [10, 12, 1, 1], got [9, 12, 1, 1]" in str(caught.value)


def test_mmaction2s_answers_are_ours(shared: Path) -> None:
    theirs = read_reference(shared / "parity" / "mmaction2_stgcnpp_coco17", axes="NMTVC")
    model = build("stgcnpp", layout=LAYOUTS["coco17"], num_classes=60, num_people=2).eval()
    load(from_mmaction2(theirs.state), model)
    with torch.no_grad():
        torch.testing.assert_close(model(theirs.clips), theirs.logits, atol=1e-4, rtol=0)


def test_a_trained_network_of_pyskl_recognises_the_gesture_that_it_recognised_there(shared: Path) -> None:
    theirs = read_reference(shared / "parity" / "pyskl_hagrid_real", axes="NMTVC")
    model = build("stgcnpp", layout=HAND21, num_classes=40, num_channels=2, options=GESTURES).eval()
    load(from_pyskl(theirs.state), model)
    with torch.no_grad():
        logits = model(theirs.clips)
    torch.testing.assert_close(logits, theirs.logits, atol=1e-4, rtol=0)
    assert logits.softmax(dim=1).max() > 0.7
