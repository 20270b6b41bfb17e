"""Papers by name. One new paper is one file of this folder, with its tables row by row.

A row says what was measured on what, and which architecture with which options it is here, so that it can be trained
and held against the paper. Rows about networks that are not ours are left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.registry import Registry


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured: a data set, how it is parted, and "top1" or "top5" in percent."""

    dataset: str
    protocol: str
    metric: str = "top1"


@dataclass(frozen=True, slots=True)
class Network:
    """An architecture, what the table calls its variant, and the options that make it.

    ``num_coordinates`` is never among the options: it is the data's.
    """

    architecture: str
    variant: str = ""
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of a table, and the network behind it; see ``Benchmark`` and ``Network``.

    ``parameters_m``, millions, and ``gflops``, billions of multiply-adds, are as the paper counts, where it does.
    """

    table: str
    dataset: str
    protocol: str
    metric: str
    architecture: str
    variant: str
    options: Mapping[str, object]
    value: float
    parameters_m: float | None = None
    gflops: float | None = None


def rows_of(
    table: str,
    network: Network,
    *,
    benchmarks: Sequence[Benchmark],
    values: Sequence[float],
    parameters_m: float | None = None,
    gflops: float | None = None,
) -> Iterator[Row]:
    """Return a line of a table: a row for each benchmark, whose values are in the same order."""
    for benchmark, value in zip(benchmarks, values, strict=True):
        yield Row(
            table=table,
            dataset=benchmark.dataset,
            protocol=benchmark.protocol,
            metric=benchmark.metric,
            architecture=network.architecture,
            variant=network.variant,
            options=network.options,
            value=value,
            parameters_m=parameters_m,
            gflops=gflops,
        )


_PAPERS: Registry[str, Callable[[], Iterable[Row]]] = Registry("paper", "training.papers")
register = _PAPERS.register
paper_names = _PAPERS.keys


def tables_of(paper: str) -> tuple[Row, ...]:
    """Return the rows of all tables of a paper; ``ValueError`` lists the known papers."""
    return tuple(_PAPERS[paper]())
