"""Contact sheets show sequences of each label, people whole and in their places."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories import COCO17, make_figure

from training.contact_sheets import CELL, CELL_WH, GAP_PX, MOMENTS, PAPER, ROWS, TITLE_PX, choose, draw_sheets
from training.datasets.skeleton_set import SkeletonSet, build_set

Make = Callable[..., SkeletonSet]


@pytest.fixture
def make() -> Make:
    """Make a set of somebody who walks to the right, and a second person who is there in the second half."""

    def build(num: int = 14, *, scale: float = 1.0, offset: float = 0.0) -> SkeletonSet:
        frames = np.zeros((10 * num, 2, 17, 2), np.float32)
        frames[:, 0] = [scale * make_figure(x=100 + 10 * (place % 10)) + offset for place in range(10 * num)]
        frames[:, 1] = scale * make_figure(x=260) + offset
        scores = np.ones(frames.shape[:-1], np.float32)
        scores[np.arange(10 * num) % 10 < 5, 1] = 0
        arrays = {
            "x": frames,
            "offsets": np.arange(0, 10 * num + 1, 10),
            "y": np.arange(num) % 3,
            "classes": np.array(["wave", "jump", "bow"]),
            "joints": np.array(COCO17.joints),
        }
        return build_set("sheets", arrays, layout=COCO17, scores=scores, fps=15.0)

    return build


def sheets(source: SkeletonSet, chosen: list[int]) -> list[np.ndarray]:
    return list(draw_sheets(source, chosen, [f"clip-{place}.mp4" for place in range(len(source))]))


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return the picture of one moment without the time that is written on it."""
    top = row * (TITLE_PX + CELL_WH[1] + GAP_PX) + TITLE_PX
    left = GAP_PX + column * (CELL_WH[0] + GAP_PX)
    return sheet[top + 20 : top + CELL_WH[1], left : left + CELL_WH[0]]


def columns_with_ink(picture: np.ndarray) -> np.ndarray:
    return np.flatnonzero((picture != CELL).any(axis=(0, 2)))


def test_labels_take_turns(make: Make) -> None:
    source = make()
    chosen = choose(source, 6, (), np.random.default_rng(0))
    assert np.bincount(source.labels[chosen]).tolist() == [2, 2, 2]
    assert len(choose(source, 99, (), np.random.default_rng(0))) == 14
    assert choose(source, 6, (), np.random.default_rng(0)) == chosen


def test_a_label_can_be_asked_for(make: Make) -> None:
    source = make()
    chosen = choose(source, 3, ["jump"], np.random.default_rng(0))
    assert [source.label(place) for place in chosen] == ["jump"] * 3
    with pytest.raises(ValueError, match="no label hop: expected some of wave, jump, bow"):
        choose(source, 3, ["hop"], np.random.default_rng(0))


def test_so_many_rows_make_a_sheet(make: Make) -> None:
    pictures = sheets(make(), list(range(8)))
    assert [picture.shape[0] // (TITLE_PX + CELL_WH[1] + GAP_PX) for picture in pictures] == [ROWS, 2]
    assert all(picture.dtype == np.uint8 for picture in pictures)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.003, -1.0), (40.0, 5000.0)])
def test_people_are_drawn_whole_whatever_unit_they_come_in(make: Make, scale: float, offset: float) -> None:
    (sheet,) = sheets(make(1, scale=scale, offset=offset), [0])
    for column in range(MOMENTS):
        ink = columns_with_ink(cell(sheet, 0, column))
        assert 0 < ink.min() < ink.max() < CELL_WH[0] - 1


def test_a_sequence_is_seen_from_one_place(make: Make) -> None:
    (sheet,) = sheets(make(1), [0])
    starts = [columns_with_ink(cell(sheet, 0, column)).min() for column in range(MOMENTS)]
    assert starts == sorted(starts)
    assert starts[0] < starts[-1] - 20


def test_who_is_not_there_is_not_drawn(make: Make) -> None:
    (sheet,) = sheets(make(1), [0])
    widths = [np.ptp(columns_with_ink(cell(sheet, 0, column))) for column in (0, MOMENTS - 1)]
    assert widths[0] < widths[1]


def test_a_title_stands_over_each_row(make: Make) -> None:
    (sheet,) = sheets(make(2), [0, 1])
    title = sheet[:TITLE_PX]
    assert (title != PAPER).any()


def test_a_sequence_in_which_nothing_is_seen_is_an_empty_row(make: Make, tmp_path: Path) -> None:
    source = make(1)
    source.scores[:] = 0
    (sheet,) = sheets(source, [0])
    assert not columns_with_ink(cell(sheet, 0, 0)).size
