"""What papers say that their networks gain is tried with two networks that differ in nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from training.benchmark_page import page_of
from training.benchmark_sets import Plan
from training.benchmark_sets import experiments_of as experiments_of_sets
from training.claims import CLAIMS, Claim, Finding, experiments_of, findings_of, name_of, try_claims
from training.experiments import Result
from training.loop import build_recogniser
from training.papers.registry import Network
from training.recipe import SequenceRecipe
from training.recipes import registry as recipes
from training.recipes.benchmarks import SIZES
from training.recipes.registry import recipe_named
from training.runs import changed


def result_of(name: str, *top1: float) -> Result:
    return Result(
        name=name,
        data_set="utd_mhad",
        split="",
        architecture="stfnet",
        recipe="utd_mhad",
        changes={},
        seeds=tuple(range(len(top1))),
        top1=top1,
        mean_class_accuracy=top1,
        epochs=40,
    )


def finding_of(without: tuple[float, ...], gained: tuple[float, ...], claim: Claim = CLAIMS["mcf-tdf"]) -> Finding:
    baseline, challenger = experiments_of(claim, "utd_mhad", ())
    return Finding(claim, result_of(baseline.name, *without), result_of(challenger.name, *gained))


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_both_networks_of_a_claim_can_be_built_and_are_trained_alike(claim: Claim) -> None:
    networks = [
        changed(recipe_named("utd_mhad"), {**experiment.changes, "classes": ["one", "other"]})
        for experiment in experiments_of(claim, "utd_mhad", (0,))
    ]
    built = [build_recogniser(recipe) for recipe in networks]
    assert str(built[0]) != str(built[1])
    assert replace(networks[0], architecture="", options={}) == replace(networks[1], architecture="", options={})


def test_every_paper_has_a_claim() -> None:
    assert sorted(claim.paper for claim in CLAIMS.values()) == [
        "3D-STARNET",
        "AM-STGCN",
        "AMANet",
        "CSTA-CNN",
        "STF-Net",
    ]


def test_a_network_is_named_by_what_it_lacks() -> None:
    assert name_of(CLAIMS["csta"].baseline) == "csta_cnn-no-attention"
    assert name_of(CLAIMS["csta"].challenger) == "csta_cnn"


def test_claims_never_share_a_run_with_whole_benchmarks() -> None:
    plan = Plan(data_sets=("utd_mhad",), architectures=tuple(SIZES))
    whole = {one.name for architecture in SIZES for one in experiments_of_sets(plan, "utd_mhad", architecture)}
    assert not whole & {one.name for claim in CLAIMS.values() for one in experiments_of(claim, "utd_mhad", ())}


@pytest.mark.parametrize(
    ("without", "gained", "verdict"),
    [
        ((0.80, 0.81, 0.82), (0.90, 0.91, 0.92), "so it is here"),
        ((0.90, 0.91, 0.92), (0.80, 0.81, 0.82), "the contrary here"),
        ((0.80, 0.85, 0.90), (0.82, 0.86, 0.91), "no difference seen"),
        ((0.80,), (0.90,), "one seed tells nothing"),
    ],
)
def test_a_difference_counts_where_it_is_larger_than_chance(
    without: tuple[float, ...], gained: tuple[float, ...], verdict: str
) -> None:
    assert finding_of(without, gained).verdict == verdict


def test_the_page_shows_what_was_found_and_nothing_half_done() -> None:
    finding = finding_of((0.8, 0.82), (0.9, 0.92))
    half = result_of(experiments_of(CLAIMS["csta"], "utd_mhad", ())[0].name, 0.5)
    results = [finding.baseline, finding.challenger, half]
    assert [one.claim.name for one in findings_of(results)] == ["mcf-tdf"]
    (row,) = (line for line in page_of(results).splitlines() if line.startswith("| STF-Net"))
    assert "| stgcn 81.0 +- 1.4 | stfnet 91.0 +- 1.4 | +10.0 | 2 | so it is here |" in row
    assert "## The papers' claims" not in page_of([half])


def test_a_claim_is_tried_and_kept(
    tiny_sequences: SequenceRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(tiny_sequences, epochs=1)
    monkeypatch.setitem(recipes._RECIPES._entries, quick.name, lambda: quick)
    monkeypatch.setitem(SIZES, "pooling", {"width": 4})  # type: ignore[arg-type]  # a dict, whatever it says
    claim = Claim(
        name="wide",
        paper="none",
        says="width helps",
        baseline=Network("pooling"),
        challenger=Network("pooling", "width 8", {"width": 8}),
        epochs=1,
    )
    runs, out = tmp_path / "runs", tmp_path / "results"
    (finding,) = try_claims([claim], quick.name, data, seeds=(0,), runs=runs, out=out)
    assert finding.challenger.parameters > finding.baseline.parameters
    assert {path.name for path in (out / "claims").iterdir()} >= {
        f"{quick.name}-{network}-1.json" for network in ("pooling", "pooling-width-8")
    }
