"""Layers that three recognisers or more share: the frame of ST-GCN and its descendants, and the ways over time in it.

ST-GCN (Yan et al., AAAI 2018) set the frame: batch norm over the joints, ten blocks of a spatial and a temporal layer
with a way around both, the mean over frames and joints, the mean over people, one linear classifier.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.ensemble import FusedRecogniser
from models.registry import Task
from models.streams import check_convention, check_streams, parents_of, stream_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneConfig:
    """What the descendants of ST-GCN have in common.

    ``weights`` are those of the streams, equal if there are none; ``convention`` says what their bones and scores are
    (see ``models.streams``). ``widths`` multiply ``base_channels``, one for each block. ``num_coordinates`` of the
    input's channels are x, y (z), the rest scores. ``people``: "mean" over all of a clip, as ST-GCN, or "present": over
    those that are not all zeros.
    """

    streams: tuple[str, ...] = ("joint",)
    weights: tuple[float, ...] = ()
    convention: str = "layout"
    num_coordinates: int = 2
    base_channels: int = 64
    widths: tuple[int, ...] = (1, 1, 1, 1, 2, 2, 2, 4, 4, 4)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    dropout: float = 0.0
    people: str = "mean"

    def __post_init__(self) -> None:
        check_streams(self.streams)
        check_convention(self.convention)
        if len(self.widths) != len(self.strides):
            raise ValueError(f"{len(self.widths)} widths and {len(self.strides)} strides: expected one of each a block")
        if self.people not in ("mean", "present"):
            raise ValueError(f"people {self.people!r}: expected 'mean' or 'present'")


def draw_convolution(module: nn.Module) -> None:
    """Draw a convolution as He et al. (fan out) with biases of zero; leave any other module alone."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def draw_classifier(classify: nn.Linear) -> None:
    """Draw a classifier narrowly, so that the first loss is log K."""
    nn.init.normal_(classify.weight, std=0.01)
    nn.init.zeros_(classify.bias)


