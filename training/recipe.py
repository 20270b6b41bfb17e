"""A recipe: all that decides how a recogniser is trained, as one frozen value; variants by ``dataclasses.replace``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.features import FeatureSpec
from training.augment import Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train one recogniser.

    ``labels`` maps each data set's classes to the recogniser's; a class that maps to ``None`` is left out, one that is
    not named belongs to ``other_label``. ``repeated`` are the labels that people do over and over, ``strummed`` those
    whose hands the annotators left still. ``idle_share`` and ``other_share`` are the shares of those labels in
    training; the others are drawn by the square root of their number. ``still_motion``: see ``Card``. ``left_out``
    names data sets ("kard") or labels ("squat") that training must not see.

    Raises:
        ValueError: a count is below 1, or ``left_out`` names something that is not there.

    """

    name: str
    description: str
    architecture: str
    options: Mapping[str, object]
    features: FeatureSpec
    labels: Mapping[str, Mapping[str, str | None]]
    repeated: frozenset[str] = frozenset()
    strummed: frozenset[str] = frozenset()
    idle_label: str = "idle"
    other_label: str = "other"
    idle_share: float = 0.14
    other_share: float = 0.16
    still_motion: float = 0.08
    left_out: frozenset[str] = frozenset()
    augmentation: Augmentation = field(default_factory=Augmentation)
    epochs: int = 62
    windows_per_epoch: int = 6000
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_share: float = 0.08
    label_smoothing: float = 0.05
    gradient_clip: float = 5.0
    average_decay: float = 0.998
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.windows_per_epoch, self.batch_size) < 1:
            raise ValueError(
                f"expected epochs, windows_per_epoch and batch_size of 1 or more, got {self.epochs}, "
                f"{self.windows_per_epoch} and {self.batch_size}"
            )
        known = {*self.labels, *self._actions}
        if unknown := self.left_out - known:
            raise ValueError(
                f"recipe {self.name!r} has no {', '.join(sorted(map(str, unknown)))} to leave out: expected data sets "
                f"or labels out of {', '.join(sorted(known))}"
            )

    @property
    def class_labels(self) -> tuple[str, ...]:
        """All labels in the order of the logits: actions by name, then idle and other."""
        return (*sorted(self._actions - self.left_out), self.idle_label, self.other_label)

    @property
    def _actions(self) -> set[str]:
        named = {label for mapping in self.labels.values() for label in mapping.values() if label}
        return named - {self.idle_label, self.other_label}
