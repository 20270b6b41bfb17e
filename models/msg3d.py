"""MS-G3D: graph convolutions at many distances at once, over single frames and over windows of frames.

Z. Liu, H. Zhang, Z. Chen, Z. Wang and W. Ouyang, "Disentangling and Unifying Graph Convolutions for Skeleton-Based
Action Recognition", CVPR 2020, https://arxiv.org/abs/2003.14111 (sections 3.2 to 4; equation numbers are its).

What differs, and where the paper is silent:

- Numbers are those of the authors' code: 13 scales in space and 6 in windows for NTU RGB+D, 8 and 8 for
  Kinetics-Skeleton (``gcn_scales``, ``g3d_scales``, distance 0 among them), windows of 3 and 5 frames, three blocks.
- Windows are undilated, as in the paper's best network, and padded with zeros at both ends.
- The first block widens at once; in the others the pathways do so only where they shorten time, as in the code.
- The first layers of the temporal branches are one layer (see ``models.layers.MultiScaleConv``), with the same result.
- Input norm is over people, joints and channels, as in the code: every seat of a clip has its own scale.
- Weights begin as torch draws them, as in the code.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import scale_adjacency
from models.layers import (
    BackboneConfig,
    InputNorm,
    MultiScaleConv,
    Place,
    StreamsRecogniser,
    places_of,
    shortcut,
)
from models.registry import Task, register
from pipeline.layouts import Layout

DILATIONS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Msg3dConfig(BackboneConfig):
    """The paper's network for NTU RGB+D by default.

    ``gcn_scales`` and ``g3d_scales`` are how many distances are told apart within a frame and within a window,
    ``windows`` the frames in each window, odd numbers. ``temporal_kernel`` is that of the temporal branches.
    """

    base_channels: int = 96
    widths: tuple[int, ...] = (1, 2, 4)
    strides: tuple[int, ...] = (1, 2, 2)
    gcn_scales: int = 13
    g3d_scales: int = 6
    windows: tuple[int, ...] = (3, 5)
    temporal_kernel: int = 3

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        if min(self.gcn_scales, self.g3d_scales) < 1:
            raise ValueError(f"{self.gcn_scales} and {self.g3d_scales} scales: expected at least one of each")
        if not all(size % 2 for size in self.windows):
            raise ValueError(f"windows of {self.windows} frames: expected odd numbers, so that each has a middle")


class ScaleConv(nn.Module):
    """Eqs. (4) and (7): relu(norm(sum_k (A_k + A_res,k) x W_k)), over the joints of a frame or of a window."""

    A: Tensor

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, num_scales: int, window: int = 1) -> None:
        super().__init__()
        A = torch.from_numpy(scale_adjacency(layout, num_scales, window=window))  # [K, W, W]
        self.register_buffer("A", A, persistent=False)
        self.A_res = nn.Parameter(torch.empty_like(A).uniform_(-1e-6, 1e-6))
        self.project = nn.Conv2d(num_scales * channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float32[Tensor, "B C T W"]) -> Float32[Tensor, "B C2 T W"]:
        """Gather at each distance, then mix channels."""
        B, C, T, W = x.shape
        A = self.A + self.A_res
        gathered = x.reshape(B, 1, C * T, W) @ A.transpose(1, 2)  # [B, K, C*T, W]
        y: Tensor = self.norm(self.project(gathered.reshape(B, len(A) * C, T, W)))
        return F.relu(y)


class TemporalScales(nn.Module):
    """MS-TCN (section 3.4): looks of several lengths side by side, added to the frames themselves."""

    def __init__(
        self, channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1, rectify: bool = True
    ) -> None:
        super().__init__()
        width = out_channels // (len(DILATIONS) + 2)
        widths = [*[width] * (len(DILATIONS) + 1), out_channels - width * (len(DILATIONS) + 1)]
        self.looks = MultiScaleConv(channels, widths, kernel=kernel, dilations=DILATIONS, stride=stride)
        self.shortcut = shortcut(channels, out_channels, stride)
        self.rectify = rectify

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Look, and add the way around; what ends a pathway is rectified together with the others."""
        y: Tensor = self.looks(x) + self.shortcut(x)
        return F.relu(y) if self.rectify else y


