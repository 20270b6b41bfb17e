"""Heatmap volumes: joints and limbs drawn as Gaussians, a picture each and a frame each, for 3D convolutions.

After PoseC3D: H. Duan et al., "Revisiting Skeleton-based Action Recognition", CVPR 2022,
https://arxiv.org/abs/2104.13586, section 3.2; 3D-STARNET's eq. (1) is the same. The pictures are made inside the
recogniser, and so inside the exported graph, from the joints that all recognisers take: a client sends 5 kB a window
instead of 10 MB, and nobody can draw them otherwise than in training.

They agree with MMAction2's to rounding: a Gaussian ends 3 sigma from its joint at the pixel grid's next line outwards,
where people overlap the brighter one counts, a limb is as bright as the less certain of its two joints, and one
shorter than a pixel is its first joint. Two things differ, on purpose. Joints and limbs in one volume lie one behind
the other, where that code draws limbs into the joints' channels and leaves the rest empty; and the box around a window
is not rounded to pixels of the video, which are not known here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from pipeline.layouts import Layout

Limbs: TypeAlias = tuple[tuple[str, str], ...]

VOLUMES = ("joint", "limb", "both")
FITS = ("window", "box")
# Joints less certain than this are not drawn, as in MMAction2.
LEAST_WEIGHT = 1e-4
# Gaussians are not followed below exp(-30): exp is ten times slower where it underflows, and so is all that follows.
LARGEST_EXPONENT = 30.0
# A window in which hardly anything was seen is not blown up further than to this, in torso lengths.
LEAST_HALF_SIDE = 0.5

# The 17 limbs of PoseC3D's limb volumes, start and end: the bones of coco17, and the line between the hips.
COCO_LIMBS: Limbs = (
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("nose", "left_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("nose", "right_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_shoulder", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("left_hip", "right_hip"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatmapConfig:
    """How volumes are drawn; PoseC3D's way by default.

    ``volumes``: "joint", "limb" or "both". ``limbs``: pairs of joint names, start and end; none given, the layout's
    bones from parent to child, and for coco17 PoseC3D's own. ``size``: height and width, px. ``sigma``: px.

    Joints come in torso lengths about the window's body centre, y down. ``fit`` says which square of that plane fills
    the picture: "window", around all joints that the window's people ever have, larger by ``padding`` of its side; or
    "box", ``half_side`` torso lengths to each side of the centre, so that size in the picture is size in the world, and
    who walks far enough leaves it. An edge of the square lies on the centre of the first pixel, as in MMAction2.

    The first ``num_coordinates`` channels are x, y (z, not drawn); the next one, if there is one and ``use_scores``, is
    how bright a joint is. Joints that are all zeros were never seen and are not drawn.
    """

    volumes: str = "joint"
    limbs: Limbs = ()
    size: int = 56
    sigma: float = 0.6
    fit: str = "window"
    padding: float = 0.25
    half_side: float = 3.0
    num_coordinates: int = 2
    use_scores: bool = True

    def __post_init__(self) -> None:
        if self.volumes not in VOLUMES:
            raise ValueError(f"volumes {self.volumes!r}: expected one of {', '.join(VOLUMES)}")
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit!r}: expected one of {', '.join(FITS)}")


class Heatmaps(nn.Module):
    """Draws clips as volumes [N, J, T, H, W]: J joints, J limbs, or joints and then limbs, in [0, 1]."""

    ends: Tensor
    credit: Tensor

    def __init__(self, layout: Layout, config: HeatmapConfig) -> None:
        super().__init__()
        self.config = config
        ends = torch.tensor(_limb_indices(layout, config)).reshape(-1, 2).t()
        self.register_buffer("ends", ends, persistent=False)  # [2, limbs]: where each starts and ends
        self.register_buffer("credit", self._credit(len(layout)), persistent=False)

    def _credit(self, num_joints: int) -> Float32[Tensor, "J V"]:
        """Return whose each channel is: a joint's own, a limb's half and half its two joints'."""
        joints = torch.eye(num_joints)
        limbs = (joints[self.ends[0]] + joints[self.ends[1]]) / 2
        return {"joint": joints, "limb": limbs, "both": torch.cat([joints, limbs])}[self.config.volumes]

    @property
    def num_channels(self) -> int:
        """J."""
        return len(self.credit)

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N J T H W"]:
        """Place the joints on the grid and draw them; time moves behind the joints."""
        points, weights = self.place(x)
        points, weights = points.permute(2, 0, 3, 1, 4), weights.permute(2, 0, 3, 1)  # [M, N, V, T, 2], [M, N, V, T]
        volumes = []
        if self.config.volumes != "limb":
            volumes.append(self.draw_joints(points, weights))
        if self.config.volumes != "joint":
            volumes.append(self.draw_limbs(points, weights))
        return torch.cat(volumes, dim=1)

    def place(self, x: Float32[Tensor, "N T M V C"]) -> tuple[Float32[Tensor, "N T M V 2"], Float32[Tensor, "N T M V"]]:
        """Return where each joint is, px, and how bright it is to be drawn."""
        first_score = self.config.num_coordinates
        seen = (x[..., :first_score] != 0).any(dim=4)
        weights = seen.to(x.dtype)
        if self.config.use_scores and x.shape[4] > first_score:
            weights = weights * x[..., first_score]
        corner, side = self._square(x[..., :2], seen)
        return (x[..., :2] - corner) * (self.config.size / side), weights

    def _square(
        self, xy: Float32[Tensor, "N T M V 2"], seen: Bool[Tensor, "N T M V"]
    ) -> tuple[Float32[Tensor, "N 1 1 1 2"], Float32[Tensor, "N 1 1 1 1"]]:
        """Return the top left corner and the side of the square that fills the picture."""
        if self.config.fit == "box":
            half = torch.full_like(xy[:, :1, :1, :1, :1], self.config.half_side)
            return -half.expand(-1, -1, -1, -1, 2), 2 * half
        unseen, people = ~seen.unsqueeze(4), (1, 2, 3)
        low = xy.masked_fill(unseen, torch.inf).amin(dim=people, keepdim=True)
        high = xy.masked_fill(unseen, -torch.inf).amax(dim=people, keepdim=True)
        nobody = low > high
        low, high = low.masked_fill(nobody, 0), high.masked_fill(nobody, 0)
        half = (high - low).amax(dim=4, keepdim=True) / 2 * (1 + self.config.padding)
        half = half.clamp_min(LEAST_HALF_SIDE)
        return (low + high) / 2 - half, 2 * half

    def draw_joints(
        self, points: Float32[Tensor, "M N V T 2"], weights: Float32[Tensor, "M N V T"]
    ) -> Float32[Tensor, "N V T H W"]:
        """Draw every joint of everyone, the brightest person on top."""
        size, sigma = self.config.size, self.config.sigma
        return _brightest(
            draw_point(*person, size=size, sigma=sigma)
            for person in zip(points.unbind(), weights.unbind(), strict=True)
        )

    def draw_limbs(
        self, points: Float32[Tensor, "M N V T 2"], weights: Float32[Tensor, "M N V T"]
    ) -> Float32[Tensor, "N L T H W"]:
        """Draw every limb of everyone, the brightest person on top."""
        size, sigma = self.config.size, self.config.sigma
        starts, ends = points.index_select(2, self.ends[0]), points.index_select(2, self.ends[1])
        first, second = weights.index_select(2, self.ends[0]), weights.index_select(2, self.ends[1])
        short = (ends - starts).square().sum(dim=4) < 1
        ends = torch.where(short.unsqueeze(4), starts, ends)
        certain = torch.where(short, first, torch.minimum(first, second))
        people = zip(starts.unbind(), ends.unbind(), certain.unbind(), strict=True)
        return _brightest(draw_segment(*person, size=size, sigma=sigma) for person in people)


