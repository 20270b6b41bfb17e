"""``marey benchmark sets`` and ``page``: all recognisers on public data sets, and the page of docs made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.registry import option_names
from training.experiments import Experiment, Result, carry_out_and_keep, fuse_results
from training.recipes.benchmarks import PRECISIONS, SIZES

# Splits of data sets that have several; figures are means over them.
SPLITS = {"jhmdb14": ("1", "2", "3")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be trained: every recogniser on every data set, each of its streams with every seed.

    ``epochs`` are those of all, if not the recipe's: fewer where time is short, as the results say.
    """

    data_sets: Sequence[str]
    architectures: Sequence[str]
    streams: Sequence[str] = ("joint",)
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int | None = None


def experiments_of(plan: Plan, data_set: str, architecture: str) -> Iterator[Experiment]:
    """Return what a recogniser is trained as on a data set: once for each stream that it has, and for each split."""
    chosen = plan.streams if "streams" in option_names(architecture) else ("joint",)
    for split in SPLITS.get(data_set, ("",)):
        for stream in chosen:
            options = {**SIZES[architecture], **({"streams": (stream,)} if stream != "joint" else {})}
            changes: dict[str, object] = {"architecture": architecture, "options": options}
            if split:
                changes["split"] = split
            if plan.epochs:
                changes["epochs"] = plan.epochs
            if architecture in PRECISIONS:
                changes["precision"] = PRECISIONS[architecture]
            name = "-".join(filter(None, (architecture, stream, split and f"split{split}")))
            yield Experiment(name=f"{data_set}/{name}", recipe=data_set, changes=changes, seeds=plan.seeds)


def run_sets(plan: Plan, data: Path, *, runs: Path, out: Path) -> Iterator[Result]:
    """Train and judge all of a plan, and fuse streams and then networks; ``out`` gets results and logs as they come.

    ``data`` is the folder with the sets, ``runs`` where the runs are kept, to go on with what was broken off.
    """
    for data_set in plan.data_sets:
        trained: list[Result] = []
        for architecture in plan.architectures:
            streams: list[Result] = []
            for experiment in experiments_of(plan, data_set, architecture):
                streams.append(carry_out_and_keep(experiment, data, runs=runs, out=out))
                yield streams[-1]
            yield from _fuse_and_keep(f"{architecture}-{len(plan.streams)}s", streams, data, runs=runs, out=out)
            trained += streams
        if len(plan.architectures) > 1:
            yield from _fuse_and_keep("all", trained, data, runs=runs, out=out)


def _fuse_and_keep(name: str, results: Sequence[Result], data: Path, *, runs: Path, out: Path) -> Iterator[Result]:
    """Fuse results split by split, where there are several."""
    for split in dict.fromkeys(result.split for result in results):
        members = [result for result in results if result.split == split]
        if len(members) > 1:
            full_name = "-".join(filter(None, (name, split and f"split{split}")))
            fused = fuse_results(f"{members[0].data_set}/{full_name}", members, data, runs)
            fused.save(out)
            yield fused