class WindowConv(nn.Module):
    """G3D (section 3.3): a graph convolution over windows of frames, each of which then becomes a frame."""

    def __init__(self, place: Place, hidden: int, layout: Layout, *, num_scales: int, window: int) -> None:
        super().__init__()
        self.window, self.stride = window, place.stride
        self.gather = ScaleConv(place.channels, hidden, layout, num_scales=num_scales, window=window)
        self.collapse = nn.Conv3d(hidden, place.out_channels, (1, window, 1))
        self.norm = nn.BatchNorm2d(place.out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Convolve, without rectifying: the pathways are added first."""
        around = windows(x, self.window, stride=self.stride, before=self.window // 2)
        y = self.gather(around.flatten(3)).unflatten(3, around.shape[3:])  # [B, C, T2, window, V]
        collapsed: Tensor = self.norm(self.collapse(y).squeeze(3))
        return collapsed


def windows(
    x: Float32[Tensor, "B C T V"], size: int, *, stride: int = 1, before: int = 0
) -> Float32[Tensor, "B C T2 size V"]:
    """Return the frames about every ``stride``-th frame, ``before`` of them before it; zeros beyond both ends."""
    T = x.shape[2]
    padded = F.pad(x, (0, 0, before, size - 1 - before))
    return torch.stack([padded[:, :, begin : begin + T : stride] for begin in range(size)], dim=3)


class Sum(nn.ModuleList):
    """Layers side by side, added up."""

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Add."""
        y: Tensor = sum(layer(x) for layer in self)
        return y


class Block(nn.Module):
    """STGC (fig. 3): a factorised pathway, space and then time, beside one over windows, and time once more."""

    def __init__(self, factorised: Iterable[nn.Module], unified: nn.Module, temporal: nn.Module) -> None:
        super().__init__()
        self.factorised = nn.Sequential(*factorised)
        self.unified = unified
        self.temporal = temporal

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Add the pathways, rectify, and look over time."""
        y: Tensor = self.temporal(F.relu(self.factorised(x) + self.unified(x)))
        return y


def hidden_channels(place: Place) -> int:
    """Return the channels after a block's graph convolutions: its last in the first block, else its first."""
    return place.channels if place.number else place.out_channels


def window_convs(place: Place, layout: Layout, config: Msg3dConfig) -> nn.Module:
    """Return MS-G3D: one convolution for each length of window."""
    hidden = hidden_channels(place)
    return Sum(
        WindowConv(place, hidden, layout, num_scales=config.g3d_scales, window=window) for window in config.windows
    )


def block(place: Place, layout: Layout, config: Msg3dConfig) -> nn.Module:
    """Return the block at that place."""
    hidden, width, kernel = hidden_channels(place), place.out_channels, config.temporal_kernel
    factorised = (
        ScaleConv(place.channels, hidden, layout, num_scales=config.gcn_scales),
        TemporalScales(hidden, width, kernel=kernel, stride=place.stride),
        TemporalScales(width, width, kernel=kernel, rectify=False),
    )
    return Block(factorised, window_convs(place, layout, config), TemporalScales(width, width, kernel=kernel))


class Backbone(nn.Module):
    """One stream: input norm, blocks, and a linear classifier on what the features are on average."""

    def __init__(self, task: Task, config: BackboneConfig, build: Callable[[Place], nn.Module]) -> None:
        super().__init__()
        places = list(places_of(task, config))
        self.norm = InputNorm(task, people_apart=True)
        self.blocks = nn.Sequential(*map(build, places))
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(places[-1].out_channels, task.num_classes)

    def forward(self, x: Float32[Tensor, "N T M V C"], presence: Float32[Tensor, "N M"]) -> Float32[Tensor, "N K"]:
        """Return logits; people count by their weights."""
        people = self.blocks(self.norm(x)).mean(dim=(2, 3)).unflatten(0, presence.shape)  # [N, M, C2]
        logits: Tensor = self.classify(self.dropout((people * presence.unsqueeze(2)).sum(dim=1)))
        return logits


@register("msg3d", config=Msg3dConfig)
class Msg3d(StreamsRecogniser):
    """MS-G3D with one backbone a stream; the paper's two are joint and bone (section 4.2)."""

    def __init__(self, task: Task, config: Msg3dConfig) -> None:
        super().__init__(task, config, lambda: Backbone(task, config, lambda place: block(place, task.layout, config)))
