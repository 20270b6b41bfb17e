"""X3D-shallow on volumes: its size and its stages."""

import pytest
import torch

from models.registry import build
from models.x3d import Block, X3dConfig, x3d
from pipeline.layouts import LAYOUTS

COCO17 = LAYOUTS["coco17"]


def test_it_has_the_parameters_of_pyskls() -> None:
    model = build("x3d", layout=COCO17, num_classes=60)
    assert sum(parameter.numel() for parameter in model.parameters()) == 254_508


def test_time_is_kept_and_height_and_width_are_halved_four_times() -> None:
    backbone = x3d(17, X3dConfig(base_channels=4, blocks=(1, 1, 1))).eval()
    shapes, x = [], torch.randn(1, 17, 6, 56, 56)
    for layer in backbone:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 6, 28, 28), (4, 6, 28, 28), (4, 6, 14, 14), (8, 6, 7, 7), (16, 6, 4, 4), (36, 6, 4, 4)]


def test_a_block_looks_around_each_channel_by_itself() -> None:
    torch.manual_seed(0)
    block, x = Block(4, 9, 4).eval(), torch.randn(2, 4, 3, 5, 5)
    look = block.branch.get_submodule("look")
    wide, changed = torch.rand(1, 9, 3, 5, 5), torch.rand(1, 9, 3, 5, 5)
    changed[:, :4] = wide[:, :4]
    assert torch.equal(look(wide)[:, :4], look(changed)[:, :4])
    torch.testing.assert_close(block(x), torch.relu(block.branch(x) + x))


@pytest.mark.parametrize(
    "options",
    [{}, {"volumes": "both"}, {"blocks": (1, 2)}, {"expansion": 3.0}, {"dropout": 0.0}],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 4, "size": 20, "blocks": (1, 1, 1), **options}
    model = build("x3d", layout=COCO17, num_classes=4, num_people=2, options=options).eval()
    clips = torch.randn(2, 9, 2, 17, 3)
    assert model(clips).shape == (2, 4)
    assert all(output.isfinite().all() for output in model.explain(clips))
