"""From a person's predictions, one every stride, to their actions: who did what, from when to when.

Overlapping windows are merged with hysteresis: an action begins where its probability reaches the label's threshold,
lasts while it stays above a share of it, and ends between two windows where the line between them crosses that share.
What is shorter than a minimum is dropped; what is unsure is no action at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from pipeline.bundle import Card
from pipeline.features import frame_times
from pipeline.layouts import layout_named
from pipeline.values import B1, F32, F64, I64, LabelScore, Prediction, Segment

DEFAULT_THRESHOLD = 0.6
NUM_KEY_FRAMES = 3
NUM_KEY_JOINTS = 3
KEY_FRAME_SPACING_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How predictions become segments; ``threshold`` replaces the card's where given.

    ``hold_share`` of the threshold keeps a running action alive; gaps up to ``bridge_s`` between two runs of one action
    are bridged; segments under ``shortest_s`` are dropped. ``smooth_s`` is the width of the mean over neighbouring
    windows.
    """

    threshold: float | None = None
    hold_share: float = 0.6
    bridge_s: float = 1.0
    shortest_s: float = 0.6
    smooth_s: float = 0.75
    top_k: int = 5
    explain: bool = True


@dataclass(frozen=True, slots=True)
class _Run:
    """One label held over moments first..last of a timeline, in seconds after interpolation."""

    label_id: int
    first: int
    last: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """One label's probability over time, and the level that keeps it alive."""

    values: Float32[F32, " T"]
    moments_s: Float64[F64, " T"]
    level: float
    seen_s: tuple[float, float]

    def start_s(self, first: int) -> float:
        """When the line rose to the level before a moment, or when the person came."""
        return self.seen_s[0] if first == 0 else self._crossing_s(first - 1)

    def end_s(self, last: int) -> float:
        """When it fell below the level after a moment, or when the person left."""
        return self.seen_s[1] if last == len(self.values) - 1 else self._crossing_s(last)

    def _crossing_s(self, before: int) -> float:
        low, high = self.values[before : before + 2].tolist()
        share = 0.5 if low == high else min(max((self.level - low) / (high - low), 0.0), 1.0)
        start_s, end_s = self.moments_s[before : before + 2].tolist()
        return float(start_s + share * (end_s - start_s))


def find_segments(
    predictions: Sequence[Prediction], card: Card, *, seen_s: tuple[float, float], settings: SegmentSettings
) -> tuple[Segment, ...]:
    """Return one person's actions in order of time; ``seen_s`` is when they were first and last in the picture.

    ``predictions`` are in order of time, each centred on the moment that it speaks for.
    """
    if not predictions:
        return ()
    moments_s = np.array([(prediction.start_s + prediction.end_s) / 2 for prediction in predictions])
    probabilities = np.stack([prediction.probabilities for prediction in predictions])
    smoothed = smooth(probabilities, moments_s, width_s=settings.smooth_s)
    runs = _find_runs(smoothed, moments_s, card, settings, seen_s)
    return tuple(_describe(run, predictions, smoothed, card, settings) for run in runs)


def smooth(probabilities: Float32[F32, "T K"], moments_s: Float64[F64, " T"], *, width_s: float) -> Float32[F32, "T K"]:
    """Return the mean over the neighbours within half a width of each moment, the nearer the heavier."""
    distance = np.abs(moments_s[:, None] - moments_s[None])
    weights = np.maximum(1 - distance / max(width_s, 1e-6), 0).astype(np.float32)
    smoothed: F32 = (weights @ probabilities) / weights.sum(axis=1, keepdims=True)
    return smoothed


