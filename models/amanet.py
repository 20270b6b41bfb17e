"""AMANet: MS-G3D whose graph convolutions are led by attention in space, in time, and over windows of both.

X. Yin, J. Zhong, D. Lian and W. Cao, "An adaptively multi-correlations aggregation network for skeleton-based motion
recognition", Scientific Reports 13, 2023, https://doi.org/10.1038/s41598-023-46155-3 (section "Method"; equation and
table numbers are its). Graph convolutions, temporal branches and blocks are those of ``models.msg3d``.

What differs, and where the paper is silent or ambiguous:

- DP, the enriched input, is made inside the network, so that training and serving cannot differ. Only the joint stream
  on the skeleton itself has it, as in fig. 6.
- Alien relative coordinates, eq. (7): a part's origin R is its joint nearest to the body's centre, and Q the other end
  of the bone that it hangs from, as the neck for the shoulder in the paper's example. The pseudo-inverse of the column
  (s, 0, 0) is the row (1/s, 0, 0). Algorithm 1 takes (s, 0, 0) itself for Q: ``alien_axis="constant"``. Skeletons in
  the plane go by the same formula with (s, 0).
- Queries, keys and values have no bias: a key's bias is lost in the softmax, and frames of zeros stay zeros.
- SFEM, eq. (10): the yellow box of fig. 4, norm and ReLU, follows the sum with V. alpha = beta = 0.8 are not learned.
- FF, eq. (12): frames beyond the last, in a last group that is not full, are masked out, and never wrapped around. Both
  FF and JF attend by vectors as long as what they compare, J*C and C: sqrt(dm) is the root of that.
- JF asks only for the frames that its stride keeps, with the same result as dropping the others afterwards.
- STFEM, eq. (14): one for each block, in front of all windows of MS-G3D, for one a window length would exceed table 6's
  1.8 M by a sixth. A frame's feature is the mean over the window that begins with it. A of eq. (13) is normalised as in
  eq. (10). The window's length is not given: 3.
- Table 9's other order, TFEM before SFEM: the graph convolution stays in front, for it widens the features.
- Barycentres are those of ``Layout``'s fine parts; their bones are the bones that lead from part to part.
- The streams' softmax scores are summed with equal weights unless told otherwise; find others on data held out from
  training, never on the test set.

Against the paper's counts for NTU RGB+D 60 (tables 4 to 6 and 9; one stream, 300 frames, 2 people), with multiply-adds
that include those of the attention itself: SFEM 3.4 M, 34.6 G (3.3, 32.2); TFEM 3.7 M, 39.7 G (3.8, 39.2); STFEM 3.4 M,
35.8 G (3.4, 36.3); all 4.1 M, 46.1 G (4.3, 44.2); TFEM first 4.7 M, 48.4 G (4.7, 46.9).

MS-G3D itself is 32.8 G here and 30.0 in the paper. Table 6 calls it "k = 5", and MS-G3D's authors tell six distances
apart in windows, not five; with ``g3d_scales=5`` it is 29.8 G, and the paper's other baselines agree as well: 23.9
(24.0) with one distance in a frame, 18.0 (18.1) with one in windows. The default stays at six; the tables are for five.
Only STFEM in place of all windows is further off than a tenth, 13.4 G (14.9): here Theta mixes the mean over a window,
with the same result as mixing each of its frames first, which would take 0.8 G more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import GRAINS, hops_to_centre, links, part_layout, part_pooling
from models.layers import Place, StreamsRecogniser, shortcut
from models.msg3d import (
    Backbone,
    Block,
    Msg3dConfig,
    ScaleConv,
    TemporalScales,
    hidden_channels,
    window_convs,
    windows,
)
from models.registry import Task, register
from models.streams import parents_of, stream_of
from pipeline.layouts import Layout

FEATURES = ("relative", "alien", "velocity", "acceleration")
SPATIAL = ("sfem", "gcn")
TEMPORAL = ("ff", "jf", "tcn")
UNIFIED = ("stfem", "g3d")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmaNetConfig(Msg3dConfig):
    """The paper's network for NTU RGB+D by default; each field is one of its ablations, or a width.

    ``grains`` say for each stream what its joints are, "joint" for those of the skeleton, "fine" for barycentres of
    parts; without any, all streams see the skeleton. ``features`` are added to the joint stream's coordinates
    (table 2), ``scale`` is the paper's s. ``spatial`` is what a block does in space (tables 3 and 4); ``temporal`` what
    it does in time before an MS-TCN, where "tcn" is another MS-TCN (table 5); ``unified`` what it does over windows
    (tables 6 and 7). ``group`` is g = R, ``window`` tau. ``temporal_first`` puts SFEM behind TFEM (table 9).
    """

    grains: tuple[str, ...] = ()
    features: tuple[str, ...] = ("alien", "velocity", "acceleration")
    scale: float = 1.2
    alien_axis: str = "bone"
    spatial: tuple[str, ...] = ("sfem", "gcn")
    temporal: tuple[str, ...] = ("ff", "jf")
    unified: tuple[str, ...] = ("stfem", "g3d")
    alpha: float = 0.8
    beta: float = 0.8
    group: int = 5
    window: int = 3
    temporal_first: bool = False

    def __post_init__(self) -> None:
        Msg3dConfig.__post_init__(self)
        _check("grains", self.grains, GRAINS)
        _check("features", self.features, FEATURES)
        _check("alien_axis", (self.alien_axis,), ("bone", "constant"))
        for name, some in (("spatial", SPATIAL), ("temporal", TEMPORAL), ("unified", UNIFIED)):
            _check(name, getattr(self, name), some, at_least=1)
        if len(self.grains) not in (0, len(self.streams)):
            raise ValueError(f"grains {self.grains}: expected none, or one for each of {self.streams}")
        if not self.group % 2:
            raise ValueError(f"groups of {self.group} frames: expected an odd number, which is a kernel too")


def _check(name: str, chosen: tuple[str, ...], known: tuple[str, ...], *, at_least: int = 0) -> None:
    if len(chosen) < at_least or not set(chosen) <= set(known):
        raise ValueError(f"{name} {chosen}: expected some of {', '.join(known)}")


class Preprocessing(nn.Module):
    """DP, eqs. (3) to (8) without the norm, which is the backbone's: how joints move and lie to each other."""

    origins: Tensor
    ends: Tensor

    def __init__(self, layout: Layout, config: AmaNetConfig) -> None:
        super().__init__()
        self.config, self.centre = config, layout.index(layout.centre)
        origins, ends = part_axes(layout)
        self.register_buffer("origins", torch.tensor(origins), persistent=False)
        self.register_buffer("ends", torch.tensor(ends), persistent=False)

    def channels_of(self, num_channels: int) -> int:
        """Return how many channels come out."""
        return num_channels + len(self.config.features) * self.config.num_coordinates

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N T M V C2"]:
        """Return coordinates, what is made of them, and scores."""
        joints, scores = x.tensor_split([self.config.num_coordinates], dim=-1)
        made = [self._feature(name, joints) for name in self.config.features]
        return torch.cat([joints, *made, scores], dim=-1)  # Eq. (8)

    def _feature(self, name: str, joints: Tensor) -> Tensor:
        if name == "relative":
            return joints - joints[:, :, :, self.centre, None]  # Eq. (5)
        if name == "alien":
            return self._alien(joints)
        T = joints.shape[1]
        velocity = joints - _after_zeros(joints, 1, num_frames=T)  # Eq. (3)
        if name == "velocity":
            return velocity
        return velocity - _after_zeros(velocity[:, 1:], 2, num_frames=T)  # Eq. (4)

    def _alien(self, joints: Tensor) -> Tensor:
        """T I_j + R with T = (Q - R) pinv((s, 0, 0)), eqs. (6) and (7): only the first coordinate of I_j counts."""
        origin = joints.index_select(3, self.origins)
        end = joints.index_select(3, self.ends)
        if self.config.alien_axis == "constant":
            end = F.pad(torch.full_like(joints[..., :1], self.config.scale), (0, joints.shape[-1] - 1))
        return (end - origin) * (joints[..., :1] / self.config.scale) + origin


