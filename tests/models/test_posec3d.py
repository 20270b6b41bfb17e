"""PoseC3D's network: its size, its stages, and every option."""

import pytest
import torch

from models.posec3d import Bottleneck, PoseC3dConfig, slow_only, stages
from models.registry import build
from pipeline.layouts import LAYOUTS

COCO17 = LAYOUTS["coco17"]


def num_parameters(**options: object) -> int:
    model = build("posec3d", layout=COCO17, num_classes=60, options=options)
    return sum(parameter.numel() for parameter in model.parameters())


def test_it_has_the_parameters_of_the_paper() -> None:
    assert num_parameters() == num_parameters(volumes="limb") == 2_024_860


def test_seeing_joints_and_limbs_costs_a_wider_first_convolution() -> None:
    assert num_parameters(volumes="both") == num_parameters() + 17 * 32 * 7 * 7


def test_stages_halve_height_and_width_and_the_last_one_time() -> None:
    backbone = slow_only(17, PoseC3dConfig(base_channels=4, blocks=(1, 1, 1))).eval()
    shapes, x = [], torch.randn(1, 17, 12, 56, 56)
    for layer in backbone:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 12, 56, 56), (4, 12, 56, 56), (16, 12, 28, 28), (32, 12, 14, 14), (64, 6, 7, 7)]


def test_only_the_later_stages_look_at_neighbouring_frames() -> None:
    backbone = slow_only(17, PoseC3dConfig(base_channels=4)).eval()
    x = torch.randn(1, 17, 5, 16, 16)
    changed = x.clone()
    changed[:, :, 2] += 1
    first_stage = backbone[:3]
    same = [torch.equal(first_stage(x)[:, :, t], first_stage(changed)[:, :, t]) for t in range(5)]
    assert same == [True, True, False, True, True]
    kernels = [stage[0].branch.reduce.conv.kernel_size for stage in (backbone.stage1, backbone.stage2, backbone.stage3)]
    assert kernels == [(1, 1, 1), (3, 1, 1), (3, 1, 1)]


def test_a_bottleneck_is_its_branch_and_a_way_around() -> None:
    torch.manual_seed(0)
    block, x = Bottleneck(16, 4).eval(), torch.randn(2, 16, 3, 5, 5)
    torch.testing.assert_close(block(x), torch.relu(block.branch(x) + x))
    strided = Bottleneck(16, 8, stride=(2, 2, 2)).eval()
    assert strided(x).shape == (2, 32, 2, 3, 3)


def test_blocks_begin_as_their_shortcuts() -> None:
    model = build("posec3d", layout=COCO17, num_classes=4, options={"base_channels": 4}).eval()
    block = next(module for module in model.modules() if isinstance(module, Bottleneck) and module.shortcut)
    x = torch.randn(1, 4, 3, 8, 8)
    torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)))


def test_stages_know_how_wide_they_begin() -> None:
    assert [(stage.channels, stage.width, stage.length) for stage in stages(PoseC3dConfig())] == [
        (32, 32, 4),
        (128, 64, 6),
        (256, 128, 3),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"volumes": "joint"},
        {"volumes": "limb"},
        {"volumes": "both"},
        {"stem_pool": False},
        {"blocks": (1, 2), "temporal_strides": (2, 2), "inflate": (True, True)},
        {"fit": "box", "half_side": 2.0},
        {"sigma": 1.5, "padding": 0.1},
        {"use_scores": False},
        {"num_coordinates": 3},
        {"limbs": (("left_hip", "right_hip"),), "volumes": "both"},
        {"dropout": 0.0},
    ],
    ids=lambda options: ",".join(map(str, options.items())),
)
def test_every_option_builds(options: dict[str, object]) -> None:
    options = {"base_channels": 4, "size": 16, "blocks": (1, 1, 1), **options}
    model = build("posec3d", layout=COCO17, num_classes=4, num_people=2, options=options).eval()
    clips = torch.randn(2, 9, 2, 17, 3)
    assert model(clips).shape == (2, 4)
    assert all(output.isfinite().all() for output in model.explain(clips))


def test_stages_are_described_alike() -> None:
    with pytest.raises(ValueError, match="2 blocks, 3 temporal_strides and 3 inflate: expected one of each a stage"):
        build("posec3d", layout=COCO17, num_classes=4, options={"blocks": (1, 1)})
