"""Explanations are judged by what is left of a score, on a model of which it is known what decides."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.registry import Recogniser
from training.examples import divide, read_sets
from training.faithfulness import HELD_JOINTS, MOVING_JOINTS, faithfulness, judge_explanations
from training.loop import train
from training.recipe import WindowRecipe
from training.runs import Run

DECIDING, BUSY = 4, 9


class OneJoint(Recogniser):
    """Asks how much one joint moves in the first quarter of a clip, and looks at nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        steps = x[:, :, 0, DECIDING].diff(dim=1)[:, : x.shape[1] // 4]
        moved = steps.square().sum(dim=(1, 2))
        return torch.stack([moved, torch.full_like(moved, 2.0)], dim=1)


def clips() -> Tensor:
    """Draw people with one joint that decides, and another one that moves more."""
    drawn = 0.1 * torch.randn(6, 16, 1, 13, 2, generator=torch.Generator().manual_seed(0))
    drawn[:, :, :, DECIDING] *= 10
    drawn[:, :, :, BUSY] *= 30
    return drawn


def test_what_an_explanation_rightly_points_at_leaves_nothing_when_it_is_held_still() -> None:
    explained, by_movement, by_chance = faithfulness(OneJoint(), clips())
    for count in HELD_JOINTS:
        assert explained.held[count] < 0.2
    for count in MOVING_JOINTS:
        assert explained.moving[count] == pytest.approx(1)
    assert by_movement.held[1] == pytest.approx(1)
    assert by_movement.held[2] < 0.2
    assert by_chance.held[1] > 0.5
    assert explained.frames < 0.9 * min(by_movement.frames, by_chance.frames)


def test_the_same_seed_draws_the_same_joints() -> None:
    assert faithfulness(OneJoint(), clips()) == faithfulness(OneJoint(), clips())
    assert faithfulness(OneJoint(), clips())[2] != faithfulness(OneJoint(), clips(), seed=1)[2]


def test_runs_are_judged_on_windows_that_show_an_action_for_sure(
    data: Path, tmp_path: Path, tiny: WindowRecipe
) -> None:
    run = Run.start(tmp_path / "run", "tiny", {"epochs": 12})
    parts = divide(tiny, read_sets(tiny, data))
    train(run.recipe, parts.train, run.folder, workers=0)
    num_windows, (explained, _, by_chance) = judge_explanations([run], data)
    assert 0 < num_windows <= len(parts.test)
    assert explained.held[4] < by_chance.held[4] <= 1.5


def test_windows_that_show_nothing_for_sure_are_an_error(data: Path, tmp_path: Path, tiny: WindowRecipe) -> None:
    run = Run.start(tmp_path / "run", "tiny", {"epochs": 1, "windows_per_epoch": 16, "learning_rate": 1e-6})
    train(run.recipe, divide(tiny, read_sets(tiny, data)).train, run.folder, workers=0)
    with pytest.raises(ValueError, match="found none"):
        judge_explanations([run], data)