def draw_point(
    centre: Float32[Tensor, "*lead 2"], weight: Float32[Tensor, "*lead"], *, size: int, sigma: float
) -> Float32[Tensor, "*lead size size"]:
    """Draw w exp(-((i - x)^2 + (j - y)^2) / 2 sigma^2), eq. (1) of 3D-STARNET: a column times a row.

    ``centre`` is x, y in px, integer at the middle of a pixel.
    """
    offsets = _pixels(centre, size) - centre.unsqueeze(-1)  # [*lead, 2, size]
    profiles = _bell(offsets.square(), sigma) * _near(centre, centre, size=size, sigma=sigma)
    row, column = profiles.unbind(dim=-2)
    return (_visible(weight).unsqueeze(-1) * column).unsqueeze(-1) * row.unsqueeze(-2)


def draw_segment(
    start: Float32[Tensor, "*lead 2"],
    end: Float32[Tensor, "*lead 2"],
    weight: Float32[Tensor, "*lead"],
    *,
    size: int,
    sigma: float,
) -> Float32[Tensor, "*lead size size"]:
    """Draw w exp(-d^2 / 2 sigma^2), d the distance to the segment: across it, and along it beyond its ends.

    Both are sums of a row and a column, which leaves few operations on whole pictures. Where start and end are the same
    it is ``draw_point``.
    """
    span = end - start
    length = span.square().sum(dim=-1, keepdim=True).sqrt()
    right = torch.tensor([1.0, 0.0], dtype=span.dtype, device=span.device)
    unit = torch.where(length > 0, span / length.clamp_min(1e-6), right)
    offsets = _pixels(start, size) - ((start + end) / 2).unsqueeze(-1)  # [*lead, 2, size]
    (along_x, along_y), (across_x, across_y) = (
        (offsets * direction.unsqueeze(-1)).unbind(dim=-2)
        for direction in (unit, torch.stack([-unit[..., 1], unit[..., 0]], dim=-1))
    )
    along = along_y.unsqueeze(-1) + along_x.unsqueeze(-2)  # [*lead, size, size]
    across = across_y.unsqueeze(-1) + across_x.unsqueeze(-2)
    beyond = (along.abs() - length.unsqueeze(-1) / 2).clamp_min(0)
    near = _near(torch.minimum(start, end), torch.maximum(start, end), size=size, sigma=sigma)
    row, column = near.unbind(dim=-2)
    mask = (_visible(weight).unsqueeze(-1) * column).unsqueeze(-1) * row.unsqueeze(-2)
    return _bell(across.square() + beyond.square(), sigma) * mask


