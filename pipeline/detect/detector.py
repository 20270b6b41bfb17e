"""What every person detector does."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pipeline.values import Detections, Frame


@runtime_checkable
class Detector(Protocol):
    """Find people in frames; stateless, and safe to share between threads."""

    @property
    def max_side(self) -> int:
        """The largest picture side that is of any use to it, px."""

    def find(self, frames: Sequence[Frame]) -> list[Detections]:
        """Find the people of each frame, surest first, in px of the frame's picture."""
