"""Train and judge a recipe over several seeds, and keep what came of it: the figures of docs/benchmarks.md.

A result is chosen by nothing that it was tested on: the number of epochs is the recipe's, the last averaged weights
are judged, and members that are fused count alike or are weighed on groups held out of training.
"""

import csv
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pipeline.benchmark import describe_machine
from pipeline.errors import DataError
from training.comparison import Judged, fuse_judged, judge_run
from training.examples import divide, learned, read_sets
from training.loop import dataset_of, train
from training.recipes.registry import recipe_named
from training.runlog import LOG_FILE
from training.runs import RUN_FILE, Run, changed, current_commit, digest
from training.scores import Spread, mean_and_spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A recipe with changes, trained once a seed. ``name`` names the folder of its runs and its result."""

    name: str
    recipe: str
    changes: Mapping[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an experiment, or several fused, came to on the test split: one figure a seed, in [0, 1].

    ``members`` are the experiments that were fused, if any; ``minutes`` those that training one seed took.
    """

    name: str
    data_set: str
    split: str
    architecture: str
    recipe: str
    changes: Mapping[str, object]
    seeds: tuple[int, ...]
    top1: tuple[float, ...]
    mean_class_accuracy: tuple[float, ...]
    members: tuple[str, ...] = ()
    parameters: int = 0
    epochs: int = 0
    minutes: float | None = None
    commit: str = ""
    machine: str = ""

    @property
    def top1_spread(self) -> Spread:
        """Mean and spread of top-1 over the seeds."""
        return mean_and_spread(self.top1)

    def save(self, folder: Path) -> Path:
        """Write the result as ``NAME.json``."""
        path = folder / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, default=sorted) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> "Result":
        """Read a result; ``DataError`` for a file that holds none."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            listed = {name: tuple(record[name]) for name in ("seeds", "top1", "mean_class_accuracy", "members")}
            return cls(**{**record, **listed})
        except (OSError, ValueError, TypeError, KeyError) as error:
            expected = ", ".join(one.name for one in fields(cls))
            raise DataError(f"{path}: expected a result with {expected}, but reading it failed: {error}") from error


def run_folder(runs: Path, name: str, seed: int) -> Path:
    """Return where a seed of an experiment is trained."""
    return runs / name / f"seed{seed}"


def carry_out(experiment: Experiment, data: Path, runs: Path, *, workers: int = 1) -> Result:
    """Train what is not trained yet, go on with what was broken off, and judge every seed.

    Raises:
        ValueError: what is trained already was so with other settings.
    """
    folders = [run_folder(runs, experiment.name, seed) for seed in experiment.seeds]
    windows = [
        _train_seed(experiment, seed, data, folder, workers=workers)
        for seed, folder in zip(experiment.seeds, folders, strict=True)
    ]
    minutes = [_minutes(folder / LOG_FILE, num) for folder, num in zip(folders, windows, strict=True)]
    judged = [judge_run(Run.open(folder), data) for folder in folders]
    return _result_of(experiment, judged, folders[0], minutes=statistics.fmean(minutes))


def carry_out_and_keep(experiment: Experiment, data: Path, *, runs: Path, out: Path) -> Result:
    """Do as ``carry_out``, and leave the result and the seeds' logs in ``out``."""
    result = carry_out(experiment, data, runs)
    keep_logs(experiment, runs, out)
    result.save(out)
    return result


def _train_seed(experiment: Experiment, seed: int, data: Path, folder: Path, *, workers: int) -> int:
    """Train one seed, and return how many windows an epoch has."""
    recipe, changes = recipe_named(experiment.recipe), {**experiment.changes, "seed": seed}
    sets = read_sets(changed(recipe, changes), data)
    settings = learned(recipe, changes, sets)
    run = Run.open(folder) if (folder / RUN_FILE).exists() else Run.start(folder, experiment.recipe, settings)
    if digest(run.recipe) != digest(changed(recipe, settings)):
        raise ValueError(f"{folder} was trained with other settings: call the experiment otherwise, or remove it")
    examples = divide(run.recipe, sets).train
    train(run.recipe, examples, folder, resume=True, workers=workers)
    return len(dataset_of(run.recipe, examples))


def _minutes(log: Path, windows: int) -> float:
    """Return how long a run trained for at its usual speed, however often it was broken off or held up meanwhile."""
    with log.open(newline="", encoding="utf-8") as file:
        speeds = [float(line["windows_per_s"]) for line in csv.DictReader(file)]
    # Broken off after an epoch's last step, a run goes on with nothing left to do in it, at a speed of 0.
    return len(speeds) * windows / statistics.median(speed for speed in speeds if speed) / 60


def _result_of(experiment: Experiment, judged: Sequence[Judged], folder: Path, *, minutes: float) -> Result:
    run = Run.open(folder)
    recipe = run.recipe
    return Result(
        name=experiment.name,
        data_set=", ".join(recipe.data_sets),
        split=getattr(recipe, "split", ""),
        architecture=recipe.architecture,
        recipe=experiment.recipe,
        changes=experiment.changes,
        seeds=experiment.seeds,
        top1=tuple(one.test.top1() for one in judged),
        mean_class_accuracy=tuple(one.test.mean_class_accuracy() for one in judged),
        parameters=sum(parameter.numel() for parameter in run.load_model().parameters()),
        epochs=recipe.epochs,
        minutes=minutes,
        commit=current_commit(),
        machine=str(describe_machine()),
    )


def fuse_results(name: str, members: Sequence[Result], data: Path, runs: Path) -> Result:
    """Fuse experiments seed by seed; ``ValueError`` if they are not of one task, or have other seeds."""
    first = members[0]
    if any((one.seeds, one.data_set, one.split) != (first.seeds, first.data_set, first.split) for one in members):
        raise ValueError(
            f"expected results of one data set, split and seeds, got {', '.join(one.name for one in members)}"
        )
    judged = [
        fuse_judged([judge_run(Run.open(run_folder(runs, member.name, seed)), data) for member in members])
        for seed in first.seeds
    ]
    return Result(
        name=name,
        data_set=first.data_set,
        split=first.split,
        architecture=" + ".join(dict.fromkeys(member.architecture for member in members)),
        recipe=first.recipe,
        changes={},
        seeds=first.seeds,
        top1=tuple(one.test.top1() for one in judged),
        mean_class_accuracy=tuple(one.test.mean_class_accuracy() for one in judged),
        members=tuple(member.name for member in members),
        parameters=sum(member.parameters for member in members),
        commit=current_commit(),
        machine=str(describe_machine()),
    )


def keep_logs(experiment: Experiment, runs: Path, results: Path) -> None:
    """Copy the seeds' logs beside the result."""
    for seed in experiment.seeds:
        target = results / "logs" / f"{experiment.name}-seed{seed}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run_folder(runs, experiment.name, seed) / LOG_FILE, target)


def mean_over_splits(results: Sequence[Result], figure: str = "top1") -> Spread:
    """Return a figure's mean over a data set's splits, and its spread over the seeds that all were trained with."""
    by_seed = [dict(zip(one.seeds, getattr(one, figure), strict=True)) for one in results]
    seeds = sorted(set.intersection(*map(set, by_seed)))
    return mean_and_spread([statistics.fmean(split[seed] for split in by_seed) for seed in seeds])
