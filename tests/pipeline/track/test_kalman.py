import numpy as np
import pytest

from pipeline.track.kalman import BoxStates

BOXES = np.array([[100, 50, 160, 250], [400, 80, 470, 240]], np.float32)


def follow(velocity: float, step_s: float, num_steps: int) -> BoxStates:
    states = BoxStates.born(BOXES)
    for number in range(1, num_steps + 1):
        states = states.predicted(np.full(2, step_s)).corrected(BOXES + np.float32(velocity * step_s * number))
    return states


def test_a_box_seen_once_is_expected_where_it_was() -> None:
    states = BoxStates.born(BOXES)
    np.testing.assert_allclose(states.predicted(np.array([1.0, 0.0])).boxes_xyxy, BOXES, atol=1e-3)


@pytest.mark.parametrize("fps", [5, 10, 25, 60])
def test_the_speed_is_learnt_in_px_a_second_at_any_frame_rate(fps: int) -> None:
    states = follow(80.0, 1 / fps, 2 * fps)
    np.testing.assert_allclose(states.velocity[:, :2], 80.0, rtol=0.12)
    np.testing.assert_allclose(states.velocity[:, 2:], 0.0, atol=1.0)


def test_a_moving_box_is_expected_further_on_and_less_surely_the_longer_it_is_unseen() -> None:
    states = follow(80.0, 0.1, 20)
    soon, late = states.predicted(np.full(2, 0.1)), states.predicted(np.full(2, 1.0))
    assert (soon.boxes_xyxy[:, 0] < late.boxes_xyxy[:, 0]).all()
    assert (states.spread < soon.spread).all()
    assert (soon.spread < late.spread).all()


def test_each_box_may_have_its_own_step() -> None:
    states = follow(80.0, 0.1, 20)
    mixed = states.predicted(np.array([0.1, 1.0]))
    np.testing.assert_allclose(mixed.position[0], states.predicted(np.full(2, 0.1)).position[0])
    np.testing.assert_allclose(mixed.covariance[1], states.predicted(np.full(2, 1.0)).covariance[1])


def test_variances_stay_those_of_a_filter_written_with_matrices() -> None:
    size_px, step = np.sqrt(60 * 200), 0.2
    kept, travel = np.exp(-step / 2.0), 2.0 * (1 - np.exp(-step / 2.0))
    P = np.diag([(0.05 * size_px) ** 2, (1.5 * size_px) ** 2])
    F, H, R = np.array([[1, travel], [0, kept]]), np.array([[1.0, 0.0]]), (0.05 * size_px) ** 2
    Q = (1.5 * size_px) ** 2 * np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])
    P = F @ P @ F.T + Q
    gain = P @ H.T / (H @ P @ H.T + R)
    P = (np.eye(2) - gain @ H) @ P
    states = BoxStates.born(BOXES[:1]).predicted(np.array([step])).corrected(BOXES[:1])
    np.testing.assert_allclose(states.position_var[0, 0], P[0, 0])
    np.testing.assert_allclose(states.covariance[0, 0], P[0, 1])
    np.testing.assert_allclose(states.velocity_var[0, 0], P[1, 1])


def test_nobody_is_followed_like_anybody_else() -> None:
    nobody = BoxStates.born(np.zeros((0, 4), np.float32))
    states = nobody.predicted(np.zeros(0)).corrected(np.zeros((0, 4), np.float32))
    assert states.boxes_xyxy.shape == (0, 4)
    assert nobody.joined(BoxStates.born(BOXES)).boxes_xyxy.shape == (2, 4)