def temporal_conv(
    channels: int, out_channels: int, *, kernel: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a convolution over time, each joint by itself, and batch norm; stride 1 keeps the number of frames."""
    margin = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels, out_channels, (kernel, 1), stride=(stride, 1), padding=(margin, 0), dilation=(dilation, 1)),
        nn.BatchNorm2d(out_channels),
    )


def shortcut(channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Return the way around a layer: nothing at all, or a strided 1x1 convolution where the shape changes."""
    if (channels, stride) == (out_channels, 1):
        return nn.Identity()
    return temporal_conv(channels, out_channels, kernel=1, stride=stride)


class MultiScaleConv(nn.Module):
    """Looks at the same frames side by side: dilated convolutions, a maximum over 3 frames, and the frame alone.

    MS-TCN of MS-G3D (Liu et al., CVPR 2020), whose branches all begin with a 1x1 convolution: the first
    layers of all but the last are one layer here. ``widths`` are the channels of each branch, two more than dilations.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], *, kernel: int, dilations: Sequence[int], stride: int = 1
    ) -> None:
        super().__init__()
        *windowed, alone = widths
        self.windowed, self.stride = windowed, stride
        self.enter = temporal_conv(channels, sum(windowed), kernel=1)
        self.windows = nn.ModuleList(
            nn.Conv2d(
                width,
                width,
                (kernel, 1),
                stride=(stride, 1),
                padding=(dilation * (kernel // 2), 0),
                dilation=(dilation, 1),
            )
            for width, dilation in zip(windowed[:-1], dilations, strict=True)
        )
        self.alone = nn.Conv2d(channels, alone, 1, stride=(stride, 1))
        self.norm = nn.BatchNorm2d(sum(widths))

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Return all looks, normalised but not rectified."""
        *parts, pooled = torch.split(F.relu(self.enter(x)), self.windowed, dim=1)
        looks = [window(part) for window, part in zip(self.windows, parts, strict=True)]
        y: Tensor = self.norm(torch.cat([*looks, self._maximum(pooled), self.alone(x)], dim=1))
        return y

    def _maximum(self, x: Tensor) -> Tensor:
        """Take the maximum over 3 frames; what comes in is not negative, so that zeros around it change nothing.

        Pooling layers say the same, but their gradients cannot be exported.
        """
        padded = F.pad(x, (0, 0, 1, 1))
        first, second, third = (
            padded[:, :, begin : padded.shape[2] - 2 + begin : self.stride] for begin in range(3)
        )  # [B, C, T2, V] each
        return torch.maximum(torch.maximum(first, second), third)


class InputNorm(nn.Module):
    """Batch norm over joints and channels, a scale for each; or also over people, each seat of a clip by itself."""

    def __init__(self, task: Task, *, people_apart: bool) -> None:
        super().__init__()
        self.people = task.num_people if people_apart else 1
        self.norm = nn.BatchNorm1d(self.people * len(task.layout) * task.num_channels)

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N*M C T V"]:
        """Normalise, and give each person a row."""
        N, T, M, V, C = x.shape
        rows = x.permute(0, 2, 3, 4, 1).reshape(N * M // self.people, self.people * V * C, T)
        y: Tensor = self.norm(rows)
        return y.reshape(N * M, V, C, T).permute(0, 2, 3, 1)


class Block(nn.Module):
    """A spatial and a temporal layer, and the way around both; the first block of a backbone has none."""

    def __init__(self, spatial: nn.Module, temporal: nn.Module, around: nn.Module | None) -> None:
        super().__init__()
        self.spatial, self.temporal, self.around = spatial, temporal, around

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Run the layers and add the way around."""
        y = self.temporal(self.spatial(x))
        return F.relu(y + self.around(x) if self.around else y)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a backbone a block is: counted from 0, its channels before and after, and its stride in time."""

    number: int
    channels: int
    out_channels: int
    stride: int


LayersBuilder = Callable[[Place], tuple[nn.Module, nn.Module]]  # the spatial and the temporal layer of a block


class Backbone(nn.Module):
    """One stream: input norm, blocks, and a linear classifier on what the features are on average."""

    def __init__(
        self, task: Task, config: BackboneConfig, layers: LayersBuilder, *, people_apart: bool = False
    ) -> None:
        super().__init__()
        places = list(places_of(task, config))
        self.norm = InputNorm(task, people_apart=people_apart)
        self.blocks = nn.Sequential(*(Block(*layers(place), way_around(place)) for place in places))
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(places[-1].out_channels, task.num_classes)

    def forward(self, x: Float32[Tensor, "N T M V C"], presence: Float32[Tensor, "N M"]) -> Float32[Tensor, "N K"]:
        """Return logits; people count by their weights."""
        people = self.blocks(self.norm(x)).mean(dim=(2, 3)).unflatten(0, presence.shape)  # [N, M, C2]
        logits: Tensor = self.classify(self.dropout((people * presence.unsqueeze(2)).sum(dim=1)))
        return logits


def places_of(task: Task, config: BackboneConfig) -> Iterator[Place]:
    """Return the place of each block."""
    channels = task.num_channels
    for number, (width, stride) in enumerate(zip(config.widths, config.strides, strict=True)):
        yield Place(number, channels, config.base_channels * width, stride)
        channels = config.base_channels * width


def way_around(place: Place) -> nn.Module | None:
    """Return the way around the block at that place; the first one has none, as in ST-GCN's code."""
    return shortcut(place.channels, place.out_channels, place.stride) if place.number else None


class StreamsRecogniser(FusedRecogniser):
    """A recogniser with one backbone a stream, whose probabilities are fused."""

    parents: Tensor

    def __init__(self, task: Task, config: BackboneConfig, build: Callable[[], nn.Module]) -> None:
        super().__init__(config.weights, len(config.streams))
        self.config = config
        self.register_buffer("parents", torch.tensor(parents_of(task.layout, config.convention)), persistent=False)
        self.backbones = nn.ModuleList(build() for _ in config.streams)

    def member_logits(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "members N K"]:
        """Return what each stream's backbone says."""
        presence = self._presence(x)
        return torch.stack(
            [
                backbone(self._stream(x, name), presence)
                for backbone, name in zip(self.backbones, self.config.streams, strict=True)
            ]
        )

    def _stream(self, x: Tensor, name: str) -> Tensor:
        config = self.config
        return stream_of(
            x, name, parents=self.parents, num_coordinates=config.num_coordinates, convention=config.convention
        )

    def _presence(self, x: Tensor) -> Tensor:
        """Weigh the people of each clip: [N, M], rows sum to 1."""
        present = torch.ones_like(x[:, 0, :, 0, 0])
        if self.config.people == "present":
            present = (x != 0).any(dim=4).any(dim=3).any(dim=1).to(x.dtype)
        return present / present.sum(dim=1, keepdim=True).clamp_min(1)
