"""Pictures show what was measured, and can be read."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.errors import DataError
from training.plots import RIGHT, WRONG, plot_confusion, plot_curves, plot_per_class, plot_reliability
from training.scores import Outcome

Plot = Callable[[Outcome, Path], None]
PLOTS: tuple[Plot, ...] = (plot_confusion, plot_per_class, plot_reliability)


def sure(answers: Sequence[str], truth: Sequence[str], labels: Sequence[str]) -> Outcome:
    """Return the outcome of a classifier that is 80 % sure of these answers."""
    rows = np.array([[label == answer for label in labels] for answer in answers], np.float32)
    return Outcome(0.8 * rows + np.float32(0.2 / len(labels)), tuple(truth), tuple(labels))


def random_outcome(num_labels: int, *, each: int = 4) -> Outcome:
    labels = tuple(f"do_something_with_number_{place}" for place in range(num_labels))
    rng = np.random.default_rng(0)
    truth = labels * each
    scores = rng.random((len(truth), num_labels)) + 0.6 * np.tile(np.eye(num_labels), (each, 1))
    return Outcome((scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), truth, labels)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are written."""
    figures: list[Figure] = []
    write = Figure.savefig

    def remember(figure: Figure, *args: object, **options: object) -> None:
        figures.append(figure)
        write(figure, *args, **options)  # type: ignore[arg-type]  # handed on as they come

    monkeypatch.setattr(Figure, "savefig", remember)
    return figures


