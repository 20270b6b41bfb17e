"""3D-STARNET: PoseC3D with attention to frames and places, and with residuals that pass on more of the signal.

J. Yang, S. Sun, J. Chen, H. Xie, Y. Wang and Z. Yang, "3D-STARNET: Spatial-Temporal Attention Residual Network for
Robust Action Recognition", Applied Sciences 14(16), 2024, https://doi.org/10.3390/app14167154. STA is section 3.3, the
staged residuals (MS-Residual) are section 3.4, after I. Duta et al., "Improved Residual Networks for Image and Video
Recognition", ICPR 2020, https://arxiv.org/abs/2004.04989. Table 3's rows are ``sta`` and ``staged``; without both it is
PoseC3D to the last weight.

Where the paper is silent or ambiguous:

- STA stands at the end of every block's branch, before the sum with the shortcut, on the widened channels; that adds
  7.5 M parameters to PoseC3D's 2.0 M, and the paper gives no count.
- Its softmax weights are multiplied by their number, frames or places, so that their mean is 1: shares of one would
  shrink a branch by as much, 13 blocks in a row.
- The "fully connected layer" acts on channels, for each frame or place by itself: acting on frames it would hold for
  clips of one length only.
- The first block after a start block has no batch norm at its beginning, as in Duta et al.: the start block has just
  ended in one. Parameters are then PoseC3D's exactly, as the paper says that nothing is added.
- The shortcut's maximum over 1x3x3 takes the stage's stride over time along, where figure 7 has only stages without.
"""

from collections import OrderedDict
from dataclasses import dataclass

from jaxtyping import Float32
from torch import Tensor, nn

from models.posec3d import (
    EXPANSION,
    Bottleneck,
    PoseC3dConfig,
    Stage,
    bottleneck_branch,
    plain_stage,
    slow_only,
)
from models.registry import Task, register
from models.volumes import ConvNorm, VolumeRecogniser, begin_as_shortcut, conv3d, initialise


@dataclass(frozen=True, slots=True, kw_only=True)
class Starnet3dConfig(PoseC3dConfig):
    """The paper's network by default: PoseC3D's options, and which of the two changes are made."""

    sta: bool = True
    staged: bool = True


class SpatioTemporalAttention(nn.Module):
    """STA, eqs. (2) and (3): weigh each channel's frames by what is in them, and its places by what happens there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand_t, self.expand_s = _expansion(channels), _expansion(channels)
        self.squeeze_t, self.squeeze_s = nn.Linear(2 * channels, channels), nn.Linear(2 * channels, channels)

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C T H W"]:
        """Return x w_t + x w_s."""
        return x * self.of_frames(x) + x * self.of_places(x)

    # Both take the mean with channels last, as the convolution leaves them in training: twice as fast a step.

    def of_frames(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C T 1 1"]:
        """Return w_t, whose mean over frames is 1. Eq. (2): T_t = S_t o phi_t o eps_t."""
        frames = self.expand_t(x).movedim(1, -1).mean(dim=(2, 3))
        weight: Tensor = self.squeeze_t(frames).softmax(dim=1) * x.shape[2]
        return weight.movedim(-1, 1).unsqueeze(3).unsqueeze(4)

    def of_places(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C 1 H W"]:
        """Return w_s, whose mean over places is 1. Eq. (3): T_s = S_s o phi_s o eps_s."""
        H, W = x.shape[3:]
        places = self.expand_s(x).movedim(1, -1).mean(dim=1).flatten(1, 2)
        weight: Tensor = self.squeeze_s(places).softmax(dim=1) * (H * W)
        return weight.movedim(-1, 1).reshape(*x.shape[:2], 1, H, W)


def _expansion(channels: int) -> ConvNorm:
    """Return eps and phi: a convolution in two groups to twice the channels, batch norm, ReLU."""
    return ConvNorm(channels, 2 * channels, (1, 1, 1), groups=2)


class StartBlock(nn.Module):
    """The first block of a stage: batch norm and ReLU after convolutions, but no ReLU after the sum."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.branch = bottleneck_branch(stage.channels, stage.width, stride=stage.stride, inflate=stage.inflate)
        self.shortcut = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool3d((1, 3, 3), stride=stage.stride, padding=(0, 1, 1)),
                project=ConvNorm(stage.channels, EXPANSION * stage.width, (1, 1, 1), linear=True),
            )
        )

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C2 T2 H2 W2"]:
        """Run the branch and add the shortcut, whose maximum keeps what a strided convolution would step over."""
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


class LaterBlock(nn.Module):
    """A middle or end block of a stage: batch norm and ReLU before convolutions, so that nothing is cut off the sum."""

    def __init__(self, width: int, *, inflate: bool, normalised: bool) -> None:
        super().__init__()
        channels = EXPANSION * width
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if not normalised:
            layers["norm"] = nn.BatchNorm3d(channels)
        layers["relu"] = nn.ReLU()
        layers["reduce"] = ConvNorm(channels, width, (3 if inflate else 1, 1, 1))
        layers["look"] = ConvNorm(width, width, (1, 3, 3))
        layers["restore"] = conv3d(width, channels, (1, 1, 1))
        self.branch = nn.Sequential(layers)

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C T H W"]:
        """Run the branch and add what came in."""
        y: Tensor = x + self.branch(x)
        return y


def build_stage(stage: Stage, config: Starnet3dConfig) -> nn.Sequential:
    """Return a stage with what the config changes of it."""
    layers = staged_residuals(stage) if config.staged else plain_stage(stage)
    for block in layers if config.sta else ():
        if isinstance(block, Bottleneck | StartBlock | LaterBlock):
            block.branch.add_module("attend", SpatioTemporalAttention(EXPANSION * stage.width))
    return layers


def staged_residuals(stage: Stage) -> nn.Sequential:
    """Return a start block, later ones, and at the end batch norm and ReLU on the whole signal."""
    places = range(stage.length - 1)
    later = (LaterBlock(stage.width, inflate=stage.inflate, normalised=place == 0) for place in places)
    return nn.Sequential(StartBlock(stage), *later, nn.BatchNorm3d(EXPANSION * stage.width), nn.ReLU())


@register("starnet3d", config=Starnet3dConfig)
class Starnet3d(VolumeRecogniser):
    """3D-STARNET on joints, limbs or both."""

    def __init__(self, task: Task, config: Starnet3dConfig) -> None:
        super().__init__(
            task,
            config,
            lambda num_channels: slow_only(num_channels, config, lambda stage: build_stage(stage, config)),
            channels=config.out_channels,
            strides=config.strides,
        )
        self.apply(initialise)
        for block in self.modules():
            if isinstance(block, Bottleneck | StartBlock):
                begin_as_shortcut(block.branch)
