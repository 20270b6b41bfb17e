"""CTR-GCN from elsewhere answers as it did there."""

from pathlib import Path

import pytest
import torch
from checkpoints import Shapes, conv, conv_norm, made_up, norm, numbered, read_reference, spoilt

from models.registry import build
from pipeline.errors import DataError
from pipeline.layouts import LAYOUTS
from training.importers.ctrgcn import from_pyskl
from training.importers.keys import load

SMALL = {"base_channels": 32, "widths": (1, 2), "strides": (1, 2)}


def unit_shapes(unit: str, channels: int, out_channels: int) -> Shapes:
    width, narrow = out_channels // 4, 8 if channels <= 16 else channels // 8
    shapes: Shapes = {
        f"{unit}.gcn1.A": (3, 17, 17),
        f"{unit}.gcn1.alpha": (1,),
        **norm(f"{unit}.gcn1.bn", out_channels),
        **conv(f"{unit}.gcn1.down.0", channels, out_channels, 1, 1),
        **norm(f"{unit}.gcn1.down.1", out_channels),
        **norm(f"{unit}.tcn1.branches.2.4", width),
    }
    for subset in range(3):
        name = f"{unit}.gcn1.convs.{subset}"
        shapes |= {**conv(f"{name}.conv1", channels, narrow, 1, 1), **conv(f"{name}.conv2", channels, narrow, 1, 1)}
        shapes |= conv(f"{name}.conv3", channels, out_channels, 1, 1)
        shapes |= conv(f"{name}.conv4", narrow, out_channels, 1, 1)
    for branch in range(4):
        name = f"{unit}.tcn1.branches.{branch}"
        shapes |= {**conv(f"{name}.0", out_channels, width, 1, 1), **norm(f"{name}.1", width)}
        shapes |= conv_norm(f"{name}.3", width, width, 5, 1) if branch < 2 else {}
    return shapes


def shapes() -> Shapes:
    named: Shapes = {
        "backbone.A": (3, 17, 17),
        **norm("backbone.data_bn", 2 * 17 * 3),
        **conv("cls_head.fc_cls", 64, 4),
    }
    for number, before, after in numbered(0, (3, 32, 64)):
        named |= unit_shapes(f"backbone.net.{number}", before, after)
    return named | conv_norm("backbone.net.1.residual", 32, 64, 1, 1)


def test_a_checkpoint_of_pyskl_fits() -> None:
    model = build("ctrgcn", layout=LAYOUTS["coco17"], num_classes=4, num_people=2, options=SMALL)
    load(from_pyskl(made_up(shapes())), model)


def test_each_key_that_does_not_fit_is_named() -> None:
    model = build("ctrgcn", layout=LAYOUTS["coco17"], num_classes=4, num_people=2, options=SMALL)
    alone = "backbone.net.0.tcn1.branches.3.0.weight"
    bad = spoilt(made_up(shapes()), missing="backbone.net.1.gcn1.alpha", misshapen=alone)
    with pytest.raises(DataError, match=r"unexpected novelty \[3\]"):
        from_pyskl(bad)
    del bad["novelty"]
    with pytest.raises(DataError, match="does not fit, 2 of its keys") as caught:
        load(from_pyskl(bad), model)
    assert "missing backbones.0.blocks.1.spatial.topology.alpha [1]" in str(caught.value)
    assert "blocks.0.temporal.0.alone.weight: expected [8, 32, 1, 1], got [7, 32, 1, 1]" in str(caught.value)


def test_pyskls_answers_are_ours(shared: Path) -> None:
    theirs = read_reference(shared / "parity" / "pyskl_ctrgcn_coco17", axes="NMTVC")
    model = build("ctrgcn", layout=LAYOUTS["coco17"], num_classes=60, num_people=2).eval()
    load(from_pyskl(theirs.state), model)
    with torch.no_grad():
        torch.testing.assert_close(model(theirs.clips), theirs.logits, atol=1e-4, rtol=0)
