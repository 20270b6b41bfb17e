"""CTR-GCN: graph convolutions with a graph of its own for every channel, refined by every clip.

Y. Chen, Z. Zhang, C. Yuan, B. Li, Y. Deng and W. Hu, "Channel-wise Topology Refinement Graph Convolution for
Skeleton-Based Action Recognition", ICCV 2021, https://arxiv.org/abs/2107.12213. The symbols are its.

What differs, and where the paper is silent:

- Of the paper's two ways to compare joints M_1, the tanh of differences, which the authors' code has.
- The mean over frames is taken before psi and phi and not after, with the same result for a fraction of the work.
- The first layers of the temporal branches are one layer (see ``models.layers.MultiScaleConv``), with the same result.
- PYSKL rectifies the temporal branches before the way around is added, the authors' code does not: an argument, on as
  in PYSKL.
- Input norm is over people, joints and channels, as in the code: every seat of a clip has its own scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import directed_adjacency
from models.layers import (
    Backbone,
    BackboneConfig,
    MultiScaleConv,
    Place,
    StreamsRecogniser,
    draw_classifier,
    draw_convolution,
    shortcut,
)
from models.registry import Task, register
from pipeline.layouts import Layout

# As in the code: coordinates are compared in 8 channels, features in an eighth of theirs.
FEW_CHANNELS = 16
EMBEDDED_CHANNELS = 8
# The norm after each graph convolution begins so, and with it each block as the way around it.
NEARLY_ZERO = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CtrGcnConfig(BackboneConfig):
    """The paper's network by default.

    ``reduction`` (the paper's r) divides the channels in which joints are compared. ``temporal_kernel`` and
    ``dilations`` are those of the temporal branches, beside which there are always a maximum and the frame alone.
    Without ``refine`` all channels share the learned graph.
    """

    temporal_kernel: int = 5
    dilations: tuple[int, ...] = (1, 2)
    reduction: int = 8
    refine: bool = True
    rectify: bool = True


class Topology(nn.Module):
    """The learned graph of each subset, refined for every channel: R = A + alpha xi(tanh(psi(x_v) - phi(x_w)))."""

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, reduction: int, refine: bool) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.from_numpy(directed_adjacency(layout)))  # [P, V, V]
        P = len(self.A)
        narrow = EMBEDDED_CHANNELS if channels <= FEW_CHANNELS else channels // reduction
        self.alpha = nn.Parameter(torch.zeros(1)) if refine else None
        self.psi_phi = nn.Conv2d(channels, 2 * P * narrow, 1) if refine else None
        self.xi = nn.Conv2d(P * narrow, P * out_channels, 1, groups=P) if refine else None

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "#B P #C2 V V"]:
        """Return what joint w takes from joint v, ``R[p, c, v, w]``; unrefined it is one for all clips and channels."""
        if self.psi_phi is None or self.xi is None:
            return self.A[None, :, None]
        psi, phi = self.psi_phi(x.mean(dim=2, keepdim=True)).squeeze(2).chunk(2, dim=1)  # [B, P*c, V] each
        Q = self.xi(torch.tanh(psi.unsqueeze(3) - phi.unsqueeze(2)))  # [B, P*C2, V, V]
        R: Tensor = self.A[:, None] + self.alpha * Q.unflatten(1, (len(self.A), -1))
        return R


class RefinedConv(nn.Module):
    """CTR-GC: every channel gathers by its own graph; then the sum over subsets, norm, and the way around."""

    def __init__(self, channels: int, out_channels: int, layout: Layout, config: CtrGcnConfig) -> None:
        super().__init__()
        self.topology = Topology(channels, out_channels, layout, reduction=config.reduction, refine=config.refine)
        self.transform = nn.Conv2d(channels, len(self.topology.A) * out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(channels, out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Mix channels, then gather."""
        transformed = self.transform(x).unflatten(1, (len(self.topology.A), -1))  # [B, P, C2, T, V]
        y = (transformed @ self.topology(x)).sum(dim=1)
        return F.relu(self.norm(y) + self.shortcut(x))


def branch_widths(channels: int, num_branches: int) -> Sequence[int]:
    """Share channels out among branches; the last takes what is left over."""
    width = channels // num_branches
    return [*[width] * (num_branches - 1), channels - width * (num_branches - 1)]


def multi_scale_conv(channels: int, config: CtrGcnConfig, *, stride: int) -> nn.Module:
    """Return the temporal layer: branches side by side."""
    widths = branch_widths(channels, len(config.dilations) + 2)
    return nn.Sequential(
        MultiScaleConv(channels, widths, kernel=config.temporal_kernel, dilations=config.dilations, stride=stride),
        nn.ReLU() if config.rectify else nn.Identity(),
    )


@register("ctrgcn", config=CtrGcnConfig)
class CtrGcn(StreamsRecogniser):
    """CTR-GCN with one backbone a stream; the paper's four are joint, bone, and the motion of both."""

    def __init__(self, task: Task, config: CtrGcnConfig) -> None:
        def layers(place: Place) -> tuple[nn.Module, nn.Module]:
            spatial = RefinedConv(place.channels, place.out_channels, task.layout, config)
            return spatial, multi_scale_conv(place.out_channels, config, stride=place.stride)

        super().__init__(task, config, lambda: Backbone(task, config, layers, people_apart=True))
        self.apply(initialise)


def initialise(module: nn.Module) -> None:
    """Draw convolutions as He et al. (fan out), as the authors; graph convolutions begin at nearly nothing.

    The classifier is drawn narrowly, so that the first loss is log K.
    """
    draw_convolution(module)
    if isinstance(module, RefinedConv):
        nn.init.constant_(module.norm.weight, NEARLY_ZERO)
    if isinstance(module, Backbone):
        draw_classifier(module.classify)
