"""Papers are known by name."""

import pytest

from training.papers.amanet import rows
from training.papers.registry import Benchmark, Network, paper_names, register, rows_of, tables_of

FIGURES = (Benchmark("ntu60", "xsub"), Benchmark("ntu60", "xview", "top5"))


def test_every_paper_of_the_folder_is_known_and_has_rows() -> None:
    assert paper_names() == ("3d-starnet", "am-stgcn", "amanet", "csta-cnn", "stf-net")
    assert all(tables_of(paper) for paper in paper_names())


def test_a_line_of_a_table_is_a_row_for_each_benchmark() -> None:
    network = Network("agcn", "2s", {"streams": ("joint", "bone")})
    first, second = rows_of("I", network, benchmarks=FIGURES, values=(88.5, 99.0), parameters_m=6.94)
    assert (first.dataset, first.protocol, first.metric, first.value) == ("ntu60", "xsub", "top1", 88.5)
    assert (second.dataset, second.protocol, second.metric, second.value) == ("ntu60", "xview", "top5", 99.0)
    for row in (first, second):
        assert (row.table, row.architecture, row.variant, row.options) == ("I", "agcn", "2s", network.options)
        assert (row.parameters_m, row.gflops) == (6.94, None)


def test_a_line_has_a_value_for_each_benchmark() -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(rows_of("I", Network("agcn"), benchmarks=FIGURES, values=(88.5,)))


def test_an_unknown_paper_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown paper 'amnet': expected one of 3d-starnet, am-stgcn, amanet"):
        tables_of("amnet")


def test_a_name_is_given_once() -> None:
    paper_names()
    with pytest.raises(ValueError, match="paper 'amanet' is registered already"):
        register("amanet")(rows)
