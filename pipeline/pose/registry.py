"""The pose backends by name, and what every one of them can do."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float32

from pipeline.layouts import Layout
from pipeline.pose.cache import WeightsFile
from pipeline.values import F32, Frame, Poses


@runtime_checkable
class PoseBackend(Protocol):
    """Find people and their joints in frames; stateless, and safe to share between threads.

    Coordinates are px of the frame's own picture, joints follow ``layout``, scores lie in [0, 1], nobody has a track
    id yet. Joints may lie outside the picture where a limb does.
    """

    @property
    def name(self) -> str:
        """What the registry calls it."""

    @property
    def layout(self) -> Layout:
        """The joints it finds."""

    @property
    def max_side(self) -> int | None:
        """The largest picture side that is of any use to it, px; None if every pixel is."""

    @property
    def needs_boxes(self) -> bool:
        """Whether it looks at boxes, so that ``follow`` is quicker than ``find``."""

    @property
    def detect_every(self) -> int:
        """Frames from one search for people to the next; between them the boxes of the people known will do."""

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        """Find everybody in each frame."""

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[Float32[F32, "_ 4"]]) -> list[Poses]:
        """Find the joints of people whose boxes in each frame are known already.

        The boxes are around whole people, as ``Poses.boxes_xyxy`` has them; the backend adds its own margin. One that
        needs boxes answers one pose a box, in their order; one that does not may find other people.
        """


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What a backend may be built with; ``size`` and ``cache`` are None for the backend's own choice."""

    provider: str = "cpu"
    threads: int | None = None
    size: int | None = None
    cache: Path | None = None


Factory = Callable[[BackendOptions], PoseBackend]

_FACTORIES: dict[str, Factory] = {}
_WEIGHTS: dict[str, tuple[WeightsFile, ...]] = {}


def register(name: str, *, weights: tuple[WeightsFile, ...] = ()) -> Callable[[Factory], Factory]:
    """Enter a factory under a name, with the weights that it looks for; ``ValueError`` if the name is taken."""

    def enter(factory: Factory) -> Factory:
        if name in _FACTORIES:
            raise ValueError(f"pose backend {name!r} is registered twice")
        _FACTORIES[name] = factory
        _WEIGHTS[name] = weights
        return factory

    return enter


def pose_backend_names() -> tuple[str, ...]:
    """Return the names of all backends, whether or not their weights are here."""
    _discover()
    return tuple(sorted(_FACTORIES))


def weights_of_backends() -> Mapping[str, tuple[WeightsFile, ...]]:
    """Return what each backend looks for in the cache, by the backend's name."""
    _discover()
    return dict(sorted(_WEIGHTS.items()))


def pose_backend(
    name: str,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    size: int | None = None,
    cache: Path | None = None,
) -> PoseBackend:
    """Build a backend and load its weights.

    ``size`` is the side of the picture that the first network sees, px. ``cache`` is where pulled weights lie.

    Raises:
        ValueError: for an unknown name, or a size that the backend cannot take.
        WeightsMissing: the weights must be pulled first.
        ProviderMissing: the device asked for is not there.

    """
    _discover()
    if name not in _FACTORIES:
        raise ValueError(f"unknown pose backend {name!r}: expected one of {', '.join(pose_backend_names())}")
    return _FACTORIES[name](BackendOptions(provider, threads, size, cache))


@once
def _discover() -> None:
    """Import every file of this folder, so that its backends register themselves."""
    package = importlib.import_module("pipeline.pose")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"pipeline.pose.{module.name}")
