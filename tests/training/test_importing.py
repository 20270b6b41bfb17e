"""Checkpoints from elsewhere become bundles, or say what is wrong with them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import read_reference
from torch import Tensor
from typer.testing import CliRunner

from models.layers import StreamsRecogniser
from models.registry import Recogniser, build
from pipeline.bundle import Bundle
from pipeline.errors import DataError
from pipeline.features import make_features
from pipeline.layouts import COCO17, HAND21, LAYOUTS, NTU25, OPENPOSE18
from pipeline.onnx import OnnxModel
from pipeline.values import SkeletonClip
from training import importing
from training.commands import app
from training.export import ExportReport
from training.importers.registry import Importer
from training.importing import Candidate, Checkpoint, features_of, fitted, import_checkpoint, read_weights

LABELS = ("wave", "clap", "sit_down", "other")
TINY: dict[str, object] = {"base_channels": 4, "widths": (1,), "strides": (1,)}


@pytest.fixture
def model() -> Recogniser:
    """Somebody else's network: ours, under names of their own."""
    torch.manual_seed(0)
    return build("stgcn", layout=COCO17, num_classes=4, num_people=2, options=TINY).eval()


@pytest.fixture
def checkpoint(model: Recogniser, tmp_path: Path) -> Checkpoint:
    """A checkpoint as MMAction2 saves it."""
    torch.save({"meta": {"epoch": 16}, "state_dict": theirs(model)}, tmp_path / "epoch_16.pth")
    return Checkpoint(
        path=tmp_path / "epoch_16.pth", source="mmaction2", architecture="stgcn", labels=LABELS, options=TINY
    )