def _after_zeros(values: Tensor, num_zeros: int, *, num_frames: int) -> Tensor:
    """Return clips [N, T, ...] with frames of zeros in front, cut off after so many frames in all."""
    return F.pad(values, (0, 0, 0, 0, 0, 0, num_zeros, 0))[:, :num_frames]


def part_axes(layout: Layout) -> tuple[list[int], list[int]]:
    """Return, for each joint, the origin of its part and the other end of the bone that is the part's first axis.

    The five parts are the coarse ones. An origin that hangs from no bone, being the body's centre, takes the first that
    hangs from it.
    """
    hops, A = hops_to_centre(layout), links(layout)
    origins, ends = [0] * len(layout), [0] * len(layout)
    for part in layout.coarse_parts:
        origin = min(part, key=lambda joint: hops[joint])
        above = layout.parents[origin]
        end = above if above != origin else int(np.flatnonzero(A[origin] - np.eye(len(layout))[origin])[0])
        for joint in part:
            origins[joint], ends[joint] = origin, end
    return origins, ends


def normalised_links(layout: Layout) -> Tensor:
    """Return A_hat = D^-1/2 (A + I) D^-1/2 of eq. (10): [V, V]."""
    A = links(layout)
    degree = A.sum(axis=0)
    return torch.from_numpy(A / np.sqrt(np.outer(degree, degree)))


