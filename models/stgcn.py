"""ST-GCN: convolutions over the skeleton graph and over time, the baseline of graph recognisers.

S. Yan, Y. Xiong and D. Lin, "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition",
AAAI 2018, https://arxiv.org/abs/1801.07455; equation (2) is as AM-STGCN (Kong et al.) writes it. For table 7 of that
paper, SE from J. Hu, L. Shen and G. Sun, "Squeeze-and-Excitation Networks", CVPR 2018, and CBAM from S. Woo, J. Park,
J. Lee and I. Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018.

What differs, and where the papers are silent:

- Ten units, the first without a way around it, as in the authors' code; the paper's text counts nine.
- The graph is normalised as a whole before it is parted (see ``models.graph.adjacency``), so alpha is not needed. It
  belongs to the weights, so that an imported checkpoint brings its own.
- Edge importance M is one matrix a subset and unit, and re-weights edges that there are: zero stays zero.
- Neighbours are gathered before channels are mixed, not after, with the same result: there are never more channels
  before. A neighbour brings the bias of its subset along, so a joint gets it as often as its edges weigh.
- Dropout follows the temporal convolution of every unit but the first, as in the authors' code.
- SE and CBAM come after the spatial convolution with its norm and ReLU, and before the temporal one. Both divide the
  channels by 16, and CBAM's map of places is a 7x7 convolution over frames and joints, as their papers have it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import adjacency
from models.layers import (
    Backbone,
    BackboneConfig,
    Place,
    StreamsRecogniser,
    draw_classifier,
    draw_convolution,
    temporal_conv,
)
from models.registry import Task, register
from pipeline.layouts import Layout

CHANNEL_ATTENTIONS = ("none", "se", "cbam")
CBAM_KERNEL = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class StGcnConfig(BackboneConfig):
    """The paper's network by default.

    Without ``edge_importance`` every edge counts as the graph has it. ``unit_dropout`` is the paper's, inside units;
    ``dropout`` is before the classifier. ``channel_attention`` is one of ``CHANNEL_ATTENTIONS``, and ``reduction``
    divides the channels inside it.
    """

    temporal_kernel: int = 9
    edge_importance: bool = True
    unit_dropout: float = 0.5
    channel_attention: str = "none"
    reduction: int = 16

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        if self.channel_attention not in CHANNEL_ATTENTIONS:
            raise ValueError(
                f"channel_attention {self.channel_attention!r}: expected one of {', '.join(CHANNEL_ATTENTIONS)}"
            )


class SpatialConv(nn.Module):
    """Eq. (2): relu(norm(sum_j W_j x (A_j o M_j))), A given and normalised, M learned."""

    A: Tensor

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, edge_importance: bool) -> None:
        super().__init__()
        A = torch.from_numpy(adjacency(layout))  # [P, V, V]
        self.register_buffer("A", A)
        self.M = nn.Parameter(torch.ones_like(A)) if edge_importance else None
        self.project = nn.Conv2d(len(A) * channels, out_channels, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(A), out_channels))
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Gather each subset's neighbours, then mix channels."""
        B, C, T, V = x.shape
        A = self.A if self.M is None else self.A * self.M
        gathered = x.reshape(B, 1, C * T, V) @ A  # [B, P, C*T, V]
        bias = self.bias.t() @ A.sum(dim=1)  # [C2, V]
        return F.relu(self.norm(self.project(gathered.reshape(B, len(A) * C, T, V)) + bias.unsqueeze(1)))


class SqueezeExcitation(nn.Module):
    """SE, eqs. (2) to (4) of Hu et al.: weigh channels by what all of them are on average."""

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        self.excite = narrow_mlp(channels, reduction)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Return x, each channel weighed."""
        weight = torch.sigmoid(self.excite(x.mean(dim=(2, 3))))
        return x * weight[:, :, None, None]


class BlockAttention(nn.Module):
    """CBAM, eqs. (2) and (3) of Woo et al.: weigh channels, then places, each by means and maxima."""

    def __init__(self, channels: int, *, reduction: int) -> None:
        super().__init__()
        self.excite = narrow_mlp(channels, reduction)
        self.place = nn.Conv2d(2, 1, CBAM_KERNEL, padding=CBAM_KERNEL // 2, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Return x, each channel weighed, then each joint of each frame."""
        weight = self.excite(x.mean(dim=(2, 3))) + self.excite(x.amax(dim=(2, 3)))
        x = x * torch.sigmoid(weight)[:, :, None, None]
        places = torch.stack([x.mean(dim=1), x.amax(dim=1)], dim=1)  # [B, 2, T, V]
        return x * torch.sigmoid(self.norm(self.place(places)))


def narrow_mlp(channels: int, reduction: int) -> nn.Module:
    """Return two layers with ``channels / reduction`` between them, at least one."""
    narrow = max(channels // reduction, 1)
    return nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels))


def channel_attention(name: str, channels: int, *, reduction: int) -> nn.Module:
    """Return one of ``CHANNEL_ATTENTIONS``."""
    if name == "se":
        return SqueezeExcitation(channels, reduction=reduction)
    if name == "cbam":
        return BlockAttention(channels, reduction=reduction)
    return nn.Identity()


def layers_of(place: Place, layout: Layout, config: StGcnConfig) -> tuple[nn.Module, nn.Module]:
    """Return the spatial and the temporal layer of a unit."""
    channels = place.out_channels
    spatial = nn.Sequential(
        SpatialConv(place.channels, channels, layout, edge_importance=config.edge_importance),
        channel_attention(config.channel_attention, channels, reduction=config.reduction),
    )
    temporal = temporal_conv(channels, channels, kernel=config.temporal_kernel, stride=place.stride)
    return spatial, temporal.append(nn.Dropout(config.unit_dropout if place.number else 0.0))


@register("stgcn", config=StGcnConfig)
class StGcn(StreamsRecogniser):
    """ST-GCN with one backbone a stream; the paper's only stream is joint."""

    def __init__(self, task: Task, config: StGcnConfig) -> None:
        super().__init__(
            task, config, lambda: Backbone(task, config, lambda place: layers_of(place, task.layout, config))
        )
        self.apply(initialise)


def initialise(module: nn.Module) -> None:
    """Draw convolutions as He et al. (fan out); the classifier narrowly, so that the first loss is log K."""
    draw_convolution(module)
    if isinstance(module, Backbone):
        draw_classifier(module.classify)