def theirs(model: Recogniser) -> dict[str, Tensor]:
    """Name the weights of a network of one unit as MMAction2 does, in its order."""
    names = {
        "norm.norm": "backbone.data_bn",
        "classify": "cls_head.fc",
        "blocks.0.spatial.0.A": "backbone.gcn.0.gcn.A",
        "blocks.0.spatial.0.M": "backbone.gcn.0.gcn.PA",
        "blocks.0.spatial.0.norm": "backbone.gcn.0.gcn.bn",
        "blocks.0.spatial.0.bias": "backbone.gcn.0.gcn.conv.bias",
        "blocks.0.spatial.0.project": "backbone.gcn.0.gcn.conv",
        "blocks.0.temporal.0": "backbone.gcn.0.tcn.conv",
        "blocks.0.temporal.1": "backbone.gcn.0.tcn.bn",
    }
    state = {}
    for key, value in model.state_dict().items():
        ours = next(name for name in names if key.startswith(f"backbones.0.{name}"))
        state[key.replace(f"backbones.0.{ours}", names[ours])] = value.half() if value.is_floating_point() else value
    state["backbone.gcn.0.gcn.conv.bias"] = state["backbone.gcn.0.gcn.conv.bias"].flatten()
    weight = state["backbone.gcn.0.gcn.conv.weight"]
    state["backbone.gcn.0.gcn.conv.weight"] = torch.cat(weight.chunk(3, dim=1))
    return state


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Stand in for the exporter, which takes a minute; returns what it was asked for."""
    asked: dict[str, int] = {}

    def export(model: Recogniser, path: Path, **shape: int) -> ExportReport:
        asked.update(shape)
        path.write_bytes(b"onnx")
        return ExportReport(path, 4, 18, 0.0)

    monkeypatch.setattr(importing, "export_onnx", export)
    return asked


def test_a_bundle_claims_nothing_that_was_not_measured(
    checkpoint: Checkpoint, quick_export: dict[str, int], tmp_path: Path
) -> None:
    bundle = import_checkpoint(checkpoint, tmp_path / "waves", licence="Apache-2.0")
    bundle.verify()
    card = Bundle.open(tmp_path / "waves").card
    assert (card.name, card.architecture, card.licence) == ("waves", "stgcn", "Apache-2.0")
    assert (card.labels, card.silent_labels) == (LABELS, ("other",))
    assert card.thresholds == dict.fromkeys(("wave", "clap", "sit_down"), 0.8)
    assert (card.metrics, card.idle_label) == ({}, None)
    assert "mmaction2" in card.description
    assert "epoch_16.pth" in card.recipe
    assert quick_export == {"num_frames": 100, "num_people": 2, "num_joints": 17, "num_channels": 3}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bundle_answers_as_the_checkpoint(model: Recogniser, checkpoint: Checkpoint, tmp_path: Path) -> None:
    bundle = import_checkpoint(checkpoint, tmp_path / "waves")
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    x = torch.randn(2, 100, 2, 17, 3)
    answers = OnnxModel(bundle.model_path, threads=1).run({"clips": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(answers["logits"], model(x).numpy(), atol=1e-4)


def test_the_layout_is_the_one_that_fits(checkpoint: Checkpoint, model: Recogniser) -> None:
    weights = importer(checkpoint)(read_weights(checkpoint.path))
    fit, candidate = fitted(checkpoint, weights)
    assert candidate.layout is COCO17
    assert not fit.training
    expected = {key: value.half().float() for key, value in model.state_dict().items()}
    assert all(torch.equal(value, expected[key]) for key, value in fit.state_dict().items())


def importer(checkpoint: Checkpoint) -> Importer:
    return importing.importer_for(checkpoint.source, checkpoint.architecture)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"labels": ("wave",)}, r"2 of its keys:\nbackbones.0.classify.weight: expected \[1, 4\], got \[4, 4\]\n"),
        ({"layout": NTU25}, r"backbones.0.norm.norm.weight: expected \[75\], got \[51\]"),
        ({"options": {**TINY, "edge_importance": False}}, r"unexpected backbones.0.blocks.0.spatial.0.M \[3, 17, 17\]"),
        ({"options": {**TINY, "widths": (1, 1), "strides": (1, 1)}}, r"missing backbones.0.blocks.1.spatial.0.A"),
    ],
    ids=["labels", "layout", "unexpected", "missing"],
)
def test_weights_that_do_not_fit_are_named_one_by_one(
    checkpoint: Checkpoint, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        import_checkpoint(replace(checkpoint, **changes), tmp_path / "waves")
    assert not (tmp_path / "waves").exists()


def test_weights_of_several_devices_lose_their_prefix(tmp_path: Path) -> None:
    torch.save({"module.head.weight": torch.ones(2, dtype=torch.float16)}, tmp_path / "weights.pt")
    weights = read_weights(tmp_path / "weights.pt")
    assert {name: value.dtype for name, value in weights.items()} == {"head.weight": torch.float32}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"state_dict": {}}, "got a mapping of state_dict"),
        (
            {"model": {"weight": torch.ones(2)}},
            "expected names with tensors, or those under 'state_dict', got a mapping",
        ),
        ([torch.ones(2)], "got list"),
        ({"state_dict": {"weight": torch.ones(2)}, "args": Path("secret")}, "expected a checkpoint of weights only"),
    ],
    ids=["empty", "elsewhere", "list", "code"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object, complaint: str) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=complaint):
        read_weights(tmp_path / "weights.pt")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"not a zip file")
    with pytest.raises(DataError, match=r"weights.pt: expected a checkpoint of weights only"):
        read_weights(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("source", "architecture", "layout", "expected"),
    [
        ("mmaction2", "stgcn", "coco17", (100, 10 / 3, 2, ("x", "y", "score"), "frame")),
        ("mmaction2", "stgcn", "ntu25", (100, 10 / 3, 2, ("x", "y", "z"), "body")),
        ("pyskl", "stgcnpp", "coco17", (100, 10 / 3, 2, ("x", "y", "score"), "frame")),
        ("pyskl", "stgcnpp", "ntu25", (100, 10 / 3, 2, ("x", "y", "z"), "body")),
        ("pyskl", "stgcnpp", "hand21", (10, 1.0, 1, ("x", "y"), "extent")),
        ("pyskl", "posec3d", "coco17", (48, 3.2, 2, ("x", "y", "score"), "torso")),
        ("st-gcn", "stgcn", "openpose18", (300, 10.0, 2, ("x", "y", "score"), "half_frame")),
        ("st-gcn", "stgcn", "ntu25", (300, 10.0, 2, ("x", "y", "z"), "camera")),
        ("2s-agcn", "agcn", "openpose18", (300, 10.0, 2, ("x", "y", "score"), "upright_frame")),
        ("2s-agcn", "agcn", "ntu25", (300, 10.0, 2, ("x", "y", "z"), "moving_body")),
        ("ms-g3d", "msg3d", "ntu25", (300, 10.0, 2, ("x", "y", "z"), "moving_body")),
    ],
)
def test_windows_are_as_the_format_has_them(
    source: str, architecture: str, layout: str, expected: tuple[int, float, int, tuple[str, ...], str]
) -> None:
    with torch.device("meta"):
        model = build(architecture, layout=LAYOUTS[layout], num_classes=4, num_people=2)
    spec = features_of(source, model, Candidate(LAYOUTS[layout], {}))
    assert (spec.num_frames, spec.window_s, spec.num_people, spec.channels, spec.normalisation) == expected


@pytest.mark.parametrize(
    ("source", "streams", "expected"),
    [
        ("mmaction2", ("joint",), "layout"),
        ("mmaction2", ("bone",), "mmaction2"),
        ("pyskl", ("joint_motion",), "mmaction2"),
        ("2s-agcn", ("bone",), "2s-agcn"),
        ("ms-g3d", ("bone",), "2s-agcn"),
        ("st-gcn", ("bone",), "layout"),
    ],
)
def test_bones_are_those_of_the_format(source: str, streams: tuple[str, ...], expected: str) -> None:
    options = {**TINY, "streams": streams}
    checkpoint = Checkpoint(path=Path("x"), source=source, architecture="stgcn", labels=LABELS, options=options)
    assert checkpoint.convention == expected
    model = importing.built(checkpoint, Candidate(OPENPOSE18, options))
    assert isinstance(model, StreamsRecogniser)
    assert model.config.convention == expected
    assert replace(checkpoint, options={**options, "convention": "layout"}).convention == "layout"


def test_bones_that_a_format_does_not_know_are_no_candidates(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bones = replace(checkpoint, options={**TINY, "streams": ("bone",)})
    assert [layout.name for layout in bones.layouts] == ["coco17", "openpose18", "ntu25", "hand21"]
    assert fitted(bones, importer(bones)(read_weights(bones.path)))[1].layout is COCO17
    with pytest.raises(ValueError, match=r"convention 'mmaction2': expected a layout out of .*got 'penn13'"):
        import_checkpoint(replace(bones, layout=LAYOUTS["penn13"]), tmp_path / "waves")


def test_the_card_says_how_coordinates_are_given(
    checkpoint: Checkpoint, quick_export: dict[str, int], tmp_path: Path
) -> None:
    card = import_checkpoint(checkpoint, tmp_path / "waves").card
    assert card.features.normalisation == "frame"
    assert (
        "halves of the picture about its middle, y down, as MMAction2's and PYSKL's PreNormalize2D" in card.description
    )
    assert "a window is always 3.33 s" in card.description


@pytest.mark.parametrize(
    ("folder", "source", "architecture", "options"),
    [
        ("mmaction2_stgcn_ntu", "mmaction2", "stgcn", {}),
        ("mmaction2_aagcn_ntu", "mmaction2", "agcn", {"attention": True}),
        ("pyskl_ctrgcn_coco17", "pyskl", "ctrgcn", {}),
        ("mmaction2_posec3d_slowonly", "mmaction2", "posec3d", {}),
    ],
)
def test_real_layouts_of_weights_need_no_options(
    shared: Path, folder: str, source: str, architecture: str, options: dict[str, object]
) -> None:
    path = shared / "parity" / folder / "state_dict.pt"
    num_classes = json.loads((path.parent / "meta.json").read_text())["num_classes"]
    labels = tuple(f"action_{number}" for number in range(num_classes))
    checkpoint = Checkpoint(path=path, source=source, architecture=architecture, labels=labels)
    _, candidate = fitted(checkpoint, importer(checkpoint)(read_weights(path)))
    assert options.items() <= candidate.options.items()


@pytest.fixture
def gestures(shared: Path) -> Checkpoint:
    """PYSKL's own network for the gestures of a hand, as they trained and published it."""
    return Checkpoint(
        path=shared / "parity" / "pyskl_hagrid_real" / "state_dict.pt",
        source="pyskl",
        architecture="stgcnpp",
        labels=tuple(f"gesture_{number}" for number in range(40)),
    )