class SpatialAttention(nn.Module):
    """SFEM, eq. (10): relu(norm(softmax(Q K^T / sqrt(dm) + alpha A_hat) V Theta + V)), in each frame."""

    bias: Tensor

    def __init__(self, channels: int, out_channels: int, layout: Layout, *, alpha: float) -> None:
        super().__init__()
        self.register_buffer("bias", alpha * normalised_links(layout), persistent=False)
        self.query_key = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.value = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.mix = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Let each joint ask all joints of its frame."""
        value = self.value(x)
        q, k = (part.permute(0, 2, 3, 1) for part in self.query_key(x).chunk(2, dim=1))  # [B, T, V, C] each
        y = F.scaled_dot_product_attention(q, k, value.permute(0, 2, 3, 1), attn_mask=self.bias)
        return F.relu(self.norm(self.mix(y.permute(0, 3, 1, 2)) + value))


class FrameAttention(nn.Module):
    """FF, eq. (12) and fig. 5b: frames as wholes ask the frames of their group, then a convolution over as many."""

    def __init__(self, channels: int, *, group: int) -> None:
        super().__init__()
        self.group = group
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.mix = nn.Conv2d(channels, channels, (group, 1), padding=(group // 2, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Add what a frame's group says."""
        B, C, T, V = x.shape
        g = self.group
        G = (T + g - 1) // g
        real = (torch.arange(G * g, device=x.device) < T).reshape(1, G, 1, g)
        # Always a frame more than is kept: tracing would take a cut that removes nothing for one that never does.
        full = F.pad(self.query_key_value(x), (0, 0, 0, g))[:, :, : G * g]
        q, k, v = full.reshape(B, 3, C, G, g, V).permute(1, 0, 3, 4, 2, 5).reshape(3, B, G, g, C * V)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=real.expand(1, G, g, g))
        y = F.pad(y.reshape(B, G * g, C, V).transpose(1, 2), (0, 0, 0, 1))[:, :, :T]
        return F.relu(self.norm(self.mix(y)) + x)


