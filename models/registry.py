"""Every recogniser by name, and the signature that all of them share.

A new recogniser is one new file in this folder: it is imported the first time that names are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from pipeline.layouts import Layout
from pipeline.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a recogniser is built for: skeletons of this layout in, this many classes out.

    ``num_channels`` counts everything a joint carries: coordinates, and a score where there is one.
    """

    layout: Layout
    num_classes: int
    num_channels: int = 3
    num_people: int = 1


class Recogniser(nn.Module):
    """The base of all recognisers: ``forward`` takes clips [N, T, M, V, C] and returns logits [N, K]."""

    def explain(
        self, x: Float32[Tensor, "N T M V C"]
    ) -> tuple[Float32[Tensor, "N K"], Float32[Tensor, "N T"], Float32[Tensor, "N V"]]:
        """Return logits, and how much each frame and each joint speaks for the winning class; both sum to 1.

        It asks, to first order, how the winner's lead over the mean of all classes would change if a joint of a frame
        were where that joint is on average: gradient times deviation (Simonyan et al. 2014; Ancona et al. 2018), summed
        by magnitude. Maps of the last features (CAM) are cheaper, but after ten layers of graph convolution and
        attention they no longer say which joint it was. Belongs to evaluation mode.
        """
        with torch.enable_grad():
            clips = x.detach().requires_grad_()
            logits = self(clips)
            lead = logits.amax(dim=1) - logits.mean(dim=1)
            (slope,) = torch.autograd.grad(lead.sum(), clips)
        moved = x - x[:, :1]  # exactly zero for somebody who stands still, where x minus its mean is rounding
        effect = (slope * (moved - moved.mean(dim=1, keepdim=True))).sum(dim=4).abs().sum(dim=2)  # [N, T, V]
        return logits.detach(), shares(effect.sum(dim=2)), shares(effect.sum(dim=1))


def shares(effects: Float32[Tensor, "N places"]) -> Float32[Tensor, "N places"]:
    """Make them sum to 1; where nothing has an effect, as of someone who stands still, all have the same share."""
    some = effects + 1e-6
    return some / some.sum(dim=1, keepdim=True)


R = TypeVar("R", bound=Recogniser)


@dataclass(frozen=True, slots=True)
class _Entry:
    build: Callable[..., Recogniser]
    config: Callable[..., object]
    options: tuple[str, ...]


_ENTRIES: Registry[str, _Entry] = Registry("recogniser", "models")
names = _ENTRIES.keys


def register(name: str, *, config: type) -> Callable[[type[R]], type[R]]:
    """Enter a recogniser under a name; it is built as ``cls(task, config(**options))``.

    Raises:
        ValueError: the name is taken.
    """

    def enter(cls: type[R]) -> type[R]:
        _ENTRIES.add(name, _Entry(cls, config, tuple(field.name for field in fields(config))))
        return cls

    return enter


def option_names(name: str) -> tuple[str, ...]:
    """Return the options that a recogniser takes; ``ValueError`` if nothing is registered under that name."""
    return _ENTRIES[name].options


def default_options(name: str) -> dict[str, object]:
    """Return what a recogniser's options are where none is given; ``ValueError`` as ``option_names``."""
    entry = _ENTRIES[name]
    config = entry.config()
    return {option: getattr(config, option) for option in entry.options}


def build(
    name: str,
    *,
    layout: Layout,
    num_classes: int,
    num_channels: int = 3,
    num_people: int = 1,
    options: Mapping[str, object] | None = None,
) -> Recogniser:
    """Build a recogniser with fresh weights; ``options`` are the fields of its config.

    Raises:
        ValueError: nothing is registered under that name, or it has no such option.
    """
    entry, chosen = _ENTRIES[name], dict(options or {})
    unknown = sorted(set(chosen) - set(entry.options))
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}: expected some of {', '.join(entry.options)}")
    task = Task(layout=layout, num_classes=num_classes, num_channels=num_channels, num_people=num_people)
    return entry.build(task, entry.config(**chosen))
