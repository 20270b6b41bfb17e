"""``marey benchmark claims``: whether what each paper adds helps on data of ours.

A claim is two networks that differ in what the paper adds, trained alike: by the data set's recipe, in the sizes of
``training.recipes.benchmarks``, for as many epochs and with the same seeds. Whole tables, row by row, are
``training.reproduction``'s.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.experiments import Experiment, Result, carry_out, keep_logs
from training.recipes.benchmarks import SIZES
from training.recipes.registry import recipe_named

FOLDER = "claims"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a paper says that its network gains over another; a network is an architecture and its own options.

    ``epochs`` are those of both: fewer where a processor takes hours for more.
    """

    name: str
    paper: str
    says: str
    baseline: tuple[str, Mapping[str, object]]
    challenger: tuple[str, Mapping[str, object]]
    epochs: int = 40


CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(
            name="mcf-tdf",
            paper="STF-Net",
            says="MCF and TDF beat ST-GCN",
            baseline=("stgcn", {}),
            challenger=("stfnet", {}),
        ),
        Claim(
            name="csta",
            paper="CSTA-CNN",
            says="spatial and temporal attention beat none",
            baseline=("csta_cnn", {"attention": ()}),
            challenger=("csta_cnn", {}),
        ),
        Claim(
            name="non-local",
            paper="AM-STGCN",
            says="non-local blocks beat ST-GCN",
            baseline=("stgcn", {}),
            challenger=("am_stgcn", {}),
        ),
        Claim(
            name="tfem-sfem-stfem-dp",
            paper="AMANet",
            says="TFEM, SFEM, STFEM and DP beat MS-G3D",
            baseline=("msg3d", {}),
            challenger=("amanet", {}),
        ),
        Claim(
            name="sta-ms-residual",
            paper="3D-STARNET",
            says="STA and MS-Residual beat PoseC3D",
            baseline=("posec3d", {}),
            challenger=("starnet3d", {}),
            epochs=20,
        ),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What a claim's two networks came to."""

    claim: Claim
    baseline: Result
    challenger: Result

    @property
    def gain(self) -> float:
        """How much more the challenger gets right, as a share of the test."""
        return self.challenger.top1_spread.mean - self.baseline.top1_spread.mean

    @property
    def verdict(self) -> str:
        """Say what the seeds allow to say: a difference counts from two standard errors on."""
        spreads = [one.top1_spread for one in (self.baseline, self.challenger)]
        if min(spread.num for spread in spreads) < 2:
            return "one seed tells nothing"
        error = math.sqrt(sum(spread.std**2 / spread.num for spread in spreads))
        if abs(self.gain) < 2 * error:
            return "no difference seen"
        return "so it is here" if self.gain > 0 else "the contrary here"


def try_claims(
    claims: Sequence[Claim], data_set: str, data: Path, *, seeds: tuple[int, ...], runs: Path, out: Path
) -> Iterator[Finding]:
    """Train both networks of every claim on a data set; a network that several claims have is trained once.

    ``data`` is the folder with the sets, ``runs`` where runs are kept to go on with; results and logs go to ``out``.
    """
    file = data / f"{recipe_named(data_set).data_sets[0]}.npz"
    for claim in claims:
        results = []
        for experiment in experiments_of(claim, data_set, seeds):
            results.append(carry_out(experiment, file, runs))
            keep_logs(experiment, runs, out)
            results[-1].save(out)
        yield Finding(claim, *results)


def experiments_of(claim: Claim, data_set: str, seeds: tuple[int, ...]) -> tuple[Experiment, Experiment]:
    """Return the trainings of a claim: the baseline's and the challenger's."""
    baseline, challenger = (
        Experiment(
            name=f"{FOLDER}/{data_set}-{name_of(architecture, options)}-{claim.epochs}",
            recipe=data_set,
            changes={
                "architecture": architecture,
                "options": {**SIZES[architecture], **options},
                "epochs": claim.epochs,
            },
            seeds=seeds,
        )
        for architecture, options in (claim.baseline, claim.challenger)
    )
    return baseline, challenger


def name_of(architecture: str, options: Mapping[str, object]) -> str:
    """Name a network by what is particular to it: "csta_cnn-no-attention"."""
    told = [f"{option}-{value}" if value else f"no-{option}" for option, value in options.items()]
    return "-".join([architecture, *told])


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """Put claims and the results that are kept of them together, data set by data set; what is half done is left."""
    by_name = {result.name: result for result in results}
    found = []
    for data_set in sorted({result.recipe for result in results}):
        for claim in CLAIMS.values():
            pair = [by_name.get(experiment.name) for experiment in experiments_of(claim, data_set, ())]
            if pair[0] and pair[1]:
                found.append(Finding(claim, pair[0], pair[1]))
    return found
