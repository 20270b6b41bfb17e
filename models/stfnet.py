"""STF-Net: a graph convolution network that focuses on related body parts (MCF) and on telling moments (TDF).

L. Wu, C. Zhang and Y. Zou, "SpatioTemporal Focus for Skeleton-based Action Recognition", Pattern Recognition 136, 2023,
https://arxiv.org/abs/2203.16767. Graph and partition after ST-GCN (Yan et al., AAAI 2018), G_a after 2s-AGCN.

Where the paper is silent or ambiguous:

- The block's 9x1 temporal convolution has C/4 groups (the "cardinality" of section III.C), and TDF's convolutions are
  dense with kernel 5: that counts 1.7 M parameters for NTU-60 as the paper says; a dense 9x1 would count 3.9 M.
- TDF on motion differences (ME in fig. 2) is an argument, off by default: the paper tries it with kernel 3.
- MCF's similarities are divided by sqrt(C/alpha * T), as in the attention paper that it cites: sums over hundreds of
  products would saturate the softmax, and more so the longer the clip.
- Part features are means over the part's joints; the paper's p_i is only called a mapping.

An explanation takes MCF's and TDF's attention as constants: it asks what was looked at, and not where one would have
looked had a joint stood elsewhere (Ali et al., "XAI for Transformers", ICML 2022). It points at joints that matter as
much to the winner as those that the whole gradient points at, and takes a fifth less time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import GRAINS, adjacency, part_pooling
from models.layers import BackboneConfig, StreamsRecogniser, draw_classifier, draw_convolution
from models.registry import Task, register
from pipeline.layouts import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class StfNetConfig(BackboneConfig):
    """The paper's network by default; each field is one of its ablations, or a width.

    Blocks are numbered from 0, the beginning block, which never has MCF or TDF. ``alpha`` and ``reduction`` (the
    paper's r) divide the channels inside MCF and TDF; ``group_width`` is the channels in a group of the temporal
    convolution. Without ``graph_mask`` (G_a), MCF and TDF it is the ST-GCN that the authors implemented themselves
    (table IV).
    """

    temporal_kernel: int = 9
    group_width: int = 4
    mcf_blocks: tuple[int, ...] = (4, 5, 6, 7, 8, 9)
    grains: tuple[str, ...] = GRAINS
    graph_mask: bool = True
    alpha: int = 4
    tdf: bool = True
    tdf_kernel: int = 5
    tdf_motion: bool = False
    reduction: int = 4


def shortcut(channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Return the way around a layer: nothing at all, or a strided 1x1 convolution where the shape changes."""
    if (channels, stride) == (out_channels, 1):
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(out_channels)
    )


