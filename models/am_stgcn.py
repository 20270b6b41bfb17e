"""AM-STGCN: ST-GCN in which joints attend to joints far away, in the body and in time, by non-local blocks.

Y. Kong, L. Li, K. Zhang, Q. Ni and J. Han, "Attention module-based spatial-temporal graph convolutional networks for
skeleton-based action recognition", Journal of Electronic Imaging 28(4), 043032, 2019,
https://eprints.lancs.ac.uk/id/eprint/137355/. The block (section 3.2 and the right of fig. 2) is that of X. Wang,
R. Girshick, A. Gupta and K. He, "Non-local Neural Networks", CVPR 2018; equation numbers are theirs.

Where the paper is silent or ambiguous:

- It says that theta and phi are max-pooled 2x2. Pooled are phi and g, as in the paper that it cites: a pooled theta
  would change the output's size. Windows that stick out are kept, so that the last of an odd number of joints counts.
- After the spatial convolution "all nodes in one frame" attend: V x V, frame by frame, and nothing is pooled, for that
  would mix frames. After the temporal convolution all T * V places of a person attend.
- Similarities are not divided, and the last 1x1 convolution has a norm that begins at zero, as in Wang et al.: a new
  block changes nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import Backbone, Place, StreamsRecogniser
from models.registry import Task, register
from models.stgcn import StGcnConfig, initialise, layers_of
from pipeline.layouts import Layout

CONVOLUTIONS = ("s", "t")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmStGcnConfig(StGcnConfig):
    """The paper's best network by default: nine layers, three blocks after the temporal convolution of the third.

    ``attention`` lists (layer from 1, "s" or "t", number of blocks) as tables 2 to 6 do: (3, "t", 3) is "ST-GCN3's
    ConvT + 3". Table 7's other attentions are ``channel_attention``.
    """

    widths: tuple[int, ...] = (1, 1, 1, 2, 2, 2, 4, 4, 4)
    strides: tuple[int, ...] = (1, 1, 1, 2, 1, 1, 2, 1, 1)
    attention: tuple[tuple[int, str, int], ...] = ((3, "t", 3),)

    def __post_init__(self) -> None:
        StGcnConfig.__post_init__(self)
        for layer, convolution, count in self.attention:
            if not 1 <= layer <= len(self.widths) or convolution not in CONVOLUTIONS or count < 1:
                raise ValueError(
                    f"attention ({layer}, {convolution!r}, {count}): expected a layer from 1 to {len(self.widths)}, "
                    f"one of {', '.join(CONVOLUTIONS)}, and 1 block or more"
                )

    def num_blocks(self, place: Place, convolution: str) -> int:
        """Count the blocks after a convolution of a layer."""
        wanted = (place.number + 1, convolution)
        return sum(count for *chosen, count in self.attention if tuple(chosen) == wanted)


class NonLocal(nn.Module):
    """One attention block, eqs. (1), (3) and (6): x + W softmax(theta phi^T) g.

    It attends over all frames and joints of a clip, or, frame by frame, over the joints only.
    """

    def __init__(self, channels: int, *, over_time: bool) -> None:
        super().__init__()
        self.over_time = over_time
        narrow = channels // 2
        self.theta = nn.Conv2d(channels, narrow, 1)
        self.phi_g = nn.Conv2d(channels, 2 * narrow, 1)
        self.restore = nn.Conv2d(narrow, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Add to each place what it attends to."""
        B, _, T, V = x.shape
        theta, phi_g = self.theta(x), self.phi_g(x)
        phi, g = (max_of_windows(phi_g) if self.over_time else phi_g).chunk(2, dim=1)
        attended = F.scaled_dot_product_attention(self._tokens(theta), self._tokens(phi), self._tokens(g), scale=1.0)
        y = attended.reshape(B, T, V, theta.shape[1]).permute(0, 3, 1, 2)  # [B, C/2, T, V]
        attention: Tensor = self.norm(self.restore(y))
        return x + attention

    def _tokens(self, x: Float32[Tensor, "B c T V"]) -> Float32[Tensor, "groups 1 places c"]:
        """Line up the places that see each other."""
        B, c, T, V = x.shape
        groups, places = (B, T * V) if self.over_time else (B * T, V)
        return x.permute(0, 2, 3, 1).reshape(groups, 1, places, c)


def max_of_windows(x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T2 V2"]:
    """Return the maximum of windows of 2x2, those that stick out included.

    Pooling layers say the same, but their gradients cannot be exported.
    """
    T, V = x.shape[2:]
    padded = F.pad(x, (0, 1, 0, 1), value=float("-inf"))
    frames = torch.maximum(padded[:, :, 0:T:2], padded[:, :, 1 : T + 1 : 2])
    return torch.maximum(frames[..., 0:V:2], frames[..., 1 : V + 1 : 2])


def attended_layers(place: Place, layout: Layout, config: AmStGcnConfig) -> tuple[nn.Module, nn.Module]:
    """Return ST-GCN's layers, each with the blocks that follow it."""
    layers = layers_of(place, layout, config)
    blocks = (
        [NonLocal(place.out_channels, over_time=name == "t") for _ in range(config.num_blocks(place, name))]
        for name in CONVOLUTIONS
    )
    spatial, temporal = (nn.Sequential(layer, *added) for layer, added in zip(layers, blocks, strict=True))
    return spatial, temporal


@register("am_stgcn", config=AmStGcnConfig)
class AmStGcn(StreamsRecogniser):
    """AM-STGCN with one backbone a stream; the paper's only stream is joint."""

    def __init__(self, task: Task, config: AmStGcnConfig) -> None:
        super().__init__(
            task, config, lambda: Backbone(task, config, lambda place: attended_layers(place, task.layout, config))
        )
        self.apply(initialise)
