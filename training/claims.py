"""``marey benchmark claims``: whether what each paper adds helps on data of ours.

A claim is two networks that differ in what the paper adds, trained alike: by the data set's recipe, in the sizes of
``training.recipes.benchmarks``, for as many epochs and with the same seeds. Whole tables, row by row, are
``training.reproduction``'s.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.experiments import Experiment, Result, carry_out_and_keep
from training.papers.registry import Network
from training.recipes.benchmarks import SIZES

FOLDER = "claims"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a paper says that its network gains over another; their options are added to their sizes here.

    ``epochs`` are those of both: fewer where a processor takes hours for more.
    """

    name: str
    paper: str
    says: str
    baseline: Network
    challenger: Network
    epochs: int = 40


CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(
            name="mcf-tdf",
            paper="STF-Net",
            says="MCF and TDF beat ST-GCN",
            baseline=Network("stgcn"),
            challenger=Network("stfnet"),
        ),
        Claim(
            name="csta",
            paper="CSTA-CNN",
            says="spatial and temporal attention beat none",
            baseline=Network("csta_cnn", "no attention", {"attention": ()}),
            challenger=Network("csta_cnn"),
        ),
        Claim(
            name="non-local",
            paper="AM-STGCN",
            says="non-local blocks beat ST-GCN",
            baseline=Network("stgcn"),
            challenger=Network("am_stgcn"),
        ),
        Claim(
            name="tfem-sfem-stfem-dp",
            paper="AMANet",
            says="TFEM, SFEM, STFEM and DP beat MS-G3D",
            baseline=Network("msg3d"),
            challenger=Network("amanet"),
        ),
        Claim(
            name="sta-ms-residual",
            paper="3D-STARNET",
            says="STA and MS-Residual beat PoseC3D",
            baseline=Network("posec3d"),
            challenger=Network("starnet3d"),
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
    for claim in claims:
        baseline, challenger = (
            carry_out_and_keep(experiment, data, runs=runs, out=out)
            for experiment in experiments_of(claim, data_set, seeds)
        )
        yield Finding(claim, baseline, challenger)


def experiments_of(claim: Claim, data_set: str, seeds: tuple[int, ...]) -> tuple[Experiment, Experiment]:
    """Return the trainings of a claim: the baseline's and the challenger's."""
    baseline, challenger = (
        Experiment(
            name=f"{FOLDER}/{data_set}-{name_of(network)}-{claim.epochs}",
            recipe=data_set,
            changes={
                "architecture": network.architecture,
                "options": {**SIZES[network.architecture], **network.options},
                "epochs": claim.epochs,
            },
            seeds=seeds,
        )
        for network in (claim.baseline, claim.challenger)
    )
    return baseline, challenger


def name_of(network: Network) -> str:
    """Name a network with its variant: "csta_cnn-no-attention"."""
    return "-".join([network.architecture, *network.variant.split()])


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """Put claims and the results that are kept of them together, data set by data set; what is half done is left."""
    by_name = {result.name: result for result in results}
    found = []
    for data_set in sorted({result.recipe for result in results}):
        for claim in CLAIMS.values():
            baseline, challenger = (by_name.get(one.name) for one in experiments_of(claim, data_set, ()))
            if baseline and challenger:
                found.append(Finding(claim, baseline, challenger))
    return found
