"""A recipe: all that decides how a recogniser is trained, as one frozen value; variants by ``dataclasses.replace``.

There are two kinds. A ``SequenceRecipe`` learns one data set's own classes from whole sequences, as papers do. A
``WindowRecipe`` learns from several data sets what a service needs: windows of real time as cameras see them, that
nothing happens, and that something else happens.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.features import FeatureSpec
from training.augment import Augmentation
from training.variation import Variation

OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "steps")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(ABC):
    """How to train one recogniser: the network, what it is fed, and how its weights are found.

    ``optimiser`` is "adamw", or "sgd" with ``momentum``, Nesterov's or plain. ``schedule`` is "cosine", from
    ``learning_rate`` down to 0, or "steps", divided by 10 after each of the ``milestones`` (epochs); either way it
    rises from 0 over ``warmup_share`` of the training. ``average_decay`` is that of the averaged weights, which are
    what is evaluated and exported; 0 takes the last ones. ``batch_size`` is that of all devices together.
    ``held_out_share`` of the training part's groups (subjects, recordings) are not trained on: they calibrate, and
    choose whatever is to be chosen.

    Raises:
        ValueError: a count is below 1, or a word is none of those above.
    """

    name: str
    description: str
    architecture: str
    options: Mapping[str, object] = field(default_factory=dict)
    features: FeatureSpec
    epochs: int = 62
    batch_size: int = 64
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.02
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()
    warmup_share: float = 0.08
    label_smoothing: float = 0.05
    gradient_clip: float = 5.0
    average_decay: float = 0.998
    precision: str = "32-true"
    held_out_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1:
            raise ValueError(f"expected epochs and batch_size of 1 or more, got {self.epochs} and {self.batch_size}")
        if not 0 <= self.held_out_share < 1:
            raise ValueError(f"expected a held_out_share in [0, 1), got {self.held_out_share}")
        for setting, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, setting) not in known:
                raise ValueError(f"{setting}: expected one of {', '.join(known)}, got {getattr(self, setting)!r}")

    @property
    @abstractmethod
    def class_labels(self) -> tuple[str, ...]:
        """All labels in the order of the logits."""

    @property
    @abstractmethod
    def data_sets(self) -> tuple[str, ...]:
        """The names of the data sets that are trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRecipe(Recipe):
    """How to learn one data set's own classes.

    ``data_set`` is its name, and ``split`` one of its splits; none takes the first. ``classes`` are its classes in the
    order of the logits: they are filled in from the data when a run starts. An epoch takes each sequence ``repeats``
    times. ``variation`` says how sequences become inputs.
    """

    data_set: str
    split: str = ""
    classes: tuple[str, ...] = ()
    repeats: int = 1
    variation: Variation = field(default_factory=Variation)

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.repeats < 1:
            raise ValueError(f"expected repeats of 1 or more, got {self.repeats}")

    @property
    def class_labels(self) -> tuple[str, ...]:
        """The data set's classes."""
        return self.classes

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The one data set."""
        return (self.data_set,)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecipe(Recipe):
    """How to learn actions out of several data sets for a service that sees everything else too.

    ``labels`` maps each data set's classes to the recogniser's; a class that maps to ``None`` is left out, one that is
    not named belongs to ``other_label``. ``repeated`` are the labels that people do over and over, ``strummed`` those
    whose hands the annotators left still. ``idle_share`` and ``other_share`` are the shares of those labels in
    training; the others are drawn by the square root of their number. ``still_motion``: see ``Card``. ``left_out``
    names data sets ("kard") or labels ("squat") that training must not see.

    ``spliced_share`` of the windows of ``other_label`` show the upper body of one action on the legs of another, so
    that a recogniser learns to believe in an action only if the whole body does it. ``arm_actions`` are those that arms
    make, whatever the legs do, and ``leg_actions`` those of legs: that half is never put to another.

    ``compounds``: see ``Card``. ``in_passing`` maps labels to what people also do in such sequences, as they walk to
    what they pick up: folds count naming it neither as right nor as wrong.

    Raises:
        ValueError: a count is below 1, or ``left_out`` names something that is not there.
    """

    labels: Mapping[str, Mapping[str, str | None]]
    repeated: frozenset[str] = frozenset()
    strummed: frozenset[str] = frozenset()
    idle_label: str = "idle"
    other_label: str = "other"
    idle_share: float = 0.14
    other_share: float = 0.16
    spliced_share: float = 0.0
    arm_actions: frozenset[str] = frozenset()
    leg_actions: frozenset[str] = frozenset()
    compounds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    in_passing: Mapping[str, frozenset[str]] = field(default_factory=dict)
    still_motion: float = 0.08
    left_out: frozenset[str] = frozenset()
    augmentation: Augmentation = field(default_factory=Augmentation)
    windows_per_epoch: int = 6000

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.windows_per_epoch < 1:
            raise ValueError(f"expected windows_per_epoch of 1 or more, got {self.windows_per_epoch}")
        known = {*self.labels, *self.actions}
        if unknown := self.left_out - known:
            raise ValueError(
                f"recipe {self.name!r} has no {', '.join(sorted(map(str, unknown)))} to leave out: expected data sets "
                f"or labels out of {', '.join(sorted(known))}"
            )

    @property
    def class_labels(self) -> tuple[str, ...]:
        """Actions by name, then idle and other."""
        return (*sorted(self.actions - self.left_out), self.idle_label, self.other_label)

    @property
    def data_sets(self) -> tuple[str, ...]:
        """Those with labels."""
        return tuple(self.labels)

    @property
    def actions(self) -> set[str]:
        """Actions that the data sets have by these labels, with those that are left out."""
        named = {label for mapping in self.labels.values() for label in mapping.values() if label}
        return named - {self.idle_label, self.other_label}


def windowed(recipe: Recipe) -> WindowRecipe:
    """Return a recipe as the ``WindowRecipe`` that it is; ``ValueError`` if it is of the other kind."""
    if not isinstance(recipe, WindowRecipe):
        raise ValueError(f"recipe {recipe.name!r} learns from whole sequences: expected one that learns from windows")
    return recipe
