"""What the recognisers of heatmap volumes share: convolutions with batch norm, the classifier, and the explanation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.heatmap import HeatmapConfig, Heatmaps
from models.layers import draw_classifier, draw_convolution
from models.registry import Recogniser, Task, shares

Size = tuple[int, int, int]  # frames, rows, columns

# A mean over frames that are all alike is not quite one of them.
ROUNDING = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeConfig(HeatmapConfig):
    """What these networks have in common besides their pictures."""

    base_channels: int = 32
    dropout: float = 0.5


class ConvNorm(nn.Module):
    """A 3D convolution that keeps the size but for its stride, batch norm, and ReLU unless ``linear``."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel: Size,
        *,
        stride: Size = (1, 1, 1),
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = conv3d(channels, out_channels, kernel, stride=stride, groups=groups)
        self.norm = nn.BatchNorm3d(out_channels)
        self.linear = linear

    def forward(self, x: Float32[Tensor, "N C T H W"]) -> Float32[Tensor, "N C2 T2 H2 W2"]:
        """Convolve and normalise."""
        y: Tensor = self.norm(self.conv(x))
        return y if self.linear else F.relu(y)


def conv3d(channels: int, out_channels: int, kernel: Size, *, stride: Size = (1, 1, 1), groups: int = 1) -> nn.Conv3d:
    """Return a convolution without bias that keeps the size but for its stride."""
    margins = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(channels, out_channels, kernel, stride=stride, padding=margins, groups=groups, bias=False)


class VolumeRecogniser(Recogniser):
    """Heatmaps, a backbone of 3D convolutions, the mean over frames and pixels, and a linear classifier.

    ``build`` makes the backbone for that many channels of a volume; it puts out ``channels``, each of whose places
    stands for ``strides`` frames and rows (and columns), a power of two.
    """

    def __init__(
        self,
        task: Task,
        config: VolumeConfig,
        build: Callable[[int], nn.Module],
        *,
        channels: int,
        strides: tuple[int, int],
    ) -> None:
        super().__init__()
        self.strides = strides
        self.heatmaps = Heatmaps(task.layout, config)
        self.backbone = build(self.heatmaps.num_channels)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(channels, task.num_classes)

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N K"]:
        """Draw the clips, and recognise what is drawn."""
        return self.recognise(self.heatmaps(x))

    def recognise(self, volumes: Float32[Tensor, "N J T H W"]) -> Float32[Tensor, "N K"]:
        """Return logits of volumes that are drawn already."""
        return self._logits(self.backbone(volumes))

    def _logits(self, features: Float32[Tensor, "N C T2 H2 W2"]) -> Float32[Tensor, "N K"]:
        logits: Tensor = self.classify(self.dropout(features.mean(dim=(2, 3, 4))))
        return logits

    @torch.no_grad()
    def explain(
        self, x: Float32[Tensor, "N T M V C"]
    ) -> tuple[Float32[Tensor, "N K"], Float32[Tensor, "N T"], Float32[Tensor, "N V"]]:
        """Return logits, and how much each frame and each joint speaks for the winning class; both sum to 1.

        A picture says where, so class activation can be read off under the joints. The winner's lead over the mean of
        all classes is a sum over the places of the last features (Zhou et al., CVPR 2016); a joint of a frame gets what
        the places say over which it is drawn otherwise than on average. The gradient that other recognisers are
        explained by asks the same question, and would cost these two more passes.
        """
        volumes = self.heatmaps(x)
        features = self.backbone(volumes)  # [N, C, T2, H2, W2]
        logits = self._logits(features)
        frames = torch.arange(x.shape[1], device=x.device) // self.strides[0]
        activation = self._activation(features, logits).index_select(1, frames)  # [N, T, H2, W2]
        effect = (activation.unsqueeze(1) * self._movement(volumes)).sum(dim=(3, 4))  # [N, J, T]
        joints = torch.einsum("njt,jv->ntv", effect, self.heatmaps.credit)
        return logits, shares(joints.sum(dim=2)), shares(joints.sum(dim=1))

    def _activation(
        self, features: Float32[Tensor, "N C T2 H2 W2"], logits: Float32[Tensor, "N K"]
    ) -> Float32[Tensor, "N T2 H2 W2"]:
        """Return how much each place says for or against the winner."""
        weight = self.classify.weight
        lead = weight.index_select(0, logits.argmax(dim=1)) - weight.mean(dim=0)  # [N, C]
        return torch.einsum("nc,ncthw->nthw", lead, features).abs()

    def _movement(self, volumes: Float32[Tensor, "N J T H W"]) -> Float32[Tensor, "N J T H2 W2"]:
        """Return how much of each picture, under each place, is not as it is on average over time."""
        stride = self.strides[1]
        moved = F.relu((volumes - volumes.mean(dim=2, keepdim=True)).abs() - ROUNDING)
        margin = -moved.shape[4] % stride
        padded = F.pad(moved, (0, margin, 0, margin))
        return F.avg_pool3d(padded, (1, stride, stride)) * stride**2


def initialise(module: nn.Module) -> None:
    """Draw convolutions as He et al. (fan out), and the classifier narrowly, so that the first loss is log K."""
    draw_convolution(module)
    if isinstance(module, nn.Linear):
        draw_classifier(module)


def begin_as_shortcut(branch: nn.Sequential) -> None:
    """Let a branch that ends in a batch norm begin at zero, so that only the shortcut counts, as the authors do."""
    last = branch.get_submodule("restore.norm")
    assert isinstance(last, nn.BatchNorm3d)
    nn.init.zeros_(last.weight)
