"""``marey benchmark sets`` and ``page``: all recognisers on public data sets, and the page of docs made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.registry import option_names
from training.experiments import Experiment, Result, carry_out_and_keep, fuse_results
from training.recipes.benchmarks import PRECISIONS, SIZES

# Splits of data sets that have several; figures are means over them.
SPLITS = {"jhmdb14": ("1", "2", "3")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be trained: every recogniser on every data set, each of its streams with every seed."""

    data_sets: Sequence[str]
    architectures: Sequence[str]
    streams: Sequence[str] = ("joint",)
    seeds: tuple[int, ...] = (0, 1, 2)


def experiments_of(plan: Plan, data_set: str, architecture: str) -> Iterator[Experiment]:
    """Return what a recogniser is trained as on a data set: once for each stream that it has, and for each split."""
    chosen = plan.streams if "streams" in option_names(architecture) else ("joint",)
    for split in SPLITS.get(data_set, ("",)):
        for stream in chosen:
            options = {**SIZES[architecture], **({"streams": (stream,)} if stream != "joint" else {})}
            changes: dict[str, object] = {"architecture": architecture, "options": options}
            if split:
                changes["split"] = split
            if architecture in PRECISIONS:
                changes["precision"] = PRECISIONS[architecture]
            name = "-".join(filter(None, (architecture, stream, split and f"split{split}")))
            yield Experiment(name=f"{data_set}/{name}", recipe=data_set, changes=changes, seeds=plan.seeds)


def run_sets(plan: Plan, data: Path, *, runs: Path, out: Path) -> Iterator[Result]:
    """Train and judge all of a plan, and fuse streams; results and logs are saved in ``out`` as they come.

    ``data`` is the folder with the sets, ``runs`` where the runs are kept, to go on with what was broken off.
    """
    for data_set in plan.data_sets:
        for architecture in plan.architectures:
            members: dict[str, list[Result]] = {}
            for experiment in experiments_of(plan, data_set, architecture):
                result = carry_out_and_keep(experiment, data, runs=runs, out=out)
                members.setdefault(result.split, []).append(result)
                yield result
            for fused in _fused(members, data, runs):
                fused.save(out)
                yield fused


def _fused(members: Mapping[str, Sequence[Result]], data: Path, runs: Path) -> Iterator[Result]:
    """Fuse a recogniser's streams, split by split, where there are several."""
    for split, streams in members.items():
        if len(streams) > 1:
            first = streams[0]
            parts = (first.architecture, f"{len(streams)}s", split and f"split{split}")
            yield fuse_results(f"{first.data_set}/{'-'.join(filter(None, parts))}", streams, data, runs)