def _find_runs(
    probabilities: Float32[F32, "T K"],
    moments_s: Float64[F64, " T"],
    card: Card,
    settings: SegmentSettings,
    seen_s: tuple[float, float],
) -> list[_Run]:
    """Find all labels' runs, then let the surest ones have the moments that several claim."""
    winners = probabilities.argmax(axis=1)
    runs: list[_Run] = []
    for label in card.action_labels:
        label_id = card.labels.index(label)
        threshold = (
            settings.threshold if settings.threshold is not None else card.thresholds.get(label, DEFAULT_THRESHOLD)
        )
        line = _Line(probabilities[:, label_id], moments_s, settings.hold_share * threshold, seen_s)
        held = (line.values >= line.level) & (winners == label_id)
        entered = held & (line.values >= threshold)
        for first, last in _spans(_bridged(held, moments_s, settings.bridge_s)):
            if entered[first : last + 1].any():
                runs.append(_Run(label_id, first, last, line.start_s(first), line.end_s(last)))
    return sorted(_separate(_long_enough(runs, settings.shortest_s), probabilities), key=lambda run: run.start_s)


def _spans(held: Bool[B1, " T"]) -> list[tuple[int, int]]:
    """Return first and last place of each run of true values.

    >>> _spans(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]])))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def _bridged(held: Bool[B1, " T"], moments_s: Float64[F64, " T"], bridge_s: float) -> Bool[B1, " T"]:
    bridged = held.copy()
    spans = _spans(held)
    for (_, last), (first, _) in pairwise(spans):
        if moments_s[first] - moments_s[last] <= bridge_s:
            bridged[last:first] = True
    return bridged


def _long_enough(runs: list[_Run], shortest_s: float) -> list[_Run]:
    return [run for run in runs if run.end_s - run.start_s >= shortest_s]


def _separate(runs: list[_Run], probabilities: Float32[F32, "T K"]) -> list[_Run]:
    """Drop runs whose moments a surer run has already."""
    taken = np.zeros(len(probabilities), bool)
    kept = []
    for run in sorted(runs, key=lambda run: -float(probabilities[run.first : run.last + 1, run.label_id].sum())):
        if not taken[run.first : run.last + 1].any():
            taken[run.first : run.last + 1] = True
            kept.append(run)
    return kept


def _describe(
    run: _Run,
    predictions: Sequence[Prediction],
    probabilities: Float32[F32, "T K"],
    card: Card,
    settings: SegmentSettings,
) -> Segment:
    mean = probabilities[run.first : run.last + 1].mean(axis=0)
    actions = [card.labels.index(label) for label in card.action_labels]
    best = sorted(actions, key=lambda label_id: -float(mean[label_id]))[: settings.top_k]
    chosen = predictions[run.first : run.last + 1] if settings.explain else ()
    return Segment(
        card.labels[run.label_id],
        run.label_id,
        float(mean[run.label_id]),
        run.start_s,
        run.end_s,
        tuple(LabelScore(card.labels[label_id], float(mean[label_id])) for label_id in best),
        _key_frames(chosen, run),
        _key_joints(chosen, card),
    )


def _key_frames(predictions: Sequence[Prediction], run: _Run) -> tuple[float, ...]:
    """Return the moments inside the run that the windows attend to most, apart from each other."""
    if not predictions:
        return ()
    times_s = np.concatenate(
        [
            frame_times(prediction.start_s, prediction.end_s, len(prediction.frame_attention))
            for prediction in predictions
        ]
    )
    weights = np.concatenate(
        [prediction.frame_attention * prediction.probabilities[run.label_id] for prediction in predictions]
    )
    grid_s = np.arange(run.start_s, run.end_s, 1 / 15)
    density = np.array([weights[np.abs(times_s - moment) < 0.1].sum() for moment in grid_s])
    chosen: list[float] = []
    for place in np.argsort(-density, kind="stable"):
        if all(abs(grid_s[place] - moment) >= KEY_FRAME_SPACING_S for moment in chosen):
            chosen.append(float(grid_s[place]))
        if len(chosen) == NUM_KEY_FRAMES:
            break
    return tuple(sorted(chosen))


def _key_joints(predictions: Sequence[Prediction], card: Card) -> tuple[str, ...]:
    """Return the joints that the windows attend to most, the most telling first."""
    if not predictions:
        return ()
    attention = np.mean([prediction.joint_attention for prediction in predictions], axis=0)
    best: Int64[I64, " Q"] = np.argsort(-attention, kind="stable")[:NUM_KEY_JOINTS]
    return tuple(layout_named(card.features.layout).joints[joint] for joint in best)
