"""The pose backends by name, and what every one of them can do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float32

from pipeline.layouts import Layout
from pipeline.pose.cache import WeightsFile
from pipeline.registry import Registry
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


@dataclass(frozen=True, slots=True)
class _Entry:
    build: Factory
    weights: tuple[WeightsFile, ...]


_BACKENDS: Registry[str, _Entry] = Registry("pose backend", "pipeline.pose")
pose_backend_names = _BACKENDS.keys  # whether or not their weights are here


def register(name: str, *, weights: tuple[WeightsFile, ...] = ()) -> Callable[[Factory], Factory]:
    """Enter a factory under a name, with the weights that it looks for; ``ValueError`` if the name is taken."""

    def enter(factory: Factory) -> Factory:
        _BACKENDS.add(name, _Entry(factory, weights))
        return factory

    return enter


def weights_of_backends() -> Mapping[str, tuple[WeightsFile, ...]]:
    """Return what each backend looks for in the cache, by the backend's name."""
    return {name: _BACKENDS[name].weights for name in pose_backend_names()}


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
    return _BACKENDS[name].build(BackendOptions(provider, threads, size, cache))
