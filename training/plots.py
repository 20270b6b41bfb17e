"""What an evaluation and its trainings say in pictures: PNG files that are legible when shown 900 px wide.

Right answers are blue and wrong ones orange throughout. matplotlib is loaded with the first plot, for nothing else
needs it; none of its settings stays changed, and it needs no display.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from pipeline.errors import DataError
from training.scores import (
    ClassScore,
    Outcome,
    ReliabilityBin,
    calibration_error,
    interval,
    negative_log_likelihood,
    reliability,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

F64 = NDArray[np.float64]

WIDTH_IN = 9.0
DPI = 200  # twice what 900 px need, so that print and dense screens stay sharp
HEAD_IN = 0.75
MARGIN_IN = 0.15
CHARACTER_IN = 0.072  # width of one in a label, about

INK, MUTED, RULE, EMPTY = "#1f2937", "#6b7280", "#e5e7eb", "#f3f4f6"
RIGHT, WRONG, PALE = "#2563eb", "#ea580c", "#bfd0f9"
# Begun with our own blue and orange; the next are Okabe and Ito's, which colour-blind people can tell apart.
LINES = (RIGHT, WRONG, "#009e73", "#cc79a7", "#56b4e9", "#a16207", "#7c3aed", "#111827")
DASHES = ("-", "--", ":")
DASHED = (0, (4, 3))
STYLE: Mapping[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a label is no formula
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
}

MOST_VALUES = 30  # classes up to which a confusion's cells have room for their values
MOST_NAMED_COLUMNS = 60
NUMBER_EVERY = 5  # columns, for every 120 there are
ROW_IN = (0.115, 0.8)  # the least and the greatest height of a confusion's rows
LONGEST_LABEL = 30
WHITE_FROM = 0.6  # strength of a cell's colour from which white is read more easily
FEW = 10  # answers that tell little of how often such answers are right
# Losses that fall by more than this are drawn on a logarithmic scale.
WIDEST_LINEAR = 20.0


def plot_confusion(outcome: Outcome, path: Path) -> None:
    """Draw which share of each class (rows, with their sequences) was given each answer (columns).

    Classes without a sequence have no row, and a column behind the others if they are said. Up to 30 classes, cells say
    their share in percent; above 60, columns have numbers, those of the rows. ``ValueError`` if there are no sequences.
    """
    _check(outcome)
    table = outcome.confusion()
    counts = table.sum(axis=1)
    tested, only_said = np.flatnonzero(counts), np.flatnonzero((counts == 0) & table.any(axis=0))
    answers = np.concatenate([tested, only_said])
    rows = [f"{_readable(outcome.labels[place])} ({counts[place]})" for place in tested]
    columns = [_readable(outcome.labels[place]) for place in answers]
    is_numbered = len(columns) > MOST_NAMED_COLUMNS
    row_in = _row_height(max(map(len, rows)), len(columns))
    height_in = HEAD_IN + row_in * len(rows) + 0.4 + (0.3 if is_numbered else CHARACTER_IN * max(map(len, columns)))
    subtitle = f"{_accuracy(outcome)}; cells are percent of their row"
    with _page(path, height_in, title="Confusion", subtitle=subtitle) as figure:
        axes = figure.add_subplot()
        _draw_cells(axes, table[np.ix_(tested, answers)] / counts[tested, None], row_in)
        _name_cells(axes, rows, columns, size_pt=float(np.clip(0.72 * 72 * row_in, 6.0, 9.0)), is_numbered=is_numbered)
        _add_key(figure, {"right": RIGHT, "mistaken": WRONG})


def plot_per_class(outcome: Outcome, path: Path) -> None:
    """Draw the recall of each class with its 95 % interval, its precision, its sequences and its usual mistake.

    The weakest come first; classes without a sequence are left out. ``ValueError`` if there are no sequences.
    """
    _check(outcome)
    scores = sorted((one for one in outcome.per_class() if one.count), key=lambda one: (one.recall, one.label))
    mean = outcome.mean_class_accuracy()
    row_in = 0.27 if len(scores) <= MOST_VALUES else 0.155
    subtitle = f"{_accuracy(outcome)}; mean of {len(scores)} classes {100 * mean:.1f} %"
    with _page(path, HEAD_IN + row_in * (len(scores) + 1) + 0.5, title="Recall by class", subtitle=subtitle) as figure:
        axes = figure.add_subplot()
        axes.axvline(mean, color=MUTED, linewidth=1, linestyle=DASHED, label="mean recall")
        _draw_recalls(axes, scores)
        _write_classes(axes, scores, size_pt=min(9.0, 0.64 * 72 * row_in))
        figure.legend(loc="upper right", ncols=4)


def plot_reliability(outcome: Outcome, path: Path) -> None:
    """Draw how often answers are right by how sure they are, and how many they are; ``ValueError`` if none."""
    _check(outcome)
    bins = [one for one in reliability(outcome) if one.count]
    subtitle = (
        f"expected calibration error {calibration_error(outcome):.3f}, "
        f"negative log-likelihood {negative_log_likelihood(outcome):.3f}, {len(outcome)} answers"
    )
    with _page(path, 6.8, title="Reliability of scores", subtitle=subtitle) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_accuracies(upper, bins)
        starts, widths = [one.low for one in bins], [one.high - one.low for one in bins]
        drawn = lower.bar(starts, [one.count for one in bins], widths, align="edge", color=MUTED, edgecolor="white")
        lower.bar_label(drawn, color=MUTED, padding=2)
        lower.margins(y=0.2)
        lower.set(xlabel="score of the answer", ylabel="answers", xlim=(0, 1), yticks=[])
        lower.xaxis.set_major_formatter(_percent())
        figure.legend(loc="upper right", ncols=4)


def plot_curves(log_csvs: Mapping[str, Path], path: Path) -> None:
    """Draw the loss of each run, by its name, over its epochs.

    Raises:
        DataError: a log cannot be read, or has no epoch yet.
        ValueError: there is no log.
    """
    from matplotlib.ticker import MaxNLocator

    if not log_csvs:
        raise ValueError("expected at least one run's log, got none: nothing to draw")
    losses = {name: _read_losses(log) for name, log in log_csvs.items()}
    ordered = sorted(losses, key=lambda name: -losses[name][-1, 1])  # the legend's order is that of the lines' ends
    styles = {name: (LINES[place % len(LINES)], DASHES[place // len(LINES) % 3]) for place, name in enumerate(losses)}
    every = np.concatenate(list(losses.values()))[:, 1]
    subtitle = "mean loss of each epoch; the last one beside the name"
    with _page(path, 5.2, title="Training loss", subtitle=subtitle) as figure:
        axes = figure.add_subplot()
        for name in ordered:
            colour, dash = styles[name]
            curve, label = losses[name], f"{losses[name][-1, 1]:.3f}  {_readable(name)}"
            axes.plot(*curve.T, color=colour, linestyle=dash, linewidth=1.8, label=label)
            axes.plot(*curve[-1], color=colour, marker="o", markersize=4)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(steps=(1, 2, 5, 10), integer=True))
        axes.set_yscale("log" if every.min() > 0 and every.max() > WIDEST_LINEAR * every.min() else "linear")
        axes.grid(axis="y")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


@contextmanager
def _page(path: Path, height_in: float, *, title: str, subtitle: str) -> Iterator["Figure"]:
    """Give a figure with a head, in the project's style, and write it."""
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    margin_x, margin_y, head = MARGIN_IN / WIDTH_IN, MARGIN_IN / height_in, HEAD_IN / height_in
    room = ConstrainedLayoutEngine(rect=(margin_x, margin_y, 1 - 2 * margin_x, 1 - margin_y - head))
    with style.context(dict(STYLE)):
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout=room)
        figure.text(margin_x, 1 - margin_y, title, fontsize=14, fontweight="bold", va="top")
        figure.text(margin_x, 1 - margin_y - 0.3 / height_in, subtitle, color=MUTED, va="top")
        yield figure
        figure.savefig(path, format="png")


