import numpy as np
import pytest

from pipeline.pose.simcc import read_simcc

SIZE = (192, 256)


def rows_with(cell: int, height: float, num_cells: int) -> np.ndarray:
    row = np.zeros((1, 1, num_cells), np.float32)
    row[0, 0, cell] = height
    return row


def test_a_joint_is_at_the_highest_cell_of_each_row() -> None:
    joints, scores = read_simcc({"simcc_x": rows_with(101, 0.9, 384), "simcc_y": rows_with(400, 0.7, 512)}, SIZE)
    assert joints[0, 0].tolist() == [50.5, 200]
    assert scores[0, 0] == pytest.approx(0.7)


@pytest.mark.parametrize(("height", "score"), [(1.7, 1.0), (-0.2, 0.0)])
def test_scores_stay_between_nothing_and_one(height: float, score: float) -> None:
    outputs = {"simcc_x": np.full((1, 1, 384), height, np.float32), "simcc_y": np.full((1, 1, 512), height, np.float32)}
    assert read_simcc(outputs, SIZE)[1].tolist() == [[score]]
