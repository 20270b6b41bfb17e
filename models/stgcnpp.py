"""ST-GCN++: ST-GCN with a learned graph, several temporal scales, and a way around the graph convolution.

H. Duan, J. Wang, K. Chen and D. Lin, "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022,
https://arxiv.org/abs/2205.09443. Temporal branches after MS-G3D (Liu et al., CVPR 2020).

What differs, and where the paper is silent:

- The first layers of the temporal branches are one layer (see ``models.layers.MultiScaleConv``), with the same result.
- Neighbours are gathered before channels are mixed, not after, with the same result: there are never more channels
  before. A neighbour brings the bias of its subset along, so a joint gets it as often as its edges weigh.
- The graph is the one of the authors' code (see ``models.graph.directed_adjacency``), and all of it is learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import directed_adjacency
from models.layers import Backbone, BackboneConfig, MultiScaleConv, Place, StreamsRecogniser, draw_classifier, shortcut
from models.registry import Task, register
from pipeline.layouts import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class StGcnPpConfig(BackboneConfig):
    """The paper's network by default.

    ``temporal_kernel`` and ``dilations`` are those of the temporal branches, beside which there are always a maximum
    and the frame alone. Without ``spatial_shortcut`` nothing leads around the graph convolution, as in ST-GCN.
    """

    temporal_kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    spatial_shortcut: bool = True


class SpatialConv(nn.Module):
    """relu(norm(sum_k W_k x A_k) + x), A learned."""

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, spatial_shortcut: bool) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.from_numpy(directed_adjacency(layout)))  # [P, V, V]
        self.project = nn.Conv2d(len(self.A) * channels, out_channels, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(self.A), out_channels))
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(channels, out_channels) if spatial_shortcut else None

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Gather each subset's neighbours, then mix channels."""
        B, C, T, V = x.shape
        gathered = x.reshape(B, 1, C * T, V) @ self.A  # [B, P, C*T, V]
        bias = self.bias.t() @ self.A.sum(dim=1)  # [C2, V]
        y = self.norm(self.project(gathered.reshape(B, self.project.in_channels, T, V)) + bias.unsqueeze(1))
        return F.relu(y + self.shortcut(x) if self.shortcut else y)


def branch_widths(channels: int, num_branches: int) -> Sequence[int]:
    """Share channels out among branches; the first takes what is left over."""
    width = channels // num_branches
    return [channels - width * (num_branches - 1), *[width] * (num_branches - 1)]


def multi_scale_conv(channels: int, config: StGcnPpConfig, *, stride: int) -> nn.Module:
    """Return the temporal layer: branches, and a 1x1 convolution that mixes them."""
    widths = branch_widths(channels, len(config.dilations) + 2)
    return nn.Sequential(
        MultiScaleConv(channels, widths, kernel=config.temporal_kernel, dilations=config.dilations, stride=stride),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1),
        nn.BatchNorm2d(channels),
    )


@register("stgcnpp", config=StGcnPpConfig)
class StGcnPp(StreamsRecogniser):
    """ST-GCN++ with one backbone a stream; the paper's four are joint, bone, and the motion of both."""

    def __init__(self, task: Task, config: StGcnPpConfig) -> None:
        def layers(place: Place) -> tuple[nn.Module, nn.Module]:
            spatial = SpatialConv(
                place.channels, place.out_channels, task.layout, spatial_shortcut=config.spatial_shortcut
            )
            return spatial, multi_scale_conv(place.out_channels, config, stride=place.stride)

        super().__init__(task, config, lambda: Backbone(task, config, layers))
        self.apply(initialise)


def initialise(module: nn.Module) -> None:
    """Draw the classifier narrowly, so that the first loss is log K; the rest is drawn as torch does, as in PYSKL."""
    if isinstance(module, Backbone):
        draw_classifier(module.classify)
