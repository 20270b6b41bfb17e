"""What each recogniser is and costs, counted on the network itself and not copied from its paper."""

import inspect
import re
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.heatmap import Heatmaps
from models.registry import Recogniser, build, names
from models.streams import STREAMS
from pipeline.layouts import LAYOUTS, Layout

# What the figures of most papers are of: NTU RGB+D's 60 actions of one or two people with three channels a joint.
NUM_CLASSES = 60
NUM_PEOPLE = 2
NUM_CHANNELS = 3
FRAMES_OF_JOINTS = 300
FRAMES_OF_HEATMAPS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A recogniser with its default options, and what one clip of two people costs.

    ``input``: "joints" or "heatmaps", and ``frames`` of it in a clip. ``streams``: what can be fused in one network.
    ``parameters`` and ``macs``, multiply-adds, are of the default ones; what is added or compared only is not counted.
    """

    name: str
    paper: str
    input: str
    frames: int
    streams: tuple[str, ...]
    parameters: int
    macs: int
    layouts: tuple[str, ...]


def catalogue(layout: Layout) -> tuple[Architecture, ...]:
    """Describe every recogniser that can be built for a layout."""
    return tuple(describe(name, layout) for name in names() if _can_be_built(name, layout))


def describe(name: str, layout: Layout) -> Architecture:
    """Describe a recogniser; ``ValueError`` if there is none of that name, or it cannot be built for the layout."""
    model = _weightless(name, layout)
    draws = any(isinstance(module, Heatmaps) for module in model.modules())
    frames = FRAMES_OF_HEATMAPS if draws else FRAMES_OF_JOINTS
    return Architecture(
        name=name,
        paper=_paper(model),
        input="heatmaps" if draws else "joints",
        frames=frames,
        streams=STREAMS if hasattr(getattr(model, "config", None), "streams") else STREAMS[:1],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=count_macs(model, (1, frames, NUM_PEOPLE, len(layout), NUM_CHANNELS)),
        layouts=tuple(other.name for other in LAYOUTS.values() if _can_be_built(name, other)),
    )


def count_macs(model: Recogniser, shape: tuple[int, ...]) -> int:
    """Count the multiply-adds of matrix products and convolutions for clips of a shape; the model lies on "meta"."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(shape, device="meta"))
    return int(counter.get_total_flops()) // 2


def _weightless(name: str, layout: Layout) -> Recogniser:
    """Build a recogniser on the device that knows shapes only: nothing is drawn, and nothing computed."""
    with torch.device("meta"):
        model = build(name, layout=layout, num_classes=NUM_CLASSES, num_channels=NUM_CHANNELS, num_people=NUM_PEOPLE)
    return model.eval().to("meta")


def _can_be_built(name: str, layout: Layout) -> bool:
    try:
        _weightless(name, layout)
    except ValueError:
        return False
    return True


def _paper(model: Recogniser) -> str:
    """Return what its module says after the first sentence: authors, title, venue, and the first link."""
    documentation = inspect.getdoc(inspect.getmodule(type(model))) or ""
    _, _, after = documentation.partition("\n\n")
    reference = " ".join(after.partition("\n\n")[0].split())
    linked = re.match(r".*?https?://\S*[^\s.,:;)]", reference)
    return linked.group() if linked else reference