def _bell(squares: Tensor, sigma: float) -> Tensor:
    """Return exp(-d^2 / 2 sigma^2)."""
    return torch.exp((squares * (-0.5 / sigma**2)).clamp_min(-LARGEST_EXPONENT))


def _near(
    low: Float32[Tensor, "*lead 2"], high: Float32[Tensor, "*lead 2"], *, size: int, sigma: float
) -> Float32[Tensor, "*lead 2 size"]:
    """Return 1 for the pixels from 3 sigma under ``low`` to 3 sigma over ``high``, both rounded towards 0, else 0."""
    pixels, reach = _pixels(low, size), 3 * sigma
    inside = (pixels >= torch.trunc(low - reach).unsqueeze(-1)) & (pixels <= torch.trunc(high + reach).unsqueeze(-1))
    return inside.to(low.dtype)


def _pixels(like: Tensor, size: int) -> Float32[Tensor, " size"]:
    return torch.arange(size, dtype=like.dtype, device=like.device)


def _visible(weight: Tensor) -> Tensor:
    return torch.where(weight < LEAST_WEIGHT, 0, weight)


def _brightest(pictures: Iterable[Tensor]) -> Tensor:
    """Return the maximum over people, one after the other: all at once would take their number times the memory."""
    return reduce(torch.maximum, pictures)


def _limb_indices(layout: Layout, config: HeatmapConfig) -> list[tuple[int, int]]:
    if config.limbs or layout.name == "coco17":
        return [(layout.index(start), layout.index(end)) for start, end in config.limbs or COCO_LIMBS]
    return [(parent, child) for child, parent in layout.bone_indices]
