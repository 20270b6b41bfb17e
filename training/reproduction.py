"""Train the networks of a paper's table on a data set, and hold what comes of it against the paper.

Every network of a table is trained alike, by one recipe: on the paper's own data sets by the paper's, elsewhere by that
of the data set. What counts there is not the figure but how far a network is from the table's baseline, here and in
the paper. A row of several streams is as many networks, trained by themselves and fused; rows share those that they
have in common.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.registry import default_options, option_names
from pipeline.errors import DataError
from training.experiments import Experiment, Result, carry_out, fuse_results
from training.loop import build_recogniser
from training.papers.registry import Benchmark, Row, tables_of
from training.recipe import SequenceRecipe
from training.recipes.registry import recipe_named, recipe_names
from training.runs import changed, digest

# What a recipe's options say of the training and the data, and every network of a table takes over; a network's shape
# is the row's, but for its width.
SHARED = ("base_channels", "convention", "dropout", "unit_dropout")
# Options with one entry for each stream, and the entry that is the same as none.
OF_STREAMS: Mapping[str, tuple[str, str]] = {"amanet": ("grains", "joint")}
# How tables call splits that have other names here; 3D-STARNET's table does not say which it is.
SPLITS = {"val": "official", "split1": "1", "-": "xsub"}
# What the recipes' names begin with, where it is not the paper's.
RECIPES = {"stf-net": "stfnet", "3d-starnet": "starnet3d"}
# The architecture and variant that a table's rows are measured by, where it is not its first row; some are in another
# of the paper's tables.
BASELINES: Mapping[tuple[str, str], tuple[str, str]] = {
    **{("am-stgcn", table): ("stgcn", "") for table in "234567"},
    ("am-stgcn", "10"): ("agcn", "joint baseline"),
    ("amanet", "1"): ("msg3d", "2s"),
    ("amanet", "3"): ("msg3d", "k=1"),
    ("amanet", "4"): ("msg3d", "k=13"),
    ("amanet", "5"): ("msg3d", "k=13"),
    ("csta-cnn", "1"): ("stgcn", ""),
    ("csta-cnn", "3"): ("csta_cnn", ""),
    ("stf-net", "I"): ("stgcn", ""),
    ("stf-net", "IV"): ("stfnet", "re-implemented"),
    ("3d-starnet", "3"): ("posec3d", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained for a table: its rows of one benchmark, the baseline first, by a recipe with ``settings``.

    ``settings`` are changes of the recipe; its options are for those networks that have them, and a row's own win.
    """

    paper: str
    table: str
    benchmark: Benchmark
    rows: tuple[Row, ...]
    recipe: str
    settings: Mapping[str, object]

    @property
    def baseline(self) -> Row:
        """The row that the others are measured by."""
        return self.rows[0]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A row, and what its network came to here."""

    row: Row
    result: Result


def plans_of(
    paper: str, table: str, *, data_set: str, recipe: str = "", settings: Mapping[str, object] | None = None
) -> tuple[Plan, ...]:
    """Return what a table asks to be trained on a data set: a plan for each split that it has figures of.

    On a data set that the table knows nothing of, it is the rows of the benchmark that it has most figures of.

    Raises:
        ValueError: there is no such paper, table, recipe or setting, or a row's network cannot be built.
    """
    rows, settings = rows_of_table(paper, table), dict(settings or {})
    counts = Counter(map(_benchmark, rows))
    own = [benchmark for benchmark in counts if benchmark.dataset == data_set]
    plans = []
    for benchmark in own or [counts.most_common(1)[0][0]]:
        split = {"split": split_of(benchmark)} if own else {}
        if split and settings.get("split") not in (None, split["split"]):
            continue
        plan = Plan(
            paper=paper,
            table=table,
            benchmark=benchmark,
            rows=_baseline_first(paper, table, [row for row in rows if _benchmark(row) == benchmark]),
            recipe=recipe or (_own_recipe(paper, benchmark) if own else data_set),
            settings={**split, **settings},
        )
        check(plan)
        plans.append(plan)
    if not plans:
        known = ", ".join(map(split_of, own))
        raise ValueError(f"split: expected one of the table's {known}, got {settings['split']!r}")
    return tuple(plans)


def split_of(benchmark: Benchmark) -> str:
    """Return the split that a table's protocol is here."""
    return SPLITS.get(benchmark.protocol, benchmark.protocol)


def rows_of_table(paper: str, table: str) -> tuple[Row, ...]:
    """Return a table's rows of top-1 accuracy; ``ValueError`` lists the known tables."""
    rows = [row for row in tables_of(paper) if row.metric == "top1"]
    known = dict.fromkeys(row.table for row in rows)
    if table not in known:
        raise ValueError(f"unknown table {table!r} of {paper}: expected one of {', '.join(known)}")
    return tuple(row for row in rows if row.table == table)


def sequence_recipe(name: str) -> SequenceRecipe:
    """Return a recipe; ``ValueError`` if there is none of that name, or it does not learn from whole sequences."""
    recipe = recipe_named(name) if name in recipe_names() else None
    if not isinstance(recipe, SequenceRecipe):
        known = [one for one in recipe_names() if isinstance(recipe_named(one), SequenceRecipe)]
        raise ValueError(f"no recipe for sequences is named {name!r}: choose one with --recipe, of {', '.join(known)}")
    return recipe