class SpatialConv(nn.Module):
    """SCN, eq. (2): x' = relu(sum_i (G_i + G_a,i) x W_i + x), G_a learned and initialised to G_i; eq. (1) without it.

    The sum with x is in neither, but in the unit of 2s-AGCN that it is "based on", and in the parameter count.
    """

    G: Tensor

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, graph_mask: bool) -> None:
        super().__init__()
        G = torch.from_numpy(adjacency(layout))  # [P, V, V]
        self.register_buffer("G", G, persistent=False)
        self.G_a = nn.Parameter(G.clone()) if graph_mask else None
        self.project = nn.Conv2d(len(G) * channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(channels, out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Gather each subset's neighbours, then mix channels: W_i and G_i commute, and C is never above C2.

        Joints and channels lie last in memory (channels_last): the gathering is then one small matrix product a frame,
        and nothing is copied.
        """
        B, C, T, V = x.shape
        G = self.G if self.G_a is None else self.G + self.G_a
        A = G.permute(2, 0, 1).reshape(-1, V)  # [V*P, V], a row for each taker and subset
        frames = x.permute(0, 2, 3, 1).reshape(B * T, V, C)
        neighbours = torch.bmm(A.expand(B * T, -1, -1), frames).reshape(B, T, V, len(self.G) * C)
        y = self.norm(self.project(neighbours.permute(0, 3, 1, 2)))
        return F.relu(y + self.shortcut(x))


class ContextFocus(nn.Module):
    """MCF, eqs. (3)-(7): each joint attends to the joints and the parts of the whole body, over the whole clip.

    Pooling over parts is linear, so p_i(phi) and p_i(theta) are never made: the joints' similarities are pooled
    instead, and the grains' attention is added up in one V x V matrix before it is applied.
    """

    pooling: Tensor

    def __init__(self, channels: int, layout: Layout, *, grains: Sequence[str], alpha: int) -> None:
        super().__init__()
        narrow = channels // alpha
        pooling = [torch.from_numpy(part_pooling(layout, grain)) for grain in grains]
        self.sizes = [len(rows) for rows in pooling]
        self.settled = False
        self.register_buffer("pooling", torch.cat(pooling), persistent=False)  # [parts of all grains, V]
        self.reduce = nn.Conv2d(channels, narrow, 1)
        self.gamma_phi_theta = nn.Conv2d(narrow, 3 * narrow, 1)
        self.omega = nn.Parameter(torch.full((len(grains),), 1 / len(grains)))
        self.restore = nn.Conv2d(narrow, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Add to each joint what its context says."""
        gamma, phi, theta = self.gamma_phi_theta(self.reduce(x)).chunk(3, dim=1)  # Eq. (4), each [B, c, T, V]
        attention = self.attention(gamma, phi)
        attention = attention.detach() if self.settled else attention
        context = theta @ attention.transpose(1, 2).unsqueeze(1)  # Eqs. (6), (7): [B, c, T, V]
        focus: Tensor = self.norm(self.restore(context))
        return x + focus

    def attention(self, gamma: Float32[Tensor, "B c T V"], phi: Float32[Tensor, "B c T V"]) -> Float32[Tensor, "B V V"]:
        """Return what joint v takes from joint w, over all grains: sum_i omega_i softmax_i(v) p_i."""
        query, key = gamma.flatten(1, 2), phi.flatten(1, 2)  # [B, c*T, V]
        similarity = query.transpose(1, 2) @ key @ self.pooling.t() * query.shape[1] ** -0.5  # Eq. (5): [B, V, parts]
        shares = [part.softmax(dim=-1) for part in similarity.split(self.sizes, dim=-1)]  # Eq. (3)
        weighed = [omega * share for omega, share in zip(self.omega.unbind(), shares, strict=True)]
        return torch.cat(weighed, dim=-1) @ self.pooling


class MomentFocus(nn.Module):
    """TDF, eqs. (8) and (9): excite the channels at the moments that tell."""

    def __init__(self, channels: int, *, reduction: int, kernel: int, motion: bool) -> None:
        super().__init__()
        self.motion, self.settled = motion, False
        narrow = channels // reduction
        self.squeeze = nn.Conv1d(channels, narrow, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(narrow)
        self.excite = nn.Conv1d(narrow, channels, kernel, padding=kernel // 2)

    def forward(self, y: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Return y + y * weight, the same weight for all joints of a frame."""
        profile = y.mean(dim=3)  # Eq. (8): [B, C, T]
        if self.motion:
            profile = F.pad(profile[..., 1:] - profile[..., :-1], (0, 1))
        weight = torch.sigmoid(self.excite(F.relu(self.norm(self.squeeze(profile)))))  # Eq. (9)
        weight = weight.detach() if self.settled else weight
        return y * (1 + weight).unsqueeze(3)


class TemporalConv(nn.Module):
    """A grouped convolution over time, each joint by itself, and batch norm."""

    def __init__(self, channels: int, *, kernel: int, stride: int, group_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels,
            channels,
            (kernel, 1),
            stride=(stride, 1),
            padding=(kernel // 2, 0),
            groups=channels // group_width,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T2 V"]:
        """Convolve."""
        y: Tensor = self.norm(self.conv(x))
        return y


class Block(nn.Module):
    """One res-layer of fig. 2: SCN, MCF, TDF, temporal convolution, and the way around them."""

    def __init__(self, number: int, channels: int, layout: Layout, config: StfNetConfig) -> None:
        super().__init__()
        out_channels, stride = config.base_channels * config.widths[number], config.strides[number]
        layers: list[nn.Module] = [SpatialConv(channels, out_channels, layout, graph_mask=config.graph_mask)]
        if number and number in config.mcf_blocks:
            layers.append(ContextFocus(out_channels, layout, grains=config.grains, alpha=config.alpha))
        if number and config.tdf:
            layers.append(
                MomentFocus(
                    out_channels, reduction=config.reduction, kernel=config.tdf_kernel, motion=config.tdf_motion
                )
            )
        layers.append(
            TemporalConv(out_channels, kernel=config.temporal_kernel, stride=stride, group_width=config.group_width)
        )
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut(channels, out_channels, stride) if number else None

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Run the layers and add the shortcut; the beginning block has none, as in ST-GCN."""
        y = self.layers(x)
        return F.relu(y + self.shortcut(x) if self.shortcut else y)


class Backbone(nn.Module):
    """One stream: input norm over V*C, the blocks, and a linear classifier on their mean."""

    def __init__(self, task: Task, config: StfNetConfig) -> None:
        super().__init__()
        channels = [task.num_channels, *(config.base_channels * width for width in config.widths)]
        self.norm = nn.BatchNorm1d(len(task.layout) * task.num_channels)
        self.blocks = nn.Sequential(
            *(Block(number, width, task.layout, config) for number, width in enumerate(channels[:-1]))
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(channels[-1], task.num_classes)

    def forward(self, x: Float32[Tensor, "N T M V C"], presence: Float32[Tensor, "N M"]) -> Float32[Tensor, "N K"]:
        """Return logits: what the features are on average, of people by their weights."""
        N, T, M, V, C = x.shape
        x = x.permute(0, 2, 3, 4, 1).reshape(N * M, V * C, T)
        x = self.norm(x).reshape(N * M, V, C, T).permute(0, 2, 3, 1)  # [N*M, C, T, V]
        x = x.contiguous(memory_format=torch.channels_last)  # oneDNN's grouped convolutions are twice as fast on it
        people = self.blocks(x).mean(dim=(2, 3)).unflatten(0, (N, M))  # [N, M, C2]
        features = (people * presence.unsqueeze(2)).sum(dim=1)
        logits: Tensor = self.classify(self.dropout(features))
        return logits


@register("stfnet", config=StfNetConfig)
class StfNet(StreamsRecogniser):
    """STF-Net with one backbone a stream, whose probabilities are fused (section III.E: equal weights)."""

    def __init__(self, task: Task, config: StfNetConfig) -> None:
        super().__init__(task, config, lambda: Backbone(task, config))
        self.apply(initialise)

    def explain(
        self, x: Float32[Tensor, "N T M V C"]
    ) -> tuple[Float32[Tensor, "N K"], Float32[Tensor, "N T"], Float32[Tensor, "N V"]]:
        """Return logits, and how much each frame and each joint speaks for the winning class; both sum to 1.

        No gradient passes through attention.
        """
        with settled_attention(self):
            return super().explain(x)


@contextmanager
def settled_attention(model: nn.Module) -> Iterator[None]:
    """Let no gradient pass through the attention of a model's focuses, only through what they weigh."""
    focuses = [focus for focus in model.modules() if isinstance(focus, ContextFocus | MomentFocus)]
    for focus in focuses:
        focus.settled = True
    try:
        yield
    finally:
        for focus in focuses:
            focus.settled = False


def initialise(module: nn.Module) -> None:
    """Draw convolutions as He et al. (fan out), as ST-GCN; the classifier narrowly, so that the first loss is log K.

    MCF starts as the identity, as the non-local paper has it for blocks of its kind.
    """
    draw_convolution(module)
    if isinstance(module, nn.Linear):
        draw_classifier(module)
    if isinstance(module, ContextFocus):
        nn.init.zeros_(module.norm.weight)
