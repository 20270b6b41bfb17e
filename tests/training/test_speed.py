"""What is measured is what it says, on models that are small: how long it takes is the machine's business."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import marey
from models.heatmap import HeatmapConfig, Heatmaps
from models.registry import Recogniser, names
from pipeline.layouts import COCO17
from pipeline.onnx import OperatorCost
from training import speed, speed_commands
from training.speed import (
    Comparison,
    Drawing,
    Setting,
    compare,
    compare_drawings,
    draw_as_usual,
    time_in_turns,
)

Say = Callable[..., SimpleNamespace]
QUICK = Setting(num_frames=6, num_people=1, threads=1, repeats=2)
COMPARISON = Comparison(
    architecture="stgcn",
    layout="ntu25",
    num_frames=6,
    export_s=1.0,
    num_bytes=1_000_000,
    difference=1e-6,
    torch_ms=10.0,
    onnx_ms=5.0,
    torch_explained_ms=20.0,
    onnx_explained_ms=15.0,
    operators=(OperatorCost("Conv", 3, 4.0), OperatorCost("Mul", 2, 1.0)),
)


class Pooling(Recogniser):
    """A recogniser that is quick to export; with pictures, where it is told to."""

    def __init__(self, *, draws: bool) -> None:
        super().__init__()
        self.heatmaps = Heatmaps(COCO17, HeatmapConfig(size=8)) if draws else None
        self.norm = nn.BatchNorm1d(3)
        self.classify = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.norm(x.square().mean(dim=(1, 2, 3))))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What recognisers are built for; those called "drawn" draw."""
    asked: list[dict[str, object]] = []

    def build(name: str, **task: object) -> Recogniser:
        asked.append(task)
        return Pooling(draws=name == "drawn")

    monkeypatch.setattr(speed, "build", build)
    return asked


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", "bench", *arguments])
        monkeypatch.setenv("COLUMNS", "400")
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=" ".join(captured.err.split()))

    return run


def test_everybody_takes_a_turn_before_anybody_takes_another() -> None:
    turns: list[str] = []
    spent_ms = time_in_turns({name: lambda name=name: turns.append(name) for name in "ab"}, repeats=3)  # type: ignore[misc]
    assert turns == ["a", "b"] * 4
    assert set(spent_ms) == {"a", "b"}
    assert min(spent_ms.values()) >= 0


def test_a_recogniser_is_measured_beside_its_file(built: list[dict[str, object]]) -> None:
    threads = torch.get_num_threads()
    compared = compare("plain", QUICK)
    assert (compared.architecture, compared.layout, compared.num_frames) == ("plain", "ntu25", 6)
    assert compared.ratio == compared.onnx_ms / compared.torch_ms > 0
    assert compared.explained_ratio == compared.onnx_explained_ms / compared.torch_explained_ms > 0
    assert compared.num_bytes > 0
    assert compared.difference < 1e-4
    assert {"ReduceMean", "Gemm"} <= {cost.name for cost in compared.operators}
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("name", "layout", "expected"),
    [("plain", None, ("ntu25", 64)), ("drawn", None, ("coco17", 48)), ("drawn", COCO17, ("coco17", 48))],
    ids=["joints", "heatmaps", "chosen"],
)
def test_each_is_measured_on_what_it_is_made_for(
    built: list[dict[str, object]], name: str, layout: None, expected: tuple[str, int]
) -> None:
    _, chosen, num_frames = speed._recogniser(name, replace(QUICK, layout=layout, num_frames=None))
    assert (chosen.name, num_frames) == expected
    assert built[-1]["layout"] is chosen


def test_norms_have_seen_something(built: list[dict[str, object]]) -> None:
    model, _, _ = speed._recogniser("plain", QUICK)
    assert not model.training
    assert model.norm.running_mean == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("name", ["num_frames", "num_people", "num_clips", "threads", "repeats"])
def test_nothing_cannot_be_measured(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected 1 or more, got 0"):
        replace(QUICK, **{name: 0})  # type: ignore[arg-type]  # which is what is refused


@pytest.mark.parametrize("volumes", ["joint", "limb"])
def test_the_usual_drawing_is_what_the_graph_draws(volumes: str) -> None:
    heatmaps = Heatmaps(COCO17, HeatmapConfig(volumes=volumes, size=24, sigma=0.8))
    clips = torch.rand(1, 3, 2, len(COCO17), 3, generator=torch.Generator().manual_seed(3))
    clips[:, 1, 1] = 0  # nobody there
    points, weights = (placed[0].numpy() for placed in heatmaps.place(clips))
    limbs = heatmaps.ends.t().tolist() if volumes == "limb" else ()
    drawn = draw_as_usual(points, weights, limbs=limbs, size=24, sigma=0.8)
    np.testing.assert_allclose(drawn, heatmaps(clips)[0], atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_joints_and_limbs_are_drawn_for_each_number_of_people() -> None:
    drawings = list(compare_drawings(replace(QUICK, num_people=2)))
    assert [(one.volumes, one.num_people) for one in drawings] == [*product(("joint", "limb"), (1, 2))]
    assert all(one.ratio == one.onnx_ms / one.usual_ms > 0 for one in drawings)
    assert all(one.difference < 0.012 for one in drawings)


def test_recognisers_are_listed_with_their_ratios_and_profiles(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Setting]] = []

    def measure(name: str, setting: Setting) -> Comparison:
        asked.append((name, setting))
        return replace(COMPARISON, architecture=name)

    monkeypatch.setattr(speed_commands, "compare", measure)
    chosen = ("recognisers", "--architecture", "stgcn", "--architecture", "x3d", "--frames", "6", "--threads", "1")
    table = say(*chosen, "--profile", "--layout", "coco17", "--batch", "8").out
    assert [
        word for word in ("x3d", "6 x 2 x ntu25", "0.50", "0.75", "Conv", "80%", "8 clips") if word not in table
    ] == []
    assert asked[0] == ("stgcn", Setting(layout=COCO17, num_frames=6, num_clips=8, threads=1))
    first, _second = json.loads(say(*chosen, "--json").out)
    assert (first["ratio"], first["explained_ratio"]) == (0.5, 0.75)
    assert first["operators"][1] == {"name": "Mul", "count": 2, "spent_ms": 1.0}


def test_all_recognisers_are_measured_unless_some_are_named(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_commands, "compare", lambda name, _: replace(COMPARISON, architecture=name))
    assert tuple(one["architecture"] for one in json.loads(say("recognisers", "--json").out)) == names()


def test_drawings_are_listed_with_their_ratios(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing(volumes="limb", num_people=2, usual_ms=50.0, onnx_ms=10.0, difference=1e-6)
    monkeypatch.setattr(speed_commands, "compare_drawings", lambda _: iter([drawing]))
    assert say("heatmaps").out.splitlines()[1].split() == ["limbs", "2", "50.0", "10.0", "0.20", "1e-06"]
    assert json.loads(say("heatmaps", "--json").out)[0]["ratio"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("recognisers", "--architecture", "stgnc"), "unknown recogniser 'stgnc': expected one of"),
        (("recognisers", "--layout", "ntu"), "unknown layout 'ntu'"),
        (("heatmaps", "--layout", "ntu"), "unknown layout 'ntu'"),
    ],
)
def test_what_is_not_there_is_named(say: Say, arguments: tuple[str, ...], complaint: str) -> None:
    answer = say(*arguments)
    assert answer.code == marey.Exit.USAGE
    assert complaint in answer.err
