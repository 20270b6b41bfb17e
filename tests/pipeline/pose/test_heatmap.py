import numpy as np
import pytest

from pipeline.pose.heatmap import peak_offsets, read_heatmaps

SIZE = (192, 256)
ROWS, COLUMNS = np.mgrid[:64, :48]


def bump(x: float, y: float, *, height: float = 0.9, sigma: float = 2.0) -> np.ndarray:
    return (height * np.exp(-((COLUMNS - x) ** 2 + (ROWS - y) ** 2) / (2 * sigma**2))).astype(np.float32)


@pytest.mark.parametrize(("x", "y"), [(20.0, 30.0), (20.3, 30.4), (5.75, 58.2), (40.49, 3.51)])
def test_the_top_of_a_gaussian_is_found_between_the_cells(x: float, y: float) -> None:
    joints, scores = read_heatmaps({"heatmaps": bump(x, y)[None, None]}, SIZE)
    assert joints[0, 0] == pytest.approx([4 * x, 4 * y], abs=0.05)
    assert scores[0, 0] == pytest.approx(bump(x, y).max())


def test_the_step_to_the_top_is_newton_s() -> None:
    bumps = np.stack([bump(20.3, 30.4), bump(21.4, 9.8)])
    steps = peak_offsets(bumps, np.array([30, 10]), np.array([20, 21]))
    for index, (row, column) in enumerate([(30, 20), (10, 21)]):
        logs = np.log(np.maximum(bumps[index].astype(np.float64), 1e-10))
        gradient = (
            np.array([logs[row, column + 1] - logs[row, column - 1], logs[row + 1, column] - logs[row - 1, column]]) / 2
        )
        dxy = (
            logs[row + 1, column + 1]
            - logs[row - 1, column + 1]
            - logs[row + 1, column - 1]
            + logs[row - 1, column - 1]
        ) / 4
        dxx = (logs[row, column + 2] - 2 * logs[row, column] + logs[row, column - 2]) / 4
        dyy = (logs[row + 2, column] - 2 * logs[row, column] + logs[row - 2, column]) / 4
        expected = -np.linalg.inv(np.array([[dxx, dxy], [dxy, dyy]])) @ gradient
        assert steps[index] == pytest.approx(expected, abs=1e-5)


def test_a_joint_at_the_rim_is_at_its_highest_cell() -> None:
    joints, _ = read_heatmaps({"heatmaps": bump(0, 63)[None, None]}, SIZE)
    assert joints[0, 0].tolist() == [0, 252]


def test_a_flat_map_is_nowhere_and_scores_nothing() -> None:
    joints, scores = read_heatmaps({"heatmaps": np.zeros((1, 2, 64, 48), np.float32)}, SIZE)
    assert np.isfinite(joints).all()
    assert scores.tolist() == [[0, 0]]


def test_noise_moves_a_joint_by_a_cell_at_most(rng: np.random.Generator) -> None:
    heatmaps = rng.uniform(0, 1e-3, (4, 17, 64, 48)).astype(np.float32)
    joints, _ = read_heatmaps({"heatmaps": heatmaps}, SIZE)
    peaks = heatmaps.reshape(4, 17, -1).argmax(axis=2)
    cells = np.stack([peaks % 48, peaks // 48], axis=2) * 4
    assert np.abs(joints - cells).max() <= 4.001
