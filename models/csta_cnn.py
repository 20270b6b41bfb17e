"""CSTA-CNN: a small image network on skeletons, which first weighs joints and frames, and their products.

J. Wang, "Learning Coupled Spatial-temporal Attention for Skeleton-based Action Recognition", 2019,
https://arxiv.org/abs/1909.10214 (section 2; equation and table numbers are its). Skeleton transformer, streams and
people after C. Li, Q. Zhong, D. Xie and S. Pu, "Skeleton-based Action Recognition with Convolutional Neural Networks",
ICME Workshops 2017, https://arxiv.org/abs/1704.07595 (the paper's [15]).

What differs, and where the paper is silent:

- Clips may have any number of frames: they are resampled, linearly between frames, to the 30 that the attention's
  weights are for. Clips of 30 frames stay as they are.
- sigma of eq. (1) is a sigmoid, divided by its mean over the clip's joints (frames): an average joint then counts 1,
  and the coordinates keep their size. "Plain" leaves the mean where it is.
- The motion of the last frame is zero, so that there are 30 as well.
- Convolutions have 64, 128 and 256 channels and 3x3 kernels, each followed by ReLU and a maximum over 2x2; there are 30
  interpolated joints, and 256 and 128 channels in the layers before the last. None of it is in the paper.
- Each person is seen alone, and the features' maximum over all taken, as in Li et al.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.registry import Recogniser, Task, register
from models.streams import motion

ATTENTION = ("spatial", "temporal")
KERNEL = 3
POOL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CstaCnnConfig:
    """The paper's network by default.

    ``attention`` names what is weighed: table 3's "without S" is ("temporal",), "without ST" is (). ``activation`` is
    sigma, "balanced" to a mean of 1 or "plain". ``widths`` multiply ``base_channels``, one for each convolution;
    ``hidden`` are the channels between the features and the classes. ``num_coordinates`` of the input's channels are x,
    y (z), the rest scores, which have no motion.
    """

    num_coordinates: int = 2
    num_frames: int = 30
    num_joints: int = 30
    base_channels: int = 64
    widths: tuple[int, ...] = (1, 2, 4)
    hidden: tuple[int, ...] = (256, 128)
    attention: tuple[str, ...] = ATTENTION
    activation: str = "balanced"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not set(self.attention) <= set(ATTENTION):
            raise ValueError(f"attention {self.attention}: expected some of {', '.join(ATTENTION)}")
        if self.activation not in ("balanced", "plain"):
            raise ValueError(f"activation {self.activation!r}: expected 'balanced' or 'plain'")
        if min(self.num_frames, self.num_joints) < POOL ** len(self.widths):
            raise ValueError(
                f"{self.num_frames} frames, {self.num_joints} joints: expected {POOL ** len(self.widths)} or more, for "
                f"{len(self.widths)} convolutions leave nothing of less"
            )


def resample(x: Float32[Tensor, "N T M V C"], num_frames: int) -> Float32[Tensor, "N T2 M V C"]:
    """Return so many frames at even distances from the first to the last, each between its two neighbours.

    Positions are counted in steps of 1 / (num_frames - 1) frame, so that they are whole numbers.
    """
    T, steps = x.shape[1], num_frames - 1
    positions = torch.arange(num_frames, device=x.device) * (T - 1)
    frames = torch.arange(T, device=x.device) * steps
    weights = (1 - (positions[:, None] - frames).abs() / steps).clamp_min(0).to(x.dtype)  # [T2, T]
    return torch.einsum("st,ntmvc->nsmvc", weights, x)


class Weigher(nn.Module):
    """Eq. (1): a weight for each of the items that a clip is made of, w_i = sigma(W y_i + b_i)."""

    def __init__(self, num_items: int, num_values: int, *, balanced: bool) -> None:
        super().__init__()
        self.W = nn.Linear(num_values, 1, bias=False)
        self.b = nn.Parameter(torch.zeros(num_items))
        self.balanced = balanced

    def forward(self, y: Float32[Tensor, "B items values"]) -> Float32[Tensor, "B items"]:
        """Weigh."""
        weights = torch.sigmoid(self.W(y).squeeze(2) + self.b)
        return weights / weights.mean(dim=1, keepdim=True) if self.balanced else weights


class CoupledAttention(nn.Module):
    """CSTA, eqs. (1) to (3): joints and frames are weighed apart, and their products weigh each joint of each frame."""

    def __init__(self, num_joints: int, num_channels: int, config: CstaCnnConfig) -> None:
        super().__init__()
        T, balanced = config.num_frames, config.activation == "balanced"
        spatial, temporal = (name in config.attention for name in ATTENTION)
        self.spatial = Weigher(num_joints, T * num_channels, balanced=balanced) if spatial else None
        self.temporal = Weigher(T, num_joints * num_channels, balanced=balanced) if temporal else None

    def forward(self, x: Float32[Tensor, "B T V C"]) -> Float32[Tensor, "B T V C"]:
        """Return the weighed coordinates."""
        weighed = x  # Eqs. (2) and (3): M o X, where M is the outer product of t and s
        if self.spatial:
            weighed = weighed * self.spatial(x.transpose(1, 2).flatten(2))[:, None, :, None]
        if self.temporal:
            weighed = weighed * self.temporal(x.flatten(2))[:, :, None, None]
        return weighed


def max_pool(x: Float32[Tensor, "B C H W"], size: int = POOL) -> Float32[Tensor, "B C H2 W2"]:
    """Take the maximum of each square; what is left over at the end does not count.

    Pooling layers say the same, but their gradients cannot be exported.
    """
    B, C, height, width = x.shape
    rows, columns = height // size, width // size
    squares = x[:, :, : rows * size, : columns * size].reshape(B, C, rows, size, columns, size)
    return squares.amax(dim=(3, 5))


class Branch(nn.Module):
    """One stream, positions or motion: CSTA, skeleton transformer, and convolutions over frames and joints."""

    def __init__(self, task: Task, config: CstaCnnConfig) -> None:
        super().__init__()
        num_joints = len(task.layout)
        channels = [task.num_channels, *(config.base_channels * width for width in config.widths)]
        self.attend = CoupledAttention(num_joints, task.num_channels, config)
        self.transform = nn.Linear(num_joints, config.num_joints, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, wider, KERNEL, padding=KERNEL // 2) for width, wider in pairwise(channels)
        )

    def forward(self, x: Float32[Tensor, "B T V C"]) -> Float32[Tensor, "B features"]:
        """Return features."""
        y: Tensor = self.transform(self.attend(x).permute(0, 3, 1, 2))  # [B, C, T, V2]
        for convolve in self.convolutions:
            y = max_pool(F.relu(convolve(y)))
        return y.flatten(1)


@register("csta_cnn", config=CstaCnnConfig)
class CstaCnn(Recogniser):
    """CSTA-CNN: a branch for positions and one for motion, joined before the last layers (fig. 2)."""

    def __init__(self, task: Task, config: CstaCnnConfig) -> None:
        super().__init__()
        self.config = config
        self.position, self.motion = Branch(task, config), Branch(task, config)
        area = config.num_frames // POOL ** len(config.widths) * (config.num_joints // POOL ** len(config.widths))
        channels = [2 * area * config.base_channels * config.widths[-1], *config.hidden]
        layers: list[nn.Module] = []
        for width, wider in pairwise(channels):
            layers += [nn.Linear(width, wider), nn.ReLU(), nn.Dropout(config.dropout)]
        self.classify = nn.Sequential(*layers, nn.Linear(channels[-1], task.num_classes))

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N K"]:
        """Return logits; everybody is seen alone until the maximum over people."""
        x = resample(x, self.config.num_frames)
        N, T, M, V, C = x.shape
        moved = motion(x[..., : self.config.num_coordinates])
        moved = torch.cat([moved, x[..., self.config.num_coordinates :]], dim=-1)
        position, motions = (values.transpose(1, 2).reshape(N * M, T, V, C) for values in (x, moved))
        features = torch.cat([self.position(position), self.motion(motions)], dim=1)
        logits: Tensor = self.classify(features.reshape(N, M, features.shape[1]).amax(dim=1))
        return logits
