"""Runs become one recogniser if they see, learn and hold out the same."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from models.ensemble import Ensemble
from training.examples import divide, read_sets
from training.loop import train
from training.members import architecture_of, common_recipe, fused_model
from training.runs import Run


def trained(folder: Path, data: Path, **changes: object) -> Run:
    run = Run.start(folder, "tiny", {"epochs": 1, "windows_per_epoch": 32, **changes})
    train(run.recipe, divide(run.recipe, read_sets(run.recipe, data)).train, folder, workers=0)
    return run


def test_networks_and_seeds_may_differ(tmp_path: Path) -> None:
    runs = [Run.start(tmp_path / str(seed), "tiny", {"seed": seed, "epochs": seed + 1}) for seed in (0, 1)]
    assert common_recipe(runs) == runs[0].recipe


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("features", {"features": {"num_frames": 7}}),
        ("held_out_share", {"held_out_share": 0.5}),
        ("class_labels", {"left_out": ["squat"]}),
        ("left_out", {"left_out": ["kard"]}),
    ],
)
def test_runs_that_see_or_hold_out_something_else_are_refused(
    setting: str, changes: Mapping[str, object], tmp_path: Path
) -> None:
    runs = [Run.start(tmp_path / "one", "tiny", {}), Run.start(tmp_path / "other", "tiny", changes)]
    with pytest.raises(ValueError, match=f"expected runs of the same {setting} to make one recogniser of.*other"):
        common_recipe(runs)


def test_a_run_alone_is_its_model_and_several_are_an_ensemble(tmp_path: Path, data: Path) -> None:
    runs = [trained(tmp_path / str(seed), data, seed=seed) for seed in (0, 1)]
    parts = divide(runs[0].recipe, read_sets(runs[0].recipe, data))
    assert not isinstance(fused_model(runs[:1], parts), Ensemble)
    both = fused_model(runs, parts)
    assert isinstance(both, Ensemble)
    assert both.weights.tolist() == [0.5, 0.5]
    assert (architecture_of(runs[:1]), architecture_of(runs)) == ("pooling", "ensemble of pooling")


def test_different_networks_are_weighed_by_what_they_say_of_what_was_held_out(tmp_path: Path, data: Path) -> None:
    runs = [trained(tmp_path / str(width), data, options={"width": width}) for width in (4, 8)]
    parts = divide(runs[0].recipe, read_sets(runs[0].recipe, data))
    both = fused_model(runs, parts)
    assert isinstance(both, Ensemble)
    assert both.weights.tolist() != [0.5, 0.5]
