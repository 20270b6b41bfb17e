"""Every row of the papers' tables has a network here, which can be built and costs what the paper says."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.registry import Recogniser, build
from pipeline.layouts import COCO17, NTU25, OPENPOSE18, Layout
from training.catalogue import count_macs
from training.papers.registry import Row, paper_names, tables_of

ROWS = tuple((paper, row) for paper in paper_names() for row in tables_of(paper))
# The skeletons that the papers have of each data set, and how many classes it has.
DATA_SETS: Mapping[str, tuple[Layout, int]] = {
    "ntu60": (NTU25, 60),
    "ntu120": (NTU25, 120),
    "uestc": (NTU25, 40),
    "kinetics-skeleton": (OPENPOSE18, 400),
    "ntu120-12": (COCO17, 12),
    "ucf101": (COCO17, 101),
}
DRAWN = ("posec3d", "starnet3d", "x3d")
TINY: Mapping[str, Mapping[str, object]] = {name: {"base_channels": 4, "size": 16} for name in DRAWN}
NUM_FRAMES, NUM_PEOPLE, NUM_CHANNELS = 300, 2, 3
# Further off than a tenth: see the docstring of ``models.amanet``.
TOO_FEW_MULTIPLY_ADDS = ("amanet", "6", "g3d k=1->stfem")


def name_of(paper: str, row: Row) -> str:
    return f"{paper}:{row.table} {row.dataset} {row.architecture} {row.variant}"


def distinct(rows: tuple[tuple[str, Row], ...]) -> Mapping[str, tuple[str, Row]]:
    """Keep one row for each architecture, options and skeleton."""
    networks = {
        (row.architecture, tuple(sorted(row.options.items())), DATA_SETS[row.dataset][0].name): (paper, row)
        for paper, row in reversed(rows)
    }
    return {name_of(*one): one for one in reversed(networks.values())}


def weightless(row: Row, **options: object) -> Recogniser:
    """Build the network of a row where only shapes are known."""
    layout, num_classes = DATA_SETS[row.dataset]
    with torch.device("meta"):
        model = build(
            row.architecture,
            layout=layout,
            num_classes=num_classes,
            num_channels=NUM_CHANNELS,
            num_people=NUM_PEOPLE,
            options={**row.options, **options},
        )
    return model.eval().to("meta")


NETWORKS = distinct(ROWS)
COUNTED = distinct(tuple((paper, row) for paper, row in ROWS if row.parameters_m))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_of_every_row_builds(name: str) -> None:
    _, row = NETWORKS[name]
    layout, num_classes = DATA_SETS[row.dataset]
    model = weightless(row, **TINY.get(row.architecture, {"base_channels": 8}))
    clips = torch.empty(2, 12, NUM_PEOPLE, len(layout), NUM_CHANNELS, device="meta")
    with torch.no_grad():
        assert model(clips).shape == (2, num_classes)


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_and_multiply_adds_are_the_papers_within_a_tenth(name: str) -> None:
    paper, row = COUNTED[name]
    layout, _ = DATA_SETS[row.dataset]
    three_d = weightless(row, num_coordinates=3)
    assert row.parameters_m is not None
    parameters = sum(parameter.numel() for parameter in three_d.parameters())
    assert parameters == pytest.approx(1e6 * row.parameters_m, rel=0.1)
    if row.gflops:
        macs = count_macs(three_d, (1, NUM_FRAMES, NUM_PEOPLE, len(layout), NUM_CHANNELS))
        within = 0.105 if (paper, row.table, row.variant) == TOO_FEW_MULTIPLY_ADDS else 0.1
        assert macs == pytest.approx(1e9 * row.gflops, rel=within)


def test_multiply_adds_of_amanets_baselines_say_that_it_tells_five_distances_apart_in_windows() -> None:
    baselines = [row for row in tables_of("amanet") if row.architecture == "msg3d" and row.gflops]
    assert [row.variant for row in baselines] == ["k=1", "k=13", "g3d k=1"]
    for row in baselines:
        macs = count_macs(weightless(row), (1, NUM_FRAMES, NUM_PEOPLE, len(NTU25), NUM_CHANNELS))
        assert macs == pytest.approx(1e9 * (row.gflops or 0), rel=0.01)


@pytest.mark.parametrize("paper", paper_names())
def test_networks_that_a_table_compares_are_not_the_same(paper: str) -> None:
    seen = Counter(
        (row.table, row.dataset, row.protocol, row.metric, row.architecture, tuple(sorted(row.options.items())))
        for row in tables_of(paper)
    )
    assert seen.most_common(1)[0][1] == 1


def test_am_stgcns_blocks_are_where_the_table_says() -> None:
    for row in tables_of("am-stgcn"):
        if row.architecture == "am_stgcn":
            named = re.findall(r"layer (\d) conv-(\w) x(\d)", row.variant)
            assert row.options["attention"] == tuple((int(layer), where, int(count)) for layer, where, count in named)


def test_am_stgcns_baseline_is_its_network_without_attention() -> None:
    baseline, *_ = tables_of("am-stgcn")
    unattended = replace(baseline, architecture="am_stgcn", options={"attention": ()})
    first, second = (weightless(row).state_dict().values() for row in (baseline, unattended))
    assert [weight.shape for weight in first] == [weight.shape for weight in second]


def test_no_option_is_the_datas() -> None:
    assert not [name_of(paper, row) for paper, row in ROWS if "num_coordinates" in row.options]


def test_every_figure_of_the_papers_has_its_row(shared: Path) -> None:
    with (shared / "papers" / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    theirs = Counter(
        (
            *(line[column] for column in ("paper", "table", "dataset", "protocol", "metric", "variant")),
            *(float(line[column]) if line[column] else None for column in ("value", "params_m", "gflops")),
        )
        for line in lines
    )
    ours = Counter(
        (paper, row.table, row.dataset, row.protocol, row.metric, row.variant, row.value, row.parameters_m, row.gflops)
        for paper, row in ROWS
    )
    assert ours == theirs
