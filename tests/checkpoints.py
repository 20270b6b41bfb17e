"""Checkpoints of other implementations: the real ones beside the project, and made-up ones with names and shapes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Reference:
    """What another implementation was, was given (clips [N, T, M, V, C]) and answered."""

    state: Mapping[str, Tensor]
    clips: Tensor
    logits: Tensor
    meta: Mapping[str, object]


def read_reference(folder: Path, *, axes: str = "NMTVC") -> Reference:
    """Read one; ``axes`` is the order of its input's."""
    state = torch.load(folder / "state_dict.pt", weights_only=True)
    clips = torch.from_numpy(np.load(folder / "input.npy")).float()
    return Reference(
        state={key: value.float() for key, value in state.items()},
        clips=clips.permute([axes.index(axis) for axis in "NTMVC"]),
        logits=torch.from_numpy(np.load(folder / "output.npy")).float(),
        meta=json.loads((folder / "meta.json").read_text()),
    )


def conv(name: str, channels: int, out_channels: int, *kernel: int) -> Shapes:
    """Name a convolution's tensors; without a kernel those of a linear layer."""
    return {f"{name}.weight": (out_channels, channels, *kernel), f"{name}.bias": (out_channels,)}


def norm(name: str, channels: int) -> Shapes:
    """Name a batch norm's tensors."""
    tensors = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{tensor}": (channels,) for tensor in tensors}, f"{name}.num_batches_tracked": ()}


def conv_norm(name: str, channels: int, out_channels: int, *kernel: int) -> Shapes:
    """Name the tensors of what OpenMMLab and others call conv and bn."""
    return {**conv(f"{name}.conv", channels, out_channels, *kernel), **norm(f"{name}.bn", out_channels)}


def made_up(shapes: Shapes) -> dict[str, Tensor]:
    """Fill shapes with random numbers, none negative, so that variances can be among them."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def spoilt(state: Mapping[str, Tensor], *, missing: str, misshapen: str) -> dict[str, Tensor]:
    """Take one tensor away, cut one short, and add one that nobody knows."""
    cut = {misshapen: state[misshapen][:-1]}
    return {**{key: value for key, value in state.items() if key != missing}, **cut, "novelty": torch.zeros(3)}


def numbered(start: int, channels: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Number the units of a network from ``start``: its number, its channels before and after."""
    for number, (before, after) in enumerate(pairwise(channels), start):
        yield number, before, after
