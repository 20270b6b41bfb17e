"""Importers by format and recogniser. One more is one new function in this folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from pipeline.registry import Registry


class Importer(Protocol):
    """Converts the weights of another implementation."""

    def __call__(self, state: Mapping[str, Tensor], /) -> dict[str, Tensor]:
        """Return the same weights under our recogniser's names; ``DataError`` names each key that does not fit."""


Options = Mapping[str, object]  # fields of a recogniser's config

_IMPORTERS: Registry[tuple[str, str], tuple[Importer, Sequence[Options]]] = Registry(
    "importer", "training.importers", spell=lambda pair: f"{pair[1]} from {pair[0]}"
)
names = _IMPORTERS.keys  # format and recogniser


def register_importer(
    source: str, architecture: str, *, variants: Sequence[Options] = ({},)
) -> Callable[[Importer], Importer]:
    """Make an importer known for checkpoints of a format ("mmaction2") and one of our recognisers ("stgcn").

    ``variants`` are the options with which ours is what theirs may be; the first that fits is taken.

    Raises:
        ValueError: there is one for that pair already.
    """

    def enter(importer: Importer) -> Importer:
        _IMPORTERS.add((source, architecture), (importer, variants))
        return importer

    return enter


def importer_for(source: str, architecture: str) -> Importer:
    """Return the importer of a recogniser from a format; ``ValueError`` lists the known pairs."""
    return _IMPORTERS[source, architecture][0]


def variants_of(source: str, architecture: str) -> Sequence[Options]:
    """Return the options that a recogniser from a format may need; ``ValueError`` lists the known pairs."""
    return _IMPORTERS[source, architecture][1]
