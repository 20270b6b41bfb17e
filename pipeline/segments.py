"""From a person's predictions, one every stride, to their actions: who did what, from when to when.

Overlapping windows are merged with hysteresis: an action begins where its probability reaches the label's threshold,
lasts while it stays above a share of it and above all others, and ends between two windows where the line between them
crosses either. What is shorter than a minimum is dropped; what is unsure is no action at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from pipeline.bundle import Card
from pipeline.compounds import join_compounds
from pipeline.features import frame_times
from pipeline.layouts import layout_named
from pipeline.values import B1, F32, F64, I64, LabelScore, Prediction, Segment

DEFAULT_THRESHOLD = 0.6
NUM_KEY_FRAMES = 3
NUM_KEY_JOINTS = 3
KEY_FRAME_SPACING_S = 0.4
# Attention counts for the moments this near.
KEY_FRAME_REACH_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How predictions become segments; ``threshold`` replaces the card's where given.

    ``hold_share`` of the threshold keeps a running action alive; gaps up to ``bridge_s`` between two runs of one action
    are bridged; segments under ``shortest_s`` are dropped. ``smooth_s`` is the width, at half its height, of the mean
    over neighbouring windows.
    """

    threshold: float | None = None
    hold_share: float = 0.6
    bridge_s: float = 1.0
    shortest_s: float = 0.6
    smooth_s: float = 0.75
    top_k: int = 5
    explain: bool = True

    def threshold_of(self, label: str, card: Card) -> float:
        """Return the probability at which an action begins."""
        return self.threshold if self.threshold is not None else card.thresholds.get(label, DEFAULT_THRESHOLD)


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
    """How far one label's probability lies above its level and above its best rival, over time.

    Where both are above 0 the label holds; of two labels never both do at one time.
    """

    margins: Float32[F32, "2 T"]
    moments_s: Float64[F64, " T"]
    seen_s: tuple[float, float]

    def start_s(self, first: int) -> float:
        """When the label took hold before a moment, or when the person came."""
        return self.seen_s[0] if first == 0 else self._limit_s(first, first - 1)

    def end_s(self, last: int) -> float:
        """When it lost hold after a moment, or when the person left."""
        return self.seen_s[1] if last == len(self.moments_s) - 1 else self._limit_s(last, last + 1)

    def _limit_s(self, held: int, lost: int) -> float:
        """Return how far from one moment towards the next, which is lost, the label holds."""
        pairs = zip(self.margins[:, held].tolist(), self.margins[:, lost].tolist(), strict=True)
        share = min((here / (here - there) for here, there in pairs if there < 0), default=1.0)
        return float((1 - share) * self.moments_s[held] + share * self.moments_s[lost])


def find_segments(
    predictions: Sequence[Prediction], card: Card, *, seen_s: tuple[float, float], settings: SegmentSettings
) -> tuple[Segment, ...]:
    """Return one person's actions in order of time; ``seen_s`` is when they were first and last in the picture.

    ``predictions`` are in order of time. Where they have a gap, because too little was seen of the person, an action
    ends and may begin anew.
    """
    moments_s = np.array([prediction.centre_s for prediction in predictions])
    segments: list[Segment] = []
    for first, end, stretch_s in _stretches(moments_s, seen_s, bridge_s=settings.bridge_s):
        probabilities = np.stack([prediction.probabilities for prediction in predictions[first:end]])
        smoothed = smooth(probabilities, moments_s[first:end], width_s=settings.smooth_s)
        smoothed = join_compounds(smoothed, moments_s[first:end], card.labels, card.compounds)
        runs = _find_runs(smoothed, moments_s[first:end], card, settings, stretch_s)
        segments += [_describe(run, predictions[first:end], smoothed, card, settings) for run in runs]
    return tuple(segments)


def _stretches(
    moments_s: Float64[F64, " T"], seen_s: tuple[float, float], *, bridge_s: float
) -> Iterator[tuple[int, int, tuple[float, float]]]:
    """Yield where each stretch of moments without a gap begins and ends, as places and in seconds.

    What is never bridged is a gap, unless the moments are that far apart anyway. A stretch reaches half a step into a
    gap, and to the first and last sight of the person where no gap lies between.
    """
    steps_s = np.diff(moments_s)
    step_s = min(steps_s.tolist(), default=0.0)
    limit_s = max(bridge_s, 1.5 * step_s)
    bounds = [0, *(np.flatnonzero(steps_s > limit_s) + 1).tolist(), len(moments_s)]
    for first, end in pairwise(bounds):
        if end > first:
            start_s = float(moments_s[first]) - (limit_s if first == 0 else step_s / 2)
            end_s = float(moments_s[end - 1]) + (limit_s if end == len(moments_s) else step_s / 2)
            yield first, end, (max(seen_s[0], start_s), min(seen_s[1], end_s))


def smooth(probabilities: Float32[F32, "T K"], moments_s: Float64[F64, " T"], *, width_s: float) -> Float32[F32, "T K"]:
    """Return the mean over the neighbours nearer than a width to each moment, the nearer the heavier."""
    totals, weights = probabilities.copy(), np.ones((len(moments_s), 1), np.float32)
    for apart in range(1, len(moments_s)):
        distance = moments_s[apart:] - moments_s[:-apart]
        share = np.maximum(1 - distance / max(width_s, 1e-6), 0).astype(np.float32)[:, None]
        if not share.any():
            break
        totals[apart:] += share * probabilities[:-apart]
        totals[:-apart] += share * probabilities[apart:]
        weights[apart:] += share
        weights[:-apart] += share
    smoothed: F32 = totals / weights
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
        threshold = settings.threshold_of(label, card)
        values = probabilities[:, label_id]
        if not (values >= threshold).any():
            continue
        rivals = np.delete(probabilities, label_id, axis=1).max(axis=1, initial=0.0)
        line = _Line(np.stack([values - settings.hold_share * threshold, values - rivals]), moments_s, seen_s)
        held = (line.margins >= 0).all(axis=0) & (winners == label_id)
        entered = held & (values >= threshold)
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
    explained = [prediction for prediction in chosen if len(prediction.joint_attention)]
    return Segment(
        card.labels[run.label_id],
        run.label_id,
        float(mean[run.label_id]),
        run.start_s,
        run.end_s,
        tuple(LabelScore(card.labels[label_id], float(mean[label_id])) for label_id in best),
        _key_frames(explained, run, window_s=card.features.window_s),
        _key_joints(explained, card),
    )


def _key_frames(predictions: Sequence[Prediction], run: _Run, *, window_s: float) -> tuple[float, ...]:
    """Return the moments inside the run that the windows attend to most, apart from each other.

    The model's frames span ``window_s`` about a window's middle, however short the window itself.
    """
    if not predictions:
        return ()
    times_s = np.concatenate(
        [
            prediction.centre_s + frame_times(-window_s / 2, window_s / 2, len(prediction.frame_attention))
            for prediction in predictions
        ]
    )
    weights = np.concatenate(
        [prediction.frame_attention * prediction.probabilities[run.label_id] for prediction in predictions]
    )
    order = np.argsort(times_s, kind="stable")
    weight_before = np.concatenate([[0.0], np.cumsum(weights[order], dtype=np.float64)])
    grid_s = np.arange(run.start_s, run.end_s, 1 / 15)
    low, high = (np.searchsorted(times_s[order], grid_s + reach) for reach in (-KEY_FRAME_REACH_S, KEY_FRAME_REACH_S))
    density = weight_before[high] - weight_before[low]
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