def test_a_published_network_answers_as_its_authors(gestures: Checkpoint) -> None:
    model, candidate = fitted(gestures, importer(gestures)(read_weights(gestures.path)))
    assert candidate.layout is HAND21
    assert sum(parameter.numel() for parameter in model.parameters()) == 197_478
    reference = read_reference(gestures.path.parent)
    with torch.no_grad():
        torch.testing.assert_close(model(reference.clips), reference.logits, atol=1e-4, rtol=0)


def test_a_published_network_is_given_what_it_was_trained_on(gestures: Checkpoint) -> None:
    model, candidate = fitted(gestures, importer(gestures)(read_weights(gestures.path)))
    spec = features_of("pyskl", model, candidate)
    hand = np.load(gestures.path.parent / "keypoint_raw.npy").swapaxes(0, 1)  # px
    clip = SkeletonClip(
        hand.astype(np.float32),
        np.ones(hand.shape[:3], np.float32),
        (np.arange(10) + 0.5) / 10 * spec.window_s,
        np.zeros(1, np.int64),
        HAND21,
        start_s=0.0,
        end_s=spec.window_s,
    )
    reference = read_reference(gestures.path.parent)
    ours = torch.from_numpy(make_features(clip, spec).values)[None]
    torch.testing.assert_close(ours, reference.clips, atol=1e-5, rtol=0)
    with torch.no_grad():
        assert model(ours).argmax() == reference.logits.argmax()


