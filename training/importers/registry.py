"""Importers by format and recogniser: a dict and a decorator. One more is one new function in this folder."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Importer(Protocol):
    """Converts the weights of another implementation."""

    def __call__(self, state: Mapping[str, Tensor], /) -> dict[str, Tensor]:
        """Return the same weights under our recogniser's names; ``DataError`` names each key that does not fit."""


Options = Mapping[str, object]  # fields of a recogniser's config

_IMPORTERS: dict[tuple[str, str], tuple[Importer, Sequence[Options]]] = {}


def register_importer(
    source: str, architecture: str, *, variants: Sequence[Options] = ({},)
) -> Callable[[Importer], Importer]:
    """Make an importer known for checkpoints of a format ("mmaction2") and one of our recognisers ("stgcn").

    ``variants`` are the options with which ours is what theirs may be; the first that fits is taken.

    Raises:
        ValueError: there is one for that pair already.
    """

    def add(importer: Importer) -> Importer:
        if (source, architecture) in _IMPORTERS:
            raise ValueError(f"an importer of {architecture!r} from {source!r} is registered already")
        _IMPORTERS[source, architecture] = importer, variants
        return importer

    return add


def names() -> tuple[tuple[str, str], ...]:
    """Return what can be imported: format and recogniser."""
    package = importlib.import_module("training.importers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"training.importers.{module.name}")
    return tuple(sorted(_IMPORTERS))


def importer_for(source: str, architecture: str) -> Importer:
    """Return the importer of a recogniser from a format; ``ValueError`` lists the known pairs."""
    return _entry(source, architecture)[0]


def variants_of(source: str, architecture: str) -> Sequence[Options]:
    """Return the options that a recogniser from a format may need; ``ValueError`` lists the known pairs."""
    return _entry(source, architecture)[1]


def _entry(source: str, architecture: str) -> tuple[Importer, Sequence[Options]]:
    known = names()
    if (source, architecture) not in known:
        pairs = ", ".join(f"{recogniser} from {form}" for form, recogniser in known)
        raise ValueError(f"no importer of {architecture!r} from {source!r}: expected one of {pairs or 'none yet'}")
    return _IMPORTERS[source, architecture]
