"""2s-AGCN and AAGCN from elsewhere answer as they did there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import Shapes, conv, conv_norm, made_up, norm, numbered, read_reference, spoilt

from models.registry import Recogniser, build
from pipeline.errors import DataError
from pipeline.layouts import LAYOUTS, Layout
from training.importers.agcn import THEIR_LAYOUTS, from_authors, from_mmaction2, from_pyskl
from training.importers.keys import load
from training.importers.registry import variants_of

CHANNELS = (3, 8, 16)
SMALL = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2), "num_coordinates": 3}
AAGCN: dict[str, object] = {"graphs": ("learned", "sample"), "adapt": "tanh", "attention": True}


def spatial(name: str, channels: int, out_channels: int) -> Shapes:
    convolutions = {
        key: shape
        for subset in range(3)
        for key, shape in {
            **conv(f"{name}.conv_a.{subset}", channels, out_channels // 4, 1, 1),
            **conv(f"{name}.conv_b.{subset}", channels, out_channels // 4, 1, 1),
            **conv(f"{name}.conv_d.{subset}", channels, out_channels, 1, 1),
        }.items()
    }
    down = {**conv(f"{name}.down.0", channels, out_channels, 1, 1), **norm(f"{name}.down.1", out_channels)}
    return {**convolutions, **norm(f"{name}.bn", out_channels), **down}


def authors_shapes(num_joints: int) -> Shapes:
    shapes = {**norm("data_bn", 2 * num_joints * 3), **conv("fc", 16, 4)}
    for number, before, after in numbered(1, CHANNELS):
        shapes |= {f"l{number}.gcn1.PA": (3, num_joints, num_joints), **spatial(f"l{number}.gcn1", before, after)}
        shapes |= conv_norm(f"l{number}.tcn1", after, after, 9, 1)
    return shapes | conv_norm("l2.residual", 8, 16, 1, 1)


def openmmlab_shapes(head: str, num_joints: int = 17) -> Shapes:
    graph = (3, num_joints, num_joints)
    shapes: Shapes = {"backbone.A": graph, **norm("backbone.data_bn", 2 * num_joints * 3), **conv(head, 16, 4)}
    for number, before, after in numbered(0, CHANNELS):
        unit = f"backbone.gcn.{number}"
        shapes |= {f"{unit}.gcn.A": graph, f"{unit}.gcn.alpha": (1,), **spatial(f"{unit}.gcn", before, after)}
        shapes |= {**conv(f"{unit}.gcn.conv_ta", after, 1, 9), **conv(f"{unit}.gcn.conv_sa", after, 1, num_joints)}
        shapes |= {**conv(f"{unit}.gcn.fc1c", after, after // 2), **conv(f"{unit}.gcn.fc2c", after // 2, after)}
        shapes |= conv_norm(f"{unit}.tcn", after, after, 9, 1)
    return shapes | conv_norm("backbone.gcn.1.residual", 8, 16, 1, 1)


def small(layout: Layout, **options: object) -> Recogniser:
    return build("agcn", layout=layout, num_classes=4, num_people=2, options={**SMALL, **options})


@pytest.mark.parametrize("layout", ["ntu25", "openpose18"])
def test_a_checkpoint_of_the_authors_fits_and_brings_its_graph(layout: str) -> None:
    model = small(LAYOUTS[layout])
    load(from_authors(made_up(authors_shapes(len(LAYOUTS[layout])))), model)
    links = model.get_buffer("backbones.0.blocks.1.spatial.0.A").sum(dim=0) > 0
    bones = {frozenset(bone) for bone in THEIR_LAYOUTS[len(LAYOUTS[layout])].bone_indices}
    joints = {frozenset({joint}) for joint in range(len(LAYOUTS[layout]))}
    assert {frozenset(pair) for pair in links.nonzero().tolist()} == bones | joints


def test_a_checkpoint_of_mmaction2_or_pyskl_fits() -> None:
    model = small(LAYOUTS["coco17"], **AAGCN)
    load(from_mmaction2(made_up(openmmlab_shapes("cls_head.fc"))), model)
    load(from_pyskl(made_up(openmmlab_shapes("cls_head.fc_cls"))), model)


def test_the_variants_are_with_attention_and_without() -> None:
    shapes = openmmlab_shapes("cls_head.fc_cls")
    attention = (".conv_ta.", ".conv_sa.", ".fc1c.", ".fc2c.")
    plain = {key: shape for key, shape in shapes.items() if not any(name in key for name in attention)}
    for state, variant in zip((shapes, plain), variants_of("pyskl", "agcn"), strict=True):
        load(from_pyskl(made_up(state)), small(LAYOUTS["coco17"], **variant))


def test_each_key_that_does_not_fit_is_named() -> None:
    state = made_up(openmmlab_shapes("cls_head.fc"))
    model = small(LAYOUTS["coco17"], **AAGCN)
    with pytest.raises(DataError, match=r"unexpected novelty \[3\]"):
        from_mmaction2(spoilt(state, missing="cls_head.fc.bias", misshapen="backbone.gcn.0.gcn.conv_d.0.weight"))
    bad = spoilt(state, missing="backbone.gcn.0.gcn.alpha", misshapen="backbone.gcn.0.gcn.conv_d.0.weight")
    del bad["novelty"]
    with pytest.raises(DataError, match="does not fit, 2 of its keys") as caught:
        load(from_mmaction2(bad), model)
    assert "missing backbones.0.blocks.0.spatial.0.C.alpha [1]" in str(caught.value)
    assert "blocks.0.spatial.0.project.weight: expected [8, 9, 1, 1], got [23, 3, 1, 1]" in str(caught.value)


def test_a_graph_that_nobody_knows_is_refused() -> None:
    with pytest.raises(DataError, match="the checkpoint has 20 joints, and lacks its graph: expected one of 25, 18"):
        from_authors(made_up(authors_shapes(20)))


def test_the_authors_answers_are_ours(shared: Path) -> None:
    theirs = read_reference(shared / "parity" / "agcn_2s_ntu", axes="NCTVM")
    model = build("agcn", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2, options={"num_coordinates": 3}).eval()
    load(from_authors(theirs.state), model)
    with torch.no_grad():
        torch.testing.assert_close(model(theirs.clips), theirs.logits, atol=1e-4, rtol=0)


def test_the_authors_graph_is_what_they_trained_with(shared: Path) -> None:
    theirs = np.load(shared / "parity" / "agcn_2s_ntu" / "A.npy")
    converted = from_authors(read_reference(shared / "parity" / "agcn_2s_ntu", axes="NCTVM").state)
    np.testing.assert_allclose(converted["backbones.0.blocks.9.spatial.0.A"], theirs)


def test_mmaction2s_answers_are_ours(shared: Path) -> None:
    theirs = read_reference(shared / "parity" / "mmaction2_aagcn_ntu", axes="NMTVC")
    options = {"num_coordinates": 3, **AAGCN}
    model = build("agcn", layout=LAYOUTS["ntu25"], num_classes=60, num_people=2, options=options).eval()
    load(from_mmaction2(theirs.state), model)
    with torch.no_grad():
        torch.testing.assert_close(model(theirs.clips), theirs.logits, atol=1e-4, rtol=0)