Invoke = Callable[..., "tuple[int, str]"]


@pytest.fixture
def invoke(checkpoint: Checkpoint, tmp_path: Path) -> Invoke:
    """Run the command on the checkpoint; returns its exit code and what it wrote."""
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))

    def run(*arguments: str, source: str = "mmaction2") -> tuple[int, str]:
        given = ["import", str(checkpoint.path), "--format", source, "--architecture", "stgcn"]
        given += ["--labels", str(tmp_path / "labels.txt"), "--out", str(tmp_path / "waves"), *arguments]
        answer = CliRunner().invoke(app, given, env={"COLUMNS": "400"})
        return answer.exit_code, answer.output

    return run


TINY_FLAGS = ("--set", "base_channels=4", "--set", "widths=[1]", "--set", "strides=[1]")


def test_the_command_writes_a_bundle_and_its_card(invoke: Invoke, quick_export: dict[str, int]) -> None:
    code, out = invoke(*TINY_FLAGS, "--name", "waves-1", "--layout", "coco17")
    assert code == 0
    assert json.loads(out)["name"] == "waves-1"


@pytest.mark.parametrize(
    ("arguments", "source", "complaint"),
    [
        ((), "caffe", "unknown importer 'stgcn from caffe'"),
        (("--set", "widths=wide"), "mmaction2", "--set widths=wide: expected OPTION=JSON"),
        (("--set", "depth=3"), "mmaction2", "stgcn has no option depth"),
        (("--layout", "octopus"), "mmaction2", "unknown layout 'octopus'"),
    ],
)
def test_wrong_usage_is_answered_with_what_is_expected(
    invoke: Invoke, arguments: tuple[str, ...], source: str, complaint: str
) -> None:
    code, out = invoke(*arguments, source=source)
    assert code == 2
    assert complaint in out
