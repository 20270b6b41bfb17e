"""``docs/benchmarks.md``, written from the results that are kept under training/results and from nothing else."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.benchmark_sets import SPLITS
from training.claims import FOLDER as CLAIMS_FOLDER
from training.claims import Finding, findings_of, name_of
from training.experiments import Result, mean_over_splits
from training.scores import Spread, mean_and_spread

RESULTS = Path("training/results")
PAGE = Path("docs/benchmarks.md")
WIDTH = 118


@dataclass(frozen=True, slots=True)
class DataSet:
    """How a data set is introduced: its protocol, and what has been published on it, in percent."""

    title: str
    protocol: str
    published: str
    to_beat: float


DATA_SETS: Mapping[str, DataSet] = {
    "nw_ucla": DataSet(
        "Northwestern-UCLA",
        "10 actions, 20 joints in 3D; 1020 sequences of cameras 1 and 2 train, 464 of camera 3 test",
        "CTR-GCN 96.5 (4 streams), MAFormer 97.2",
        97.2,
    ),
    "penn_action": DataSet(
        "Penn Action",
        "15 actions, 13 joints in 2D annotated by hand; 1258 clips train, 1068 test, official split",
        "RGB and pose 98.9 (Kim and Lee 2021)",
        98.9,
    ),
    "utd_mhad": DataSet(
        "UTD-MHAD", "27 actions, 20 joints in 3D; odd subjects (431) train, even ones (430) test", "79 to 93", 95.0
    ),
    "jhmdb14": DataSet(
        "JHMDB-14",
        "14 of the 21 actions of JHMDB, 15 joints in 2D; means over the three official splits",
        "a 1D-CNN of the same joints 81.4",
        86.0,
    ),
    "msr_action3d": DataSet(
        "MSR-Action3D",
        "20 actions, 20 joints in 3D; 557 sequences, odd subjects train, even ones test",
        "a 1D-CNN of the same joints 85.1",
        85.1,
    ),
}
HEADER = """# Benchmarks

What our recognisers come to on public skeleton data that is small enough to train on a CPU. This page is written by
`marey benchmark page` from the files in training/results, which `marey benchmark sets` wrote; a test holds it to them.

Every figure is top-1 on the official test split of the last averaged weights; no epoch, setting or weight was chosen on
it. All networks of a table are trained by one recipe (training/recipes/benchmarks.py) in sizes far below those of
their papers, so that a table compares networks and says little of the papers' own figures; where its epochs are fewer
than others', a network had less time and might do better. After +- is the standard deviation over seeds; where there
is one seed, there is none to give.
"""

CLAIMS_HEADER = """## The papers' claims

Two networks that differ in what a paper adds, trained alike on one of the sets above with the same seeds, in fewer
epochs than there: `marey benchmark claims`. A difference counts from two standard errors on.

| paper | claim | data | epochs | without | with | gain | seeds | found |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
NEXT = """## What would be next

Where a figure is below what we aim at, the networks are small: they have a tenth of the parameters of the published
ones, because full widths take days on a CPU. More passes over the data are not what is missing: CTR-GCN's training on
Northwestern-UCLA sees each sequence 325 times and ours 40 times, but 200 epochs of stfnet on joints (`--epochs 200`,
seed 0) came to 91.8 where 40 came to 92.0. So next, on a GPU: full widths of stfnet, ctrgcn and stgcnpp on joints,
bones and both motions, fused, with three seeds. Of the claims 3D-STARNET's is the first to be tried again: 20 epochs
leave both of its networks unfinished, and the larger one the more.
"""


def load_results(folder: Path) -> list[Result]:
    """Read all results, in the order of their names; ``DataError`` for a file that holds none."""
    return [Result.load(path) for path in sorted(folder.glob("*/*.json"))]


def page_of(results: Sequence[Result]) -> str:
    """Write the page."""
    by_set: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_set[result.name.partition("/")[0]].append(result)
    sections = [_section(name, by_set[name]) for name in DATA_SETS if by_set[name]]
    findings = findings_of(by_set[CLAIMS_FOLDER])
    return "\n".join([HEADER, *sections, *(_claims(findings) if findings else ()), NEXT])


def _section(name: str, results: Sequence[Result]) -> str:
    known, rows = DATA_SETS[name], sorted(_rows(results), key=lambda row: -row.top1.mean)
    best = rows[0]
    verdict = "above" if 100 * best.top1.mean >= known.to_beat else "below"
    lines = [
        f"## {known.title}",
        "",
        textwrap.fill(f"{known.protocol}. Published: {known.published}.", WIDTH),
        "",
        "| network | streams | parameters | epochs | minutes a seed | top-1 | classes | seeds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row.line() for row in rows),
        "",
        f"Our best, {best.network} ({best.streams}): {_percent(best.top1)}, {verdict} the {known.to_beat} we aim at.",
        "",
        *(f"Measured on {machine}." for machine in sorted({result.machine for result in results})),
        "",
    ]
    return "\n".join(lines)


def _claims(findings: Sequence[Finding]) -> list[str]:
    return [CLAIMS_HEADER, *map(_line, findings), ""]


def _line(finding: Finding) -> str:
    claim, (without, gained) = finding.claim, (finding.baseline, finding.challenger)
    return (
        f"| {claim.paper} | {claim.says} | {DATA_SETS[without.recipe].title} | {without.epochs} | "
        f"{name_of(claim.baseline)} {_percent(without.top1_spread)} | "
        f"{name_of(claim.challenger)} {_percent(gained.top1_spread)} | "
        f"{100 * finding.gain:+.1f} | {len(without.seeds)} | {finding.verdict} |"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a table: a network, or several streams of it fused."""

    network: str
    streams: str
    first: Result
    top1: Spread
    classes: Spread

    def line(self) -> str:
        """Write the row."""
        minutes = f"{self.first.minutes:.0f}" if self.first.minutes else ""
        return (
            f"| {self.network} | {self.streams} | {self.first.parameters / 1e6:.2f} M | {self.first.epochs or ''} | "
            f"{minutes} | {_percent(self.top1)} | {_percent(self.classes)} | {self.top1.num} |"
        )


def _rows(results: Iterable[Result]) -> Iterator[_Row]:
    """Bring the splits of one network together."""
    splits: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        splits[_network(result), _streams(result)].append(result)
    for (network, streams), some in splits.items():
        missing = len(SPLITS.get(some[0].data_set, ())) - len(some)
        if missing > 0:
            streams += f" (split {' and '.join(one.split for one in some)} alone)"
        if len(some) > 1:
            classes = mean_over_splits(some, "mean_class_accuracy")
            yield _Row(network, streams, some[0], mean_over_splits(some), classes)
        else:
            yield _Row(network, streams, some[0], some[0].top1_spread, mean_and_spread(some[0].mean_class_accuracy))


def _network(result: Result) -> str:
    several = result.architecture.split(" + ")
    return f"all {len(several)}" if len(several) > 2 else result.architecture


def _streams(result: Result) -> str:
    if result.members:
        return f"{len(result.members)}, fused"
    options = result.changes.get("options", {})
    streams = options.get("streams", ("joint",)) if isinstance(options, Mapping) else ("joint",)
    return ", ".join(str(stream).replace("_", " ") for stream in streams)


def _percent(spread: Spread) -> str:
    """Write a share in percent, with its spread where it has one."""
    mean = f"{100 * spread.mean:.1f}"
    return f"{mean} +- {100 * spread.std:.1f}" if spread.std == spread.std else mean