class JointAttention(nn.Module):
    """JF, eq. (11) and fig. 5c: each joint asks itself in all frames, then r = 1 frame is mixed."""

    def __init__(self, channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.mix = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(channels, out_channels, stride)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Add to every ``stride``-th frame what all frames say."""
        tokens = self.query_key_value(x).permute(0, 3, 2, 1).contiguous()  # or else T x T similarities are kept
        q, k, v = tokens.chunk(3, dim=3)  # [B, V, T, C] each
        y = F.scaled_dot_product_attention(q[:, :, :: self.stride], k, v)  # [B, V, T2, C]
        return F.relu(self.norm(self.mix(y.permute(0, 3, 2, 1))) + self.shortcut(x))


class WindowAttention(nn.Module):
    """STFEM, eq. (14): relu(norm(softmax(Q K^T / sqrt(dm) + beta A_tau) V Theta) + res), in windows of tau frames."""

    bias: Tensor

    def __init__(self, place: Place, layout: Layout, *, window: int, beta: float) -> None:
        super().__init__()
        self.window, self.stride, channels = window, place.stride, place.channels
        self.register_buffer(
            "bias", beta * normalised_links(layout).repeat(window, window), persistent=False
        )  # Eq. (13)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.mix = nn.Conv2d(channels, place.out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(place.out_channels)
        self.shortcut = shortcut(channels, place.out_channels, place.stride)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T2 V"]:
        """Add what the window that begins with a frame says, on average over its frames."""
        B, C, _, V = x.shape
        around = windows(self.query_key_value(x), self.window, stride=self.stride)  # [B, 3*C, T2, window, V]
        T2 = around.shape[2]
        q, k, v = around.reshape(B, 3, C, T2, self.window * V).permute(1, 0, 3, 4, 2).contiguous()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)  # [B, T2, window*V, C]
        y = y.reshape(B, T2, self.window, V, C).mean(dim=2).permute(0, 3, 1, 2)  # [B, C, T2, V]
        return F.relu(self.norm(self.mix(y)) + self.shortcut(x))


def block(place: Place, layout: Layout, config: AmaNetConfig) -> nn.Module:
    """Return the block at that place: STGC of MS-G3D with the chosen layers in its pathways."""
    width, kernel = place.out_channels, config.temporal_kernel
    return Block(
        _factorised(place, layout, config),
        _unified(place, layout, config),
        TemporalScales(width, width, kernel=kernel),
    )


def _factorised(place: Place, layout: Layout, config: AmaNetConfig) -> Iterator[nn.Module]:
    """Yield the layers of space and time, in the order of table 9."""
    channels, width = place.channels, place.out_channels
    if "sfem" in config.spatial and not config.temporal_first:
        out_channels = channels if "gcn" in config.spatial else hidden_channels(place)
        yield SpatialAttention(channels, out_channels, layout, alpha=config.alpha)
        channels = out_channels
    if "gcn" in config.spatial:
        yield ScaleConv(channels, hidden_channels(place), layout, num_scales=config.gcn_scales)
        channels = hidden_channels(place)
    yield from _temporal(replace(place, channels=channels), config)
    if "sfem" in config.spatial and config.temporal_first:
        yield SpatialAttention(width, width, layout, alpha=config.alpha)


def _temporal(place: Place, config: AmaNetConfig) -> Iterator[nn.Module]:
    """Yield the layers of time; MS-TCN comes last, and widens and strides if nothing before it has."""
    channels, width, stride, kernel = place.channels, place.out_channels, place.stride, config.temporal_kernel
    if "ff" in config.temporal:
        yield FrameAttention(channels, group=config.group)
    if "jf" in config.temporal:
        yield JointAttention(channels, width, stride=stride)
        channels, stride = width, 1
    if "tcn" in config.temporal:
        yield TemporalScales(channels, width, kernel=kernel, stride=stride)
        channels, stride = width, 1
    yield TemporalScales(channels, width, kernel=kernel, stride=stride, rectify=False)


def _unified(place: Place, layout: Layout, config: AmaNetConfig) -> nn.Module:
    """Return the pathway over windows: MS-G3D, STFEM in front of it, or STFEM in its place."""
    if "stfem" not in config.unified:
        return window_convs(place, layout, config)
    if "g3d" not in config.unified:
        return WindowAttention(place, layout, window=config.window, beta=config.beta)
    before = replace(place, out_channels=place.channels, stride=1)
    attention = WindowAttention(before, layout, window=config.window, beta=config.beta)
    return nn.Sequential(attention, window_convs(place, layout, config))


class Stream(nn.Module):
    """One stream: barycentres or joints, what the stream sees of them, and a backbone."""

    parents: Tensor
    pooling: Tensor

    def __init__(self, task: Task, config: AmaNetConfig, name: str, grain: str) -> None:
        super().__init__()
        layout = part_layout(task.layout, grain)
        self.name, self.fused, self.config = name, grain != "joint", config
        parents = layout.parents if self.fused else parents_of(task.layout, config.convention)
        self.register_buffer("parents", torch.tensor(parents), persistent=False)
        self.register_buffer("pooling", torch.from_numpy(part_pooling(task.layout, grain)), persistent=False)
        enriched = name == "joint" and not self.fused
        self.enrich = Preprocessing(task.layout, config) if enriched else None
        channels = self.enrich.channels_of(task.num_channels) if self.enrich else task.num_channels
        own = replace(task, layout=layout, num_channels=channels)
        self.backbone = Backbone(own, config, lambda place: block(place, layout, config))

    def forward(self, x: Float32[Tensor, "N T M V C"], presence: Float32[Tensor, "N M"]) -> Float32[Tensor, "N K"]:
        """Return logits."""
        joints = self.pooling @ x if self.fused else x
        seen = stream_of(
            joints,
            self.name,
            parents=self.parents,
            num_coordinates=self.config.num_coordinates,
            convention=self.config.convention,
        )
        logits: Tensor = self.backbone(self.enrich(seen) if self.enrich else seen, presence)
        return logits


@register("amanet", config=AmaNetConfig)
class AmaNet(StreamsRecogniser):
    """AMANet with one backbone a stream; the paper's four are joint and bone on two scales (fig. 6)."""

    def __init__(self, task: Task, config: AmaNetConfig) -> None:
        grains = config.grains or ("joint",) * len(config.streams)
        streams = zip(config.streams, grains, strict=True)
        super().__init__(task, config, lambda: Stream(task, config, *next(streams)))

    def member_logits(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "members N K"]:
        """Return what each stream says."""
        presence = self._presence(x)
        return torch.stack([stream(x, presence) for stream in self.backbones])