def _check(outcome: Outcome) -> None:
    """Refuse what would make an empty picture."""
    if not (outcome.places() >= 0).any():
        raise ValueError(
            f"expected at least one sequence of a class that the classifier knows, got none out of {len(outcome)}: "
            "nothing to draw"
        )


def _accuracy(outcome: Outcome) -> str:
    accuracy = outcome.top1()
    bounds = interval(accuracy, len(outcome))
    reach = f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f} %"
    return f"{100 * accuracy:.1f} % of {len(outcome)} answers right (95 % interval {reach})"


def _readable(label: str) -> str:
    name = label.replace("_", " ")
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 3].rstrip()}..."


def _row_height(longest_row: int, num_columns: int) -> float:
    """Return the height in inches of rows whose cells are square, if their names leave the room."""
    room_in = WIDTH_IN - 2 * MARGIN_IN - 0.3 - CHARACTER_IN * longest_row
    return float(np.clip(room_in / num_columns, *ROW_IN))


def _draw_cells(axes: "Axes", shares: Float64[F64, "rows columns"], row_in: float) -> None:
    """Paint right answers blue and wrong ones orange, and write shares in percent if there is room."""
    from matplotlib.colors import to_rgb

    is_right = np.eye(*shares.shape, dtype=np.bool_)
    # A square root makes mistakes of a few percent visible; right answers differ near 1, where a line tells them apart.
    strength = np.where(is_right, shares, np.sqrt(shares))[..., None]
    hues = np.where(is_right[..., None], to_rgb(RIGHT), to_rgb(WRONG))
    axes.imshow(strength * hues + (1 - strength) * to_rgb(EMPTY), aspect="auto", interpolation="nearest")
    if shares.shape[1] <= MOST_VALUES:
        for row, column in np.argwhere(shares):
            share, ink = shares[row, column], "white" if strength[row, column, 0] > WHITE_FROM else INK
            text, size_pt = f"{100 * share:.0f}" if share >= 0.01 else "<1", min(10.0, 0.46 * 72 * row_in)
            axes.text(column, row, text, color=ink, fontsize=size_pt, ha="center", va="center_baseline")


