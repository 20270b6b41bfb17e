"""Run a bundle's recogniser on windows: one batch over people and moments, calibrated probabilities out."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from pipeline.bundle import Bundle, Card
from pipeline.errors import BrokenBundle
from pipeline.features import make_features, stack_features
from pipeline.layouts import layout_named
from pipeline.onnx import OnnxModel
from pipeline.values import F32, Features, Prediction, SkeletonClip

INPUT = "clips"
OUTPUTS = ("logits", "frame_attention", "joint_attention")
# Larger batches gain nothing on a CPU and cost memory.
LARGEST_BATCH = 64


@runtime_checkable
class ClipRecogniser(Protocol):
    """What streams ask of a recogniser, so that something may stand between them and a ``Recogniser``."""

    @property
    def bundle(self) -> Bundle:
        """Where it comes from."""

    @property
    def card(self) -> Card:
        """What it expects and answers."""

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        """Return a prediction for each window, in order."""


class Recogniser:
    """A loaded bundle. Stateless: streams and requests share one.

    Raises:
        BrokenBundle: the model is not the one that the card describes.
        ProviderMissing: see ``OnnxModel``.

    """

    def __init__(self, bundle: Bundle, *, provider: str = "cpu", threads: int | None = None) -> None:
        bundle.verify()
        self.bundle = bundle
        self._threads = threads
        self._model = OnnxModel(bundle.model_path, provider=provider, threads=threads)
        _check_fit(self._model, bundle)

    @property
    def card(self) -> Card:
        """What the model expects and answers."""
        return self.bundle.card

    @property
    def provider(self) -> str:
        """What runs the model: cpu, cuda or tensorrt."""
        return self._model.provider

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        """Return a prediction for each window, in order; unexplained ones have no attention, and cost about half."""
        return [prediction for batch in _batches(clips) for prediction in self._recognise_batch(batch, explain)]

    def logits(self, clips: Sequence[SkeletonClip]) -> Float32[F32, "N K"]:
        """Return the model's raw answer to each window: what evaluation calibrates and compares."""
        nothing = np.zeros((0, len(self.card.labels)), np.float32)
        answers = (self._run(self._features(batch), explain=False)["logits"] for batch in _batches(clips))
        return np.concatenate([nothing, *answers])

    def _features(self, clips: Sequence[SkeletonClip]) -> list[Features]:
        return [make_features(clip, self.card.features) for clip in clips]

    @cached_property
    def _unexplained(self) -> OnnxModel:
        """The model without its explanations, loaded when first wanted: most want them."""
        path = self.bundle.model_path
        return OnnxModel(path, provider=self.provider, threads=self._threads, outputs=OUTPUTS[:1])

    def _run(self, features: Sequence[Features], *, explain: bool) -> dict[str, NDArray[Any]]:
        model = self._model if explain else self._unexplained
        nothing = np.zeros((len(features), 0), np.float32)
        return dict.fromkeys(OUTPUTS, nothing) | model.run({INPUT: stack_features(features)})

    def _recognise_batch(self, clips: Sequence[SkeletonClip], explain: bool) -> list[Prediction]:
        features = self._features(clips)
        outputs = self._run(features, explain=explain)
        probabilities = calibrate(outputs["logits"], self.card.temperature)
        if self.card.idle_label:
            idle = self.card.labels.index(self.card.idle_label)
            probabilities = call_still(probabilities, features, idle, still_motion=self.card.still_motion)
        return [
            Prediction(
                clip.start_s,
                clip.end_s,
                clip.track_ids,
                probabilities[place],
                outputs["frame_attention"][place],
                outputs["joint_attention"][place],
            )
            for place, clip in enumerate(clips)
        ]


def call_still(
    probabilities: Float32[F32, "N K"], features: Sequence[Features], idle: int, *, still_motion: float
) -> Float32[F32, "N K"]:
    """Return the probabilities with certainty of ``idle`` for windows in which nobody moves."""
    still = np.array([window.motion < still_motion for window in features])
    certain = np.arange(probabilities.shape[1]) == idle
    return np.where(still[:, None], certain, probabilities).astype(np.float32)


def _check_fit(model: OnnxModel, bundle: Bundle) -> None:
    """Raise ``BrokenBundle`` for a model whose inputs and outputs are not what the card describes."""
    shapes = {tensor.name: tensor.shape for tensor in (*model.inputs, *model.outputs)}
    missing = {INPUT, *OUTPUTS} - shapes.keys()
    if missing:
        raise BrokenBundle(f"{bundle.model_path}: expected {', '.join(sorted(missing))} among its inputs and outputs")
    spec, num_joints = bundle.card.features, len(layout_named(bundle.card.features.layout))
    for name, sizes in (
        (INPUT, (spec.num_frames, spec.num_people, num_joints, len(spec.channels))),
        ("logits", (len(bundle.card.labels),)),
        ("joint_attention", (num_joints,)),
    ):
        fits = [size in (None, wanted) for size, wanted in zip(shapes[name][1:], sizes, strict=False)]
        if len(shapes[name]) != len(sizes) + 1 or not all(fits):
            raise BrokenBundle(
                f"{bundle.model_path}: its card asks for {name} of shape {(None, *sizes)}, it has {shapes[name]}; "
                "export the model and its card together"
            )


def _batches(clips: Sequence[SkeletonClip]) -> Iterator[Sequence[SkeletonClip]]:
    return (clips[start : start + LARGEST_BATCH] for start in range(0, len(clips), LARGEST_BATCH))


def calibrate(logits: Float32[F32, "N K"], temperature: float) -> Float32[F32, "N K"]:
    """Return probabilities: the softmax of logits over the temperature (Guo et al. 2017, eq. 9).

    >>> calibrate(np.array([[0.0, 0.0]], np.float32), 2.0).tolist()
    [[0.5, 0.5]]
    """
    scaled = logits / np.float32(temperature)
    raised: F32 = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: F32 = raised / raised.sum(axis=1, keepdims=True)
    return probabilities