def share_of(path: Path, colour: str) -> float:
    """Return the share of a picture's pixels, without its key in the corner, that are just of a colour."""
    wanted = np.array(tuple(bytes.fromhex(colour.removeprefix("#")))[::-1])
    return float((read_png(path)[150:] == wanted).all(axis=-1).mean())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def names_of_rows(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def names_of_columns(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def read_png(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_are_pngs_of_one_width_whatever_the_number_of_classes(plot: Plot, tmp_path: Path) -> None:
    for num_labels in (1, 12):
        plot(random_outcome(num_labels), tmp_path / "plot.png")
        height, width, _ = read_png(tmp_path / "plot.png").shape
        assert width == 1800
        assert 300 < height < 2000


def test_every_one_of_120_classes_has_room_for_its_name(drawn: list[Figure], tmp_path: Path) -> None:
    for plot in (plot_confusion, plot_per_class):
        plot(random_outcome(120, each=2), tmp_path / "plot.png")
        labels = drawn.pop().axes[0].get_yticklabels()
        boxes = sorted((label.get_window_extent() for label in labels if label.get_text()), key=lambda box: box.y0)
        assert len(boxes) == 120
        assert all(lower.y1 <= upper.y0 + 2 for lower, upper in pairwise(boxes))
        # As seen 900 px wide: half of what it is.
        assert min(float(label.get_fontsize()) for label in labels) * 200 / 72 / 2 > 8


def test_right_answers_are_blue_and_mistakes_orange(tmp_path: Path) -> None:
    labels = ("squat", "wave")
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    plot_confusion(sure(labels, labels, labels), right)
    plot_confusion(sure(labels[::-1], labels, labels), wrong)
    assert min(share_of(right, RIGHT), share_of(wrong, WRONG)) > 0.1
    assert share_of(right, WRONG) == share_of(wrong, RIGHT) == 0


def test_cells_say_which_percentage_of_their_row_they_are(drawn: list[Figure], tmp_path: Path) -> None:
    labels = ("jump_rope", "wave")
    judged = sure(
        ["jump_rope"] * 2 + ["wave"] + ["wave"] * 300 + ["jump_rope"], ["jump_rope"] * 3 + ["wave"] * 301, labels
    )
    plot_confusion(judged, tmp_path / "plot.png")
    assert texts(drawn[0]) == ["67", "33", "<1", "100"]
    assert names_of_rows(drawn[0]) == ["jump rope (3)", "wave (301)"]


def test_classes_without_a_sequence_have_a_last_column_if_they_are_said_and_no_row(
    drawn: list[Figure], tmp_path: Path
) -> None:
    judged = sure(["idle", "wave"], ["squat", "wave"], ("idle", "squat", "throw", "wave"))
    plot_confusion(judged, tmp_path / "plot.png")
    plot_per_class(judged, tmp_path / "plot.png")
    confusion, per_class = drawn
    assert names_of_rows(confusion) == ["squat (1)", "wave (1)"]
    assert names_of_columns(confusion) == ["squat", "wave", "idle"]
    assert names_of_rows(per_class) == ["squat", "wave"]


def test_cells_of_many_classes_say_nothing_and_columns_of_very_many_are_numbered(
    drawn: list[Figure], tmp_path: Path
) -> None:
    plot_confusion(random_outcome(31), tmp_path / "plot.png")
    plot_confusion(random_outcome(61), tmp_path / "plot.png")
    many, very_many = drawn
    assert texts(many) == texts(very_many) == []
    assert names_of_columns(many)[30] == "do something with number 30"
    assert names_of_columns(very_many)[:2] == ["5", "10"]
    assert names_of_rows(very_many)[9] == "do something with number 9 (4)  10"


def test_classes_come_by_their_recall_with_their_sequences_and_usual_mistake(
    drawn: list[Figure], tmp_path: Path
) -> None:
    answers = ["squat"] * 4 + ["wave", "squat"] + ["squat", "squat"]
    truth = ["squat"] * 4 + ["wave", "wave"] + ["throw", "throw"]
    plot_per_class(sure(answers, truth, ("squat", "throw", "wave")), tmp_path / "plot.png")
    assert names_of_rows(drawn[0]) == ["throw", "wave", "squat"]
    rows = [texts(drawn[0])[start : start + 3] for start in range(3, 12, 3)]
    assert rows == [["0 %", "2", "squat"], ["50 %", "2", "squat"], ["100 %", "4", ""]]
    low, high = drawn[0].axes[0].get_ylim()
    assert low > high  # the first row is at the top


def test_the_bars_of_reliability_are_shares_of_right_answers_over_how_many_there_are(
    drawn: list[Figure], tmp_path: Path
) -> None:
    rows = np.array([[0.9, 0.1]] * 20 + [[0.7, 0.3]] * 4, np.float32)
    judged = Outcome(rows, tuple(["squat"] * 15 + ["wave"] * 5 + ["squat"] + ["wave"] * 3), ("squat", "wave"))
    plot_reliability(judged, tmp_path / "plot.png")
    upper, lower = drawn[0].axes
    assert [(bar.get_x(), bar.get_height()) for bar in upper.patches] == [  # type: ignore[attr-defined]  # rectangles
        (pytest.approx(13 / 15), 0.75),
        (pytest.approx(10 / 15), 0.25),
    ]
    assert [text.get_text() for text in lower.texts] == ["4", "20"]
    assert any("expected calibration error 0.200" in text.get_text() for text in drawn[0].texts)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("truth", [(), ("dance",)], ids=["no sequence", "none of a known class"])
def test_nothing_to_draw_is_refused(plot: Plot, truth: tuple[str, ...], tmp_path: Path) -> None:
    empty = Outcome(np.full((len(truth), 2), 0.5, np.float32), truth, ("squat", "wave"))
    with pytest.raises(ValueError, match="nothing to draw"):
        plot(empty, tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()


def test_a_label_is_text_whatever_is_in_it(drawn: list[Figure], tmp_path: Path) -> None:
    labels = ("win_$10_or_$20", "x" * 60)
    plot_confusion(sure(labels, labels, labels), tmp_path / "plot.png")
    assert names_of_columns(drawn[0]) == ["win $10 or $20", f"{'x' * 27}..."]


def write_log(path: Path, losses: Sequence[float]) -> Path:
    lines = [f"{epoch},0.001,{loss},100" for epoch, loss in enumerate(losses)]
    path.write_text("\n".join(["epoch,learning_rate,loss,windows_per_s", *lines]) + "\n", encoding="utf-8")
    return path


def test_curves_are_the_losses_of_the_logs_named_in_the_order_of_their_ends(
    drawn: list[Figure], tmp_path: Path
) -> None:
    logs = {
        "wide": write_log(tmp_path / "a.csv", [3.0, 1.5, 1.0]),
        "narrow": write_log(tmp_path / "b.csv", [3.0, 2.5]),
        "begun": write_log(tmp_path / "c.csv", [2.0]),
    }
    plot_curves(logs, tmp_path / "curves.png")
    axes = drawn[0].axes[0]
    curves = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.lines[::2]}
    assert list(curves.items()) == [
        ("2.500  narrow", [3.0, 2.5]),
        ("2.000  begun", [2.0]),
        ("1.000  wide", [3.0, 1.5, 1.0]),
    ]
    assert read_png(tmp_path / "curves.png").shape[1] == 1800


def test_losses_that_fall_far_are_drawn_by_their_logarithm(drawn: list[Figure], tmp_path: Path) -> None:
    plot_curves({"far": write_log(tmp_path / "far.csv", [5.0, 0.1])}, tmp_path / "plot.png")
    plot_curves({"near": write_log(tmp_path / "near.csv", [5.0, 1.0])}, tmp_path / "plot.png")
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["log", "linear"]


def test_more_runs_than_colours_can_be_told_apart(drawn: list[Figure], tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [2.0, 1.0])
    plot_curves({f"run {place}": log for place in range(20)}, tmp_path / "plot.png")
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn[0].axes[0].lines[::2]}
    assert len(looks) == 20


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "epoch,learning_rate,loss,windows_per_s\n",
        "step,loss\n0,1.0\n",
        "epoch,loss\n0,high\n",
        "epoch,loss\n0\n",
    ],
    ids=["missing", "empty", "without an epoch", "of something else", "no number", "cut off"],
)
def test_a_log_that_says_nothing_is_named(content: str | None, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    if content is not None:
        log.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.csv: expected a run's log"):
        plot_curves({"run": log}, tmp_path / "plot.png")


def test_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run's log"):
        plot_curves({}, tmp_path / "plot.png")


def test_plots_leave_the_settings_of_others_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    plot_confusion(random_outcome(3), tmp_path / "plot.png")
    assert dict(matplotlib.rcParams) == before


def test_matplotlib_is_loaded_with_the_first_plot_and_not_before() -> None:
    check = "import sys, training.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False, cwd=Path(__file__).parents[2]).returncode == 0