def _name_cells(
    axes: "Axes", rows: Sequence[str], columns: Sequence[str], *, size_pt: float, is_numbered: bool
) -> None:
    """Write what rows and columns stand for, and draw white lines between them."""
    places = range(len(columns))
    if is_numbered:
        rows = [f"{row}  {place}" for place, row in enumerate(rows, start=1)]
        step = NUMBER_EVERY * math.ceil(len(columns) / 120)
        axes.set_xticks(places[step - 1 :: step], [str(place + 1) for place in places[step - 1 :: step]], fontsize=7)
    else:
        axes.set_xticks(places, columns, fontsize=size_pt, rotation=90)
    axes.set_yticks(range(len(rows)), rows, fontsize=size_pt)
    width_pt = min(1.5, 30 / len(columns))
    axes.vlines(np.arange(len(columns) - 1) + 0.5, -0.5, len(rows) - 0.5, color="white", linewidth=width_pt)
    axes.hlines(np.arange(len(rows) - 1) + 0.5, -0.5, len(columns) - 0.5, color="white", linewidth=width_pt)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="said", ylabel="true")


def _add_key(figure: "Figure", colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    figure.legend(handles=[Patch(color=colour, label=name) for name, colour in colours.items()], ncols=len(colours))


def _draw_recalls(axes: "Axes", scores: Sequence[ClassScore]) -> None:
    rows, recalls = range(len(scores)), [one.recall for one in scores]
    whiskers = _whiskers(recalls, [one.count for one in scores])
    axes.barh(rows, recalls, color=RIGHT, height=0.66, label="recall")
    axes.errorbar(recalls, rows, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1, label="95 % interval")
    axes.scatter(
        [one.precision for one in scores],
        rows,
        color=WRONG,
        edgecolor="white",
        s=24,
        clip_on=False,
        zorder=3,
        label="precision",
    )
    axes.set(xlim=(0, 1), ylim=(len(scores) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_percent())
    axes.tick_params(axis="y", length=0)


def _write_classes(axes: "Axes", scores: Sequence[ClassScore], *, size_pt: float) -> None:
    """Write names before the bars, and behind them recall, sequences and the usual mistake."""
    axes.set_yticks(range(len(scores)), [_readable(one.label) for one in scores], fontsize=size_pt)
    _write_row(axes, -1, ("recall", "of", "mistaken for"), size_pt, MUTED)
    for row, one in enumerate(scores):
        mistake = _readable(one.mistaken_for) if one.mistaken_for else ""
        _write_row(axes, row, (f"{100 * one.recall:.0f} %", f"{one.count}", mistake), size_pt, INK)


def _write_row(axes: "Axes", row: int, texts: tuple[str, str, str], size_pt: float, colour: str) -> None:
    for text, offset_pt, align in zip(texts, (42, 70, 82), ("right", "right", "left"), strict=True):
        axes.annotate(
            text,
            (1, row),
            (offset_pt, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            annotation_clip=False,
            color=colour,
            fontsize=size_pt,
            ha=align,
            va="center_baseline",
        )


def _read_losses(log: Path) -> Float64[F64, "epochs 2"]:
    """Return the epochs of a log and their losses."""
    try:
        with log.open(newline="", encoding="utf-8") as file:
            losses = np.array([(float(line["epoch"]), float(line["loss"])) for line in csv.DictReader(file)])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{log}: expected a run's log with an epoch and a loss a line: {error}") from error
    if not len(losses):
        raise DataError(f"{log}: expected a run's log, but no epoch is in it yet; wait for the first")
    return losses


def _draw_accuracies(axes: "Axes", bins: Sequence[ReliabilityBin]) -> None:
    starts, ends = [one.low for one in bins], [one.high for one in bins]
    accuracies = [one.accuracy for one in bins]
    middles, widths = np.add(starts, ends) / 2, np.subtract(ends, starts)
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=DASHED)
    for label, colour, is_few in (("right answers", RIGHT, False), (f"out of fewer than {FEW}", PALE, True)):
        shown = [one for one in bins if (one.count < FEW) == is_few]
        if shown:
            lows, heights = [one.low for one in shown], [one.accuracy for one in shown]
            axes.bar(lows, heights, widths[0], align="edge", color=colour, edgecolor="white", label=label)
    whiskers = _whiskers(accuracies, [one.count for one in bins])
    axes.errorbar(middles, accuracies, yerr=whiskers, fmt="none", ecolor=INK, elinewidth=0.9, label="95 % interval")
    axes.hlines([one.score for one in bins], starts, ends, color=WRONG, linewidth=2.5, label="mean score")
    axes.set(ylabel="right", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(_percent())
    axes.grid(axis="y")


def _whiskers(shares: Sequence[float], counts: Sequence[int]) -> Float64[F64, "2 N"]:
    """Return how far the 95 % intervals of shares reach below and above them."""
    bounds = [interval(share, count) for share, count in zip(shares, counts, strict=True)]
    ends = np.array([[one.low for one in bounds], [one.high for one in bounds]])
    reach: F64 = np.abs(ends - np.array(shares))
    return reach


def _percent() -> "PercentFormatter":
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0, symbol=" %")