def check(plan: Plan) -> None:
    """Build every network of a plan without its weights; ``ValueError`` says what is wrong with it or its settings."""
    wanted, known = _options(plan.settings), {row.architecture for row in plan.rows}
    unknown = [name for name in wanted if not any(name in option_names(architecture) for architecture in known)]
    if unknown:
        raise ValueError(f"options: none of {', '.join(sorted(known))} has {', '.join(unknown)}")
    for experiment in _experiments(plan, plan.rows):
        recipe = changed(sequence_recipe(plan.recipe), {**experiment.changes, "classes": ["one", "other"]})
        with torch.device("meta"):
            build_recogniser(recipe)


def reproduce(plan: Plan, data: Path, *, seeds: tuple[int, ...], runs: Path, out: Path) -> Iterator[Line]:
    """Train and judge every row of a plan, the baseline first; what ``out`` has already is not trained again.

    ``data`` as of ``read_sets``. ``out`` gets a result for each network, ``runs`` the runs.
    """
    for row in plan.rows:
        members = [
            _kept(out, experiment.name, seeds) or _saved(carry_out(replace(experiment, seeds=seeds), data, runs), out)
            for experiment in experiments_of(plan, row)
        ]
        yield Line(row, members[0] if len(members) == 1 else _fused(members, data, runs, out))


def experiments_of(plan: Plan, row: Row) -> tuple[Experiment, ...]:
    """Return what is trained for a row, a network for each of its streams; the same network always has the same name.

    A name ends in a digest of all that the recipe says with its changes, so that none is taken for another.
    """
    return tuple(_experiments(plan, [row]))


def _experiments(plan: Plan, rows: Iterable[Row]) -> Iterator[Experiment]:
    recipe = sequence_recipe(plan.recipe)
    for row in rows:
        shared = _shared_options(recipe, row.architecture, _options(plan.settings))
        for options in _members(row):
            changes = {**plan.settings, "architecture": row.architecture, "options": {**shared, **options}}
            said = digest(changed(recipe, changes))[:12]
            yield Experiment(name=f"{plan.recipe}-{row.architecture}-{said}", recipe=plan.recipe, changes=changes)


def _shared_options(recipe: SequenceRecipe, architecture: str, settings: Mapping[str, object]) -> Mapping[str, object]:
    """Return the options of a network that are not its row's; what shape the recipe's own network has is undone."""
    defaults = default_options(architecture)
    taken = {name: value for name, value in recipe.options.items() if name in SHARED and name in defaults}
    undone = {name: defaults[name] for name in recipe.options if recipe.architecture == architecture}
    return {**undone, **taken, **{name: value for name, value in settings.items() if name in defaults}}


def _members(row: Row) -> Iterator[Mapping[str, object]]:
    """Yield the options of each stream's network, which are the row's where it has one stream or knows of none."""
    if "streams" not in option_names(row.architecture):
        yield row.options
        return
    name, usual = OF_STREAMS.get(row.architecture, ("", ""))
    rest = {option: value for option, value in row.options.items() if option not in ("streams", name)}
    streams = _names(row.options.get("streams", ())) or ("joint",)
    entries = (_names(row.options.get(name, ())) if name else ()) or (usual,) * len(streams)
    for stream, entry in zip(streams, entries, strict=True):
        yield {**rest, "streams": (stream,), **({name: (entry,)} if entry != usual else {})}


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def _options(settings: Mapping[str, object]) -> Mapping[str, object]:
    options = settings.get("options", {})
    if not isinstance(options, Mapping):
        raise ValueError(f"options: expected settings such as options.base_channels=16, got {options!r}")
    return options


def _own_recipe(paper: str, benchmark: Benchmark) -> str:
    """Return the paper's recipe for one of its benchmarks; ``ValueError`` if there is none."""
    start = f"{RECIPES.get(paper, paper)}-"
    own = {name: sequence_recipe(name) for name in recipe_names() if name.startswith(start)}
    wanted = benchmark.dataset, split_of(benchmark)
    found = [name for name, recipe in own.items() if (recipe.data_set, recipe.split) == wanted]
    if not found:
        raise ValueError(f"{paper} has no recipe for {' '.join(wanted)}: choose one with --recipe")
    return found[0]


def _baseline_first(paper: str, table: str, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return rows of one benchmark with the baseline in front, which may be another table's."""
    wanted = BASELINES.get((paper, table))
    same = [row for row in tables_of(paper) if _benchmark(row) == _benchmark(rows[0])]
    found = [row for row in (*rows, *same) if (row.architecture, row.variant) == wanted]
    baseline = found[0] if found else rows[0]
    return (baseline, *(row for row in rows if row != baseline))


def _benchmark(row: Row) -> Benchmark:
    return Benchmark(row.dataset, row.protocol, row.metric)


def _kept(out: Path, name: str, seeds: tuple[int, ...]) -> Result | None:
    """Return the result of an earlier call, if it is there and of the same seeds."""
    try:
        result = Result.load(out / f"{name}.json")
    except DataError:
        return None
    return result if result.seeds == seeds else None


def _saved(result: Result, out: Path) -> Result:
    result.save(out)
    return result


def _fused(members: Sequence[Result], data: Path, runs: Path, out: Path) -> Result:
    said = hashlib.sha256(" ".join(member.name for member in members).encode()).hexdigest()[:12]
    name = f"{members[0].recipe}-{len(members)}s-{said}"
    return _kept(out, name, members[0].seeds) or _saved(fuse_results(name, members, data, runs), out)
