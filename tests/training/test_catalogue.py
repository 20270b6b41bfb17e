"""What the catalogue counts."""

import json

import pytest
from typer.testing import CliRunner

from models.registry import names
from pipeline.layouts import COCO17, LAYOUTS, NTU25
from training import catalogue as module
from training.catalogue import catalogue, describe
from training.commands import app


@pytest.mark.slow
def test_every_recogniser_is_in_it() -> None:
    assert tuple(one.name for one in catalogue(COCO17)) == names()


def test_st_gcn_costs_what_is_known_of_it() -> None:
    stgcn = describe("stgcn", NTU25)
    assert stgcn.parameters == 3_098_832
    assert stgcn.macs == pytest.approx(17.09e9, rel=0.02)  # less, as neighbours are gathered before channels grow
    assert (stgcn.input, stgcn.frames) == ("joints", 300)
    assert stgcn.streams == ("joint", "bone", "joint_motion", "bone_motion")
    assert stgcn.layouts == tuple(LAYOUTS)


def test_the_reference_is_from_authors_to_link() -> None:
    assert describe("stfnet", COCO17).paper == (
        'L. Wu, C. Zhang and Y. Zou, "SpatioTemporal Focus for Skeleton-based Action Recognition", '
        "Pattern Recognition 136, 2023, https://arxiv.org/abs/2203.16767"
    )


def test_recognisers_of_heatmaps_are_counted_on_heatmaps() -> None:
    posec3d = describe("posec3d", COCO17)
    assert (posec3d.input, posec3d.frames, posec3d.streams) == ("heatmaps", 48, ("joint",))
    assert posec3d.parameters == pytest.approx(2.0e6, rel=0.05)


def test_what_cannot_be_built_for_a_layout_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    built = module.build

    def build(name: str, **arguments: object) -> object:
        if name == "stgcn" and arguments["layout"] is COCO17:
            raise ValueError("not for this layout")
        return built(name, **arguments)

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "names", lambda: ("stgcn", "x3d"))
    assert [one.name for one in catalogue(COCO17)] == ["x3d"]
    assert "coco17" not in describe("stgcn", NTU25).layouts


def test_the_command_lists_it_in_lines_or_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "names", lambda: ("stgcn", "x3d"))
    lines = CliRunner().invoke(app, ["architectures"]).output
    listed = json.loads(CliRunner().invoke(app, ["architectures", "--layout", "coco17", "--json"]).output)
    assert "stgcn          3.10 M   16.88 GMAC   300 frames of joints" in lines
    assert [one["name"] for one in listed] == ["stgcn", "x3d"]
    assert {*listed[0]} >= {"name", "paper", "input", "streams", "parameters", "macs", "layouts"}


def test_an_unknown_layout_is_wrong_usage() -> None:
    refused = CliRunner().invoke(app, ["architectures", "--layout", "octopus"], env={"COLUMNS": "400"})
    assert refused.exit_code == 2
    assert "unknown layout 'octopus'" in refused.output
