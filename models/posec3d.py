"""PoseC3D: the slow pathway of SlowFast on pictures of joints or limbs.

H. Duan, Y. Zhao, K. Chen, D. Lin and B. Dai, "Revisiting Skeleton-based Action Recognition", CVPR 2022,
https://arxiv.org/abs/2104.13586: section 3.3 and table 1, SlowOnly-R50 without its first stage, half as wide and with
twice the resolution in the beginning, as pictures of joints are small and simple. Bottlenecks after He et al. (CVPR
2016), convolutions over time only in the later stages after Feichtenhofer et al. (ICCV 2019).

What differs, and where paper and code leave a choice:

- The pictures are drawn in the network: see ``models.heatmap``.
- The paper's J + L is two networks, joint and limb, whose scores are added. ``volumes="both"`` is one network that sees
  both, which costs half as much.
- There is no pooling after the first convolution in the paper; MMAction2's and PYSKL's code takes a maximum over 3x3
  pixels there, with stride 1, and so do we: their weights need it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.registry import Task, register
from models.volumes import ConvNorm, Size, VolumeConfig, VolumeRecogniser, begin_as_shortcut, initialise

EXPANSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseC3dConfig(VolumeConfig):
    """The paper's network by default, 2.0 M parameters for 17 joints and 60 classes.

    One entry a stage: ``blocks``; ``temporal_strides``, the spatial ones being 2; and whether a block's first
    convolution looks at 3 frames (``inflate``). Stages are twice as wide as the one before.
    """

    blocks: tuple[int, ...] = (4, 6, 3)
    temporal_strides: tuple[int, ...] = (1, 1, 2)
    inflate: tuple[bool, ...] = (False, True, True)
    stem_pool: bool = True

    @property
    def out_channels(self) -> int:
        """Channels of the last stage."""
        channels: int = EXPANSION * self.base_channels * 2 ** (len(self.blocks) - 1)
        return channels

    @property
    def strides(self) -> tuple[int, int]:
        """Frames, and rows or columns, that one place of the last stage stands for."""
        return prod(self.temporal_strides), 2 ** len(self.blocks)

    def __post_init__(self) -> None:
        VolumeConfig.__post_init__(self)
        if not len(self.blocks) == len(self.temporal_strides) == len(self.inflate):
            raise ValueError(
                f"{len(self.blocks)} blocks, {len(self.temporal_strides)} temporal_strides and {len(self.inflate)} "
                "inflate: expected one of each a stage"
            )


class Bottleneck(nn.Module):
    """Narrow, look around, widen again, and add the way around: relu(F(x) + x)."""

    def __init__(self, channels: int, width: int, *, stride: Size = (1, 1, 1), inflate: bool = False) -> None:
        super().__init__()
        self.branch = bottleneck_branch(channels, width, stride=stride, inflate=inflate)
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1, 1) or channels != EXPANSION * width:
            self.shortcut = ConvNorm(channels, EXPANSION * width, (1, 1, 1), stride=stride, linear=True)

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C2 T2 H2 W2"]:
        """Run the branch and add the shortcut."""
        return F.relu(self.branch(x) + self.shortcut(x))


def bottleneck_branch(channels: int, width: int, *, stride: Size, inflate: bool) -> nn.Sequential:
    """Return F: 1x1x1 (3x1x1 where inflated), 1x3x3 with the stride, 1x1x1, each with batch norm."""
    return nn.Sequential(
        OrderedDict(
            reduce=ConvNorm(channels, width, (3 if inflate else 1, 1, 1)),
            look=ConvNorm(width, width, (1, 3, 3), stride=stride),
            restore=ConvNorm(width, EXPANSION * width, (1, 1, 1), linear=True),
        )
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage is built from: ``length`` blocks, of which the first has the stride."""

    channels: int
    width: int
    length: int
    stride: Size
    inflate: bool


def stages(config: PoseC3dConfig) -> Iterator[Stage]:
    """Return the stages of the backbone, first to last."""
    channels = config.base_channels
    for number, length in enumerate(config.blocks):
        width = config.base_channels * 2**number
        yield Stage(channels, width, length, (config.temporal_strides[number], 2, 2), config.inflate[number])
        channels = EXPANSION * width


def plain_stage(stage: Stage) -> nn.Sequential:
    """Return the blocks of a stage, all of one kind."""
    first = Bottleneck(stage.channels, stage.width, stride=stage.stride, inflate=stage.inflate)
    channels = EXPANSION * stage.width
    later = (Bottleneck(channels, stage.width, inflate=stage.inflate) for _ in range(stage.length - 1))
    return nn.Sequential(first, *later)


def slow_only(
    num_channels: int, config: PoseC3dConfig, build_stage: Callable[[Stage], nn.Module] = plain_stage
) -> nn.Sequential:
    """Return the backbone for volumes of that many channels."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=ConvNorm(num_channels, config.base_channels, (1, 7, 7)))
    if config.stem_pool:
        layers["pool"] = nn.MaxPool3d((1, 3, 3), stride=1, padding=(0, 1, 1))
    for number, stage in enumerate(stages(config), start=1):
        layers[f"stage{number}"] = build_stage(stage)
    return nn.Sequential(layers)


@register("posec3d", config=PoseC3dConfig)
class PoseC3d(VolumeRecogniser):
    """PoseC3D's SlowOnly-R50 on joints, limbs or both."""

    def __init__(self, task: Task, config: PoseC3dConfig) -> None:
        super().__init__(
            task,
            config,
            lambda num_channels: slow_only(num_channels, config),
            channels=config.out_channels,
            strides=config.strides,
        )
        self.apply(initialise)
        for block in self.modules():
            if isinstance(block, Bottleneck):
                begin_as_shortcut(block.branch)
