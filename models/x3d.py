"""X3D on pictures of joints: a small 3D network of separable convolutions.

C. Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020,
https://arxiv.org/abs/2004.04730, section 3.1, as H. Duan et al., "Revisiting Skeleton-based Action Recognition", CVPR
2022, https://arxiv.org/abs/2104.13586, fit it to pictures of joints: the last three stages only, with the 2, 5 and 3
blocks of the unexpanded network ("shallow"), without squeeze and excitation and without swish. As in X3D, nothing
strides over time.

With swish goes its place: nothing but batch norm stands between the separable convolution and the one that mixes
channels again. X3D has another hidden layer before the classifier; PoseC3D's code has none, and neither has this.
"""

from collections import OrderedDict
from dataclasses import dataclass

from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.registry import Task, register
from models.volumes import ConvNorm, Size, VolumeConfig, VolumeRecogniser, begin_as_shortcut, conv3d, initialise


@dataclass(frozen=True, slots=True, kw_only=True)
class X3dConfig(VolumeConfig):
    """PoseC3D's X3D-shallow by default, 0.25 M parameters for 17 joints and 60 classes.

    ``blocks`` are those of each stage, twice as wide as the stage before; each stage halves height and width, as the
    stem does. Inside a block there are ``expansion`` times as many channels.
    """

    base_channels: int = 24
    blocks: tuple[int, ...] = (2, 5, 3)
    expansion: float = 2.25

    @property
    def out_channels(self) -> int:
        """Channels after the last stage."""
        return self.expanded(len(self.blocks) - 1)

    def expanded(self, stage: int) -> int:
        """Return the channels inside the blocks of a stage."""
        return int(self.expansion * self.base_channels * 2**stage)


class Block(nn.Module):
    """Widen, look around each channel by itself, narrow, and add the way around: relu(F(x) + x)."""

    def __init__(self, channels: int, width: int, out_channels: int, *, stride: Size = (1, 1, 1)) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            OrderedDict(
                widen=ConvNorm(channels, width, (1, 1, 1)),
                look=ConvNorm(width, width, (3, 3, 3), stride=stride, groups=width, linear=True),
                restore=ConvNorm(width, out_channels, (1, 1, 1), linear=True),
            )
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1, 1) or channels != out_channels:
            self.shortcut = ConvNorm(channels, out_channels, (1, 1, 1), stride=stride, linear=True)

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C2 T H2 W2"]:
        """Run the branch and add the shortcut."""
        return F.relu(self.branch(x) + self.shortcut(x))


def x3d(num_channels: int, config: X3dConfig) -> nn.Sequential:
    """Return the backbone for volumes of that many channels."""
    channels, spatial = config.base_channels, (1, 2, 2)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=conv3d(num_channels, channels, (1, 3, 3), stride=spatial),
        follow=ConvNorm(channels, channels, (5, 1, 1), groups=channels),
    )
    for number, length in enumerate(config.blocks):
        width, out_channels = config.expanded(number), config.base_channels * 2**number
        later = (Block(out_channels, width, out_channels) for _ in range(length - 1))
        layers[f"stage{number + 1}"] = nn.Sequential(Block(channels, width, out_channels, stride=spatial), *later)
        channels = out_channels
    layers["widen"] = ConvNorm(channels, config.out_channels, (1, 1, 1))
    return nn.Sequential(layers)


@register("x3d", config=X3dConfig)
class X3d(VolumeRecogniser):
    """X3D-shallow on joints, limbs or both."""

    def __init__(self, task: Task, config: X3dConfig) -> None:
        super().__init__(
            task,
            config,
            lambda num_channels: x3d(num_channels, config),
            channels=config.out_channels,
            strides=(1, 2 ** (len(config.blocks) + 1)),
        )
        self.apply(initialise)
        for block in self.modules():
            if isinstance(block, Block):
                begin_as_shortcut(block.branch)
