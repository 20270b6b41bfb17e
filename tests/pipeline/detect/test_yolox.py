from collections.abc import Callable

import numpy as np
import pytest

from pipeline.detect import Yolox
from pipeline.detect.yolox import grid, read_head, suppress
from pipeline.onnx import OnnxModel
from pipeline.values import Frame

ConstantModel = Callable[..., OnnxModel]
SIZE = (416, 416)
PICTURE = Frame(np.zeros((416, 416, 3), np.uint8), 0, 0.0)


def head(*people: tuple[int, float], num_classes: int = 1) -> np.ndarray:
    """A raw head that sees a person two cells wide and four high in the middle of each of these cells, with a score."""
    cells, _ = grid(SIZE)
    rows = np.zeros((len(cells), 5 + num_classes), np.float32)
    for cell, score in people:
        rows[cell, :6] = [0.5, 0.5, np.log(2), np.log(4), 1.0, score]
    return rows


def test_the_grids_count_cells_row_by_row_from_fine_to_coarse() -> None:
    cells, strides = grid(SIZE)
    assert len(cells) == 52**2 + 26**2 + 13**2
    assert cells[53].tolist() == [1, 1]
    assert strides[[0, 52**2, -1], 0].tolist() == [8, 16, 32]
    assert cells[-1].tolist() == [12, 12]


def test_a_raw_head_is_decoded_into_a_box_around_its_cell() -> None:
    found = read_head(head((52 * 10 + 20, 0.8)), SIZE)
    assert found.boxes_xyxy[0].tolist() == pytest.approx([20.5 * 8 - 8, 10.5 * 8 - 16, 20.5 * 8 + 8, 10.5 * 8 + 16])
    assert found.scores.tolist() == pytest.approx([0.8])


def test_of_boxes_on_top_of_each_other_the_surest_stays() -> None:
    cell = 52 * 10 + 20
    rows = head((cell, 0.6), (cell + 1, 0.9), (cell + 20, 0.5))
    rows[[cell, cell + 1], 2] = np.log(8)  # eight cells wide: neighbours overlap by more than the threshold
    assert read_head(rows, SIZE).scores.tolist() == pytest.approx([0.9, 0.5])


def test_other_classes_are_not_people() -> None:
    rows = head(num_classes=80)
    rows[100, [4, 5 + 7]] = 1.0
    assert len(read_head(rows, SIZE)) == 0


def test_suppressing_nothing_leaves_nothing() -> None:
    assert len(suppress(np.zeros((0, 4), np.float32))) == 0


def test_both_kinds_of_file_give_the_same_people(constant_model: ConstantModel) -> None:
    raw = constant_model((1, 3, *SIZE), {"output": head((52 * 10 + 20, 0.8))[None]})
    box = [[20.5 * 8 - 8, 10.5 * 8 - 16, 20.5 * 8 + 8, 10.5 * 8 + 16, 0.8]]
    dets = {"dets": np.array([box], np.float32), "labels": np.zeros((1, 1), np.int64)}
    (first,), (second,) = (Yolox(model).find([PICTURE]) for model in (raw, constant_model((1, 3, *SIZE), dets)))
    assert first.boxes_xyxy == pytest.approx(second.boxes_xyxy)
    assert first.scores == pytest.approx(second.scores)
