"""3D-STARNET against loops from the paper's equations, and its ablations."""

from itertools import product
from typing import TypeVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.posec3d import PoseC3dConfig, stages
from models.registry import build
from models.starnet3d import LaterBlock, SpatioTemporalAttention, StartBlock, staged_residuals
from pipeline.layouts import LAYOUTS

COCO17 = LAYOUTS["coco17"]
STAGE, *_ = stages(PoseC3dConfig(base_channels=4))
# Rows of table 3.
ABLATIONS = [{"sta": sta, "staged": staged} for sta, staged in product([False, True], repeat=2)]

M = TypeVar("M", bound=nn.Module)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def disturbed(module: M) -> M:
    """Give batch norm statistics and weights that are not those of a fresh one."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm3d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
    return module.eval()


def test_attention_is_equations_2_and_3() -> None:
    sta, x = disturbed(SpatioTemporalAttention(4)), torch.randn(2, 4, 3, 2, 2)
    expanded_t, expanded_s = (
        torch.stack(
            [
                # The first four channels come from the first two, the others from the others.
                (part.conv.weight[c, :, 0, 0, 0].view(1, 2, 1, 1, 1) * x[:, 2 * (c // 4) : 2 * (c // 4) + 2]).sum(1)
                for c in range(8)
            ],
            dim=1,
        )
        for part in (sta.expand_t, sta.expand_s)
    )
    expanded_t, expanded_s = F.relu(sta.expand_t.norm(expanded_t)), F.relu(sta.expand_s.norm(expanded_s))
    w_t, w_s = torch.zeros(2, 4, 3), torch.zeros(2, 4, 2, 2)
    for t in range(3):  # Eq. (2)
        pooled = sum(expanded_t[:, :, t, h, w] for h, w in product(range(2), range(2))) / 4
        w_t[:, :, t] = pooled @ sta.squeeze_t.weight.t() + sta.squeeze_t.bias
    for h, w in product(range(2), range(2)):  # Eq. (3)
        pooled = sum(expanded_s[:, :, t, h, w] for t in range(3)) / 3
        w_s[:, :, h, w] = pooled @ sta.squeeze_s.weight.t() + sta.squeeze_s.bias
    w_t = w_t.exp() / w_t.exp().sum(dim=2, keepdim=True) * 3
    w_s = w_s.exp() / w_s.exp().sum(dim=(2, 3), keepdim=True) * 4
    torch.testing.assert_close(sta(x), x * w_t[..., None, None] + x * w_s[:, :, None])


def test_attention_moves_weight_about_but_adds_none() -> None:
    sta, x = SpatioTemporalAttention(4).eval(), torch.randn(2, 4, 5, 6, 6)
    torch.testing.assert_close(sta.of_frames(x).mean(dim=2), torch.ones(2, 4, 1, 1))
    torch.testing.assert_close(sta.of_places(x).mean(dim=(3, 4)), torch.ones(2, 4, 1))


def test_a_start_block_has_no_relu_after_the_sum_and_a_maximum_on_the_way_around() -> None:
    block, x = disturbed(StartBlock(STAGE)), torch.randn(1, 4, 3, 6, 6)
    project = block.shortcut.get_submodule("project")
    padded = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    largest = torch.stack(
        [padded[..., 2 * h : 2 * h + 3, 2 * w : 2 * w + 3].amax(dim=(3, 4)) for h, w in product(range(3), range(3))],
        dim=3,
    ).reshape(1, 4, 3, 3, 3)
    torch.testing.assert_close(block(x), block.branch(x) + project(largest))
    assert block(x).min() < 0


@pytest.mark.parametrize("normalised", [True, False])
def test_a_later_block_normalises_before_its_convolutions(normalised: bool) -> None:
    block, x = disturbed(LaterBlock(4, inflate=True, normalised=normalised)), torch.randn(1, 16, 3, 6, 6)
    reduce, look, restore = (block.branch.get_submodule(name) for name in ("reduce", "look", "restore"))
    begun = F.relu(x if normalised else block.branch.get_submodule("norm")(x))
    widened = F.conv3d(look(reduce(begun)), restore.weight)
    torch.testing.assert_close(block(x), x + widened)


def test_a_stage_starts_goes_on_and_ends_with_the_whole_signal_normalised() -> None:
    *blocks, norm, relu = staged_residuals(STAGE)
    assert [type(block) for block in blocks] == [StartBlock, LaterBlock, LaterBlock, LaterBlock]
    assert ["norm" in block.branch._modules for block in blocks[1:]] == [False, True, True]
    assert isinstance(norm, nn.BatchNorm3d)
    assert isinstance(relu, nn.ReLU)


def num_parameters(architecture: str, **options: object) -> int:
    model = build(architecture, layout=COCO17, num_classes=60, options=options)
    return sum(parameter.numel() for parameter in model.parameters())


def test_staged_residuals_cost_no_parameters() -> None:
    assert num_parameters("starnet3d", sta=False) == num_parameters("posec3d")


def test_attention_costs_what_its_docstring_says() -> None:
    assert num_parameters("starnet3d") - num_parameters("posec3d") == pytest.approx(7.5e6, rel=0.01)


def test_without_both_it_is_posec3d() -> None:
    options = {"base_channels": 4, "size": 16}
    base = build("posec3d", layout=COCO17, num_classes=4, options=options)
    bare = build("starnet3d", layout=COCO17, num_classes=4, options={**options, "sta": False, "staged": False})
    bare.load_state_dict(base.state_dict())
    clips = torch.randn(2, 9, 1, 17, 3)
    assert torch.equal(bare.eval()(clips), base.eval()(clips))


@pytest.mark.parametrize("options", [*ABLATIONS, {"volumes": "both"}, {"blocks": (1, 1, 1)}], ids=str)
def test_every_row_of_table_3_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 4, "size": 16, "blocks": (2, 3, 1), **options}
    model = build("starnet3d", layout=COCO17, num_classes=4, num_people=2, options=options).eval()
    clips = torch.randn(2, 9, 2, 17, 3)
    assert model(clips).shape == (2, 4)
    assert all(output.isfinite().all() for output in model.explain(clips))
