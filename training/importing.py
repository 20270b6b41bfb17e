"""From a checkpoint of another implementation to a bundle: convert, check, export, and write the card."""

import hashlib
import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from models.heatmap import Heatmaps
from models.registry import Recogniser, build
from models.streams import layouts_of
from pipeline.bundle import CARD_FILE, MODEL_FILE, Bundle, Card
from pipeline.errors import DataError
from pipeline.features import FeatureSpec
from pipeline.layouts import HAND21, LAYOUTS, Layout
from pipeline.normalisation import NORMALISATIONS
from training.bundles import UNCHECKED_THRESHOLD
from training.export import export_onnx
from training.importers.keys import load, misfits
from training.importers.registry import importer_for, variants_of
from training.runs import current_commit

logger = logging.getLogger(__name__)

# Layouts of depth sensors; what is trained on them takes three coordinates, and on the others two and a score.
LAYOUTS_3D = ("ntu25", "kinect20")
NUM_PEOPLE = 2
# Frames and seconds of a window. MMAction2 and PYSKL spread 100 frames over a clip, 48 of heatmaps, and most clips last
# about three seconds; PYSKL's gestures are the last 10 frames of a webcam; the authors' own codes take 300 frames at 30
# a second.
SPREAD = (100, 10 / 3)
SPREAD_HEATMAPS = (48, 3.2)
GESTURE = (10, 1.0)
WHOLE = (300, 10.0)
SPREADING = ("mmaction2", "pyskl")
# What each format's training counted coordinates from, in the plane and in space, and whose bones it had.
NORMALISED: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(SPREADING, ("frame", "body")),
    "st-gcn": ("half_frame", "camera"),
    **dict.fromkeys(("2s-agcn", "ms-g3d"), ("upright_frame", "moving_body")),
}
CONVENTIONS: Mapping[str, str] = {
    **dict.fromkeys(SPREADING, "mmaction2"),
    **dict.fromkeys(("2s-agcn", "ms-g3d"), "2s-agcn"),
}
# Labels that say that nothing was done: known to the model, never reported.
QUIET = frozenset({"idle", "other", "none", "nothing", "background", "no_action", "no_gesture"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A file of weights and what it holds: its format, our recogniser for it, its labels in the order of the logits.

    ``layout``: none to take the one that fits. ``options`` are those of the recogniser, as far as they are known.
    """

    path: Path
    source: str
    architecture: str
    labels: tuple[str, ...]
    layout: Layout | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def convention(self) -> str:
        """Whose bones and scores its streams have (see ``models.streams``); joints are the same in all."""
        streams = self.options.get("streams", ())
        if "convention" in self.options:
            return str(self.options["convention"])
        only_joints = not isinstance(streams, Sequence) or set(streams) <= {"joint"}
        return "layout" if only_joints else CONVENTIONS.get(self.source, "layout")

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts that it may be of."""
        return (self.layout,) if self.layout else tuple(LAYOUTS[name] for name in layouts_of(self.convention))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to build the recogniser that a checkpoint may fit."""

    layout: Layout
    options: Mapping[str, object]

    @property
    def channels(self) -> tuple[str, ...]:
        """What a joint carries."""
        if self.layout is HAND21:
            return ("x", "y")
        return ("x", "y", "z" if self.layout.name in LAYOUTS_3D else "score")

    @property
    def num_people(self) -> int:
        """How many a clip is of."""
        return 1 if self.layout is HAND21 else NUM_PEOPLE


def import_checkpoint(checkpoint: Checkpoint, out: Path, *, name: str = "", licence: str = "") -> Bundle:
    """Write a bundle that says what the checkpoint says; its name is the folder's unless given.

    Raises:
        ValueError: nothing imports that recogniser from that format, or it has no such options.
        DataError: the file is no checkpoint, or its weights do not fit; the message names every key.
        ExportError: the exported model does not agree with the converted one.
    """
    weights = importer_for(checkpoint.source, checkpoint.architecture)(read_weights(checkpoint.path))
    model, candidate = fitted(checkpoint, weights)
    spec = features_of(checkpoint.source, model, candidate)
    out.mkdir(parents=True, exist_ok=True)
    report = export_onnx(
        model,
        out / MODEL_FILE,
        num_frames=spec.num_frames,
        num_people=spec.num_people,
        num_joints=len(candidate.layout),
        num_channels=len(spec.channels),
    )
    logger.info("exported %s, %.1f MB", report.path, report.num_bytes / 1e6)
    sha256 = hashlib.sha256(report.path.read_bytes()).hexdigest()
    card = card_of(checkpoint, spec, name=name or out.name, licence=licence, model_sha256=sha256)
    (out / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return Bundle.open(out)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's tensors and nothing else of it: no code in the file is run.

    Raises:
        DataError: it is none, or holds more than tensors, numbers and names.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: expected a checkpoint of weights only, but reading it failed: {reason}; where it comes from a "
            "source that you trust, load it there and save its state_dict alone"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: expected names with tensors, or those under 'state_dict', got {_kind(content)}")
    return {
        str(key).removeprefix("module."): value.float() if value.is_floating_point() else value
        for key, value in state.items()
    }


def _kind(content: object) -> str:
    if not isinstance(content, dict):
        return type(content).__name__
    return f"a mapping of {', '.join(map(str, list(content)[:8])) or 'nothing'}"


def fitted(checkpoint: Checkpoint, weights: Mapping[str, Tensor]) -> tuple[Recogniser, Candidate]:
    """Return the recogniser with the weights, built for the layout and with the options that fit.

    Raises:
        DataError: none fits; the message is about the one that lacks least.
    """
    candidates = [
        Candidate(layout, {**variant, **checkpoint.options})
        for layout in checkpoint.layouts
        for variant in variants_of(checkpoint.source, checkpoint.architecture)
    ]

    def count_misfits(candidate: Candidate) -> int:
        with torch.device("meta"):
            return len(misfits(weights, built(checkpoint, candidate)))

    best = min(candidates, key=count_misfits)
    model = built(checkpoint, best)
    load(weights, model)
    return model.eval(), best


def built(checkpoint: Checkpoint, candidate: Candidate) -> Recogniser:
    """Build the checkpoint's recogniser with fresh weights."""
    options: dict[str, object] = {"num_coordinates": len({*candidate.channels} - {"score"})}
    if checkpoint.convention != "layout":
        options["convention"] = checkpoint.convention
    return build(
        checkpoint.architecture,
        layout=candidate.layout,
        num_classes=len(checkpoint.labels),
        num_channels=len(candidate.channels),
        num_people=candidate.num_people,
        options={**options, **candidate.options},
    )


def features_of(source: str, model: Recogniser, candidate: Candidate) -> FeatureSpec:
    """Return what models of a format were trained on; pictures do not depend on where coordinates are counted from."""
    draws = any(isinstance(module, Heatmaps) for module in model.modules())
    num_frames, window_s = _window(source, candidate, draws=draws)
    in_plane, in_space = NORMALISED.get(source, ("torso", "torso"))
    if draws:
        in_plane = in_space = "torso"
    elif candidate.layout is HAND21:
        in_plane = "extent"
    return FeatureSpec(
        layout=candidate.layout.name,
        num_frames=num_frames,
        window_s=window_s,
        num_people=candidate.num_people,
        channels=candidate.channels,
        normalisation=in_space if candidate.layout.name in LAYOUTS_3D else in_plane,
    )


def _window(source: str, candidate: Candidate, *, draws: bool) -> tuple[int, float]:
    """Return frames and seconds."""
    if source not in SPREADING:
        return WHOLE
    if candidate.layout is HAND21:
        return GESTURE
    return SPREAD_HEATMAPS if draws else SPREAD


def card_of(checkpoint: Checkpoint, spec: FeatureSpec, *, name: str, licence: str, model_sha256: str) -> Card:
    """Write a card that claims nothing: no figures, high thresholds, and what is not known named so."""
    quiet = tuple(label for label in checkpoint.labels if label in QUIET)
    imported = hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    return Card(
        name=name,
        version="1.0.0",
        architecture=checkpoint.architecture,
        description=(
            f"Imported from a {checkpoint.source} checkpoint and not measured here. Coordinates are given to it as "
            f"{checkpoint.source} has them: {NORMALISATIONS[spec.normalisation]}. Time is not: a window is always "
            f"{spec.window_s:.3g} s of one person, where its authors took whole sequences, and it may do worse for it."
        ),
        features=spec,
        labels=checkpoint.labels,
        silent_labels=quiet,
        thresholds={label: UNCHECKED_THRESHOLD for label in checkpoint.labels if label not in quiet},
        licence=licence or "not known: ask where the checkpoint comes from",
        recipe=f"marey models import: {checkpoint.path.name}, sha256 {imported}",
        commit=current_commit(),
        model_sha256=model_sha256,
    )
