"""The bundle: what crosses from training to serving, a folder with ``model.onnx`` and ``card.json``.

The card says what the model expects, what it answers, how good it is, what it was made from and under which licence, so
that nothing about a model is known only to the code that made it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import BrokenBundle
from pipeline.features import FeatureSpec

EMBEDDED_FOLDER = Path(__file__).parent / "bundles"
DEFAULT_MODEL = "everyday"
MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data set that a model was trained on, and what its licence asks for."""

    name: str
    licence: str
    citation: str
    sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything there is to know about a bundle's model.

    ``labels`` are snake_case, in the order of the logits. ``temperature`` divides the logits; ``thresholds`` hold, a
    label, the probability from which it is reported. ``silent_labels`` are known to the model but never reported: that
    nobody moves, that it is something else, and actions whose precision did not hold on data sets left out of training.
    ``compounds`` are actions that are two others in a row (see ``pipeline.compounds``): each names both, in order.
    A window whose motion (``Features.motion``) is below ``still_motion`` is ``idle_label``, whatever the model says.
    ``metrics`` are figures in [0, 1] by name, each with the command that gives it in ``recipe``.
    """

    name: str
    version: str
    architecture: str
    description: str
    features: FeatureSpec
    labels: tuple[str, ...]
    silent_labels: tuple[str, ...] = ()
    idle_label: str | None = None
    still_motion: float = 0.0
    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    compounds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: tuple[Source, ...] = ()
    licence: str = ""
    recipe: str = ""
    commit: str = ""
    seed: int = 0
    model_sha256: str = ""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            raise ValueError(f"expected distinct labels, got {', '.join(self.labels) or 'none'}")
        if not self.temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {self.temperature}")
        if any(len({whole, *halves}) != 3 for whole, halves in self.compounds.items()):
            raise ValueError(f"compounds: expected an action and two others, got {dict(self.compounds)}")
        named = {*self.thresholds, *self.silent_labels, *filter(None, [self.idle_label]), *self.joined_labels}
        if unknown := named - {*self.labels}:
            raise ValueError(
                "thresholds, silent_labels, idle_label and compounds must name labels; "
                f"{', '.join(sorted(unknown))} are none"
            )

    @property
    def action_labels(self) -> tuple[str, ...]:
        """The labels that can be reported: all but the silent ones."""
        return tuple(label for label in self.labels if label not in self.silent_labels)

    @property
    def joined_labels(self) -> frozenset[str]:
        """The labels of all compounds and their halves: what comes after one may yet change it."""
        return frozenset(label for whole, halves in self.compounds.items() for label in (whole, *halves))

    def to_json(self) -> str:
        """Write the card as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card; ``ValueError`` or ``TypeError`` for fields that are missing, unknown or out of range."""
        fields = _fields_of(cls, json.loads(text))
        fields["features"] = FeatureSpec(**_fields_of(FeatureSpec, fields["features"]))
        fields["compounds"] = {whole: tuple(halves) for whole, halves in dict(fields.get("compounds", {})).items()}
        fields["data"] = tuple(Source(**_fields_of(Source, source)) for source in fields.get("data", ()))
        return cls(**fields)


def _fields_of(kind: type, value: object) -> dict[str, Any]:
    """Return the fields of a dataclass that is written as a JSON object; arrays become tuples."""
    name = kind.__name__
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object, got {value!r}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    needed = {field.name for field in known.values() if field.default is field.default_factory is dataclasses.MISSING}
    for fault, names in (("missing", needed - value.keys()), ("unknown", value.keys() - known.keys())):
        if names:
            raise ValueError(f"{name}: {fault} {', '.join(sorted(names))}; expected {', '.join(known)}")
    return {field: tuple(item) if isinstance(item, list) else item for field, item in value.items()}


@dataclass(frozen=True)
class Bundle:
    """A folder with a model and its card."""

    folder: Path
    card: Card

    @property
    def name(self) -> str:
        """The name that requests use."""
        return self.card.name

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL_FILE

    @cached_property
    def sha256(self) -> str:
        """The hash of the ONNX file as it lies there."""
        return hashlib.sha256(self.model_path.read_bytes()).hexdigest()

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Read a bundle's card.

        Raises:
            BrokenBundle: a file is missing, or the card cannot be read.

        """
        for name in (CARD_FILE, MODEL_FILE):
            if not (folder / name).is_file():
                raise BrokenBundle(
                    f"{folder}: expected a bundle with {CARD_FILE} and {MODEL_FILE}; {name} is not there"
                )
        try:
            card = Card.from_json((folder / CARD_FILE).read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise BrokenBundle(f"{folder / CARD_FILE}: expected a card, but reading it failed: {error}") from error
        return cls(folder, card)

    def verify(self) -> None:
        """Check the model file against its card; ``BrokenBundle`` if it is not the file that was exported."""
        if self.card.model_sha256 != self.sha256:
            raise BrokenBundle(
                f"{self.model_path}: expected sha256 {self.card.model_sha256 or '(none)'}, got {self.sha256}; "
                "export the model again or restore the file"
            )


def find_bundles(folders: Sequence[Path] = ()) -> dict[str, Bundle]:
    """Return all bundles by name: the embedded ones, then those in ``folders`` (bundles, or folders of bundles).

    Raises:
        BrokenBundle: one of them cannot be read, or two have the same name.

    """
    bundles: dict[str, Bundle] = {}
    for folder in (EMBEDDED_FOLDER, *folders):
        cards = [folder / CARD_FILE] if (folder / CARD_FILE).is_file() else sorted(folder.glob(f"*/{CARD_FILE}"))
        for card in cards:
            bundle = Bundle.open(card.parent)
            if bundle.name in bundles:
                raise BrokenBundle(
                    f"two models are called {bundle.name!r}: {bundles[bundle.name].folder} and {bundle.folder}"
                )
            bundles[bundle.name] = bundle
    return bundles
