from datetime import UTC, datetime, timedelta

import pytest

from service.cameras.clocks import Clocks
from service.cameras.status import CameraState, Ledger

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Hands:
    """Clocks that are set by hand."""

    def __init__(self):
        self.passed_s = 0.0
        self.clocks = Clocks(lambda: self.passed_s, lambda: NOON + timedelta(seconds=self.passed_s))


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def ledger(hands):
    return Ledger("door", hands.clocks)


def test_a_camera_begins_by_connecting(ledger):
    status = ledger.status()
    assert (status.name, status.state, status.since, status.reconnects) == ("door", "connecting", NOON, 0)
    assert status.last_frame_at is status.lag_ms is status.last_error is None


def test_each_try_after_a_loss_is_a_reconnect_and_the_reason_stays(ledger, hands):
    for state, error in (("connecting", None), ("live", None), ("waiting", "gone"), ("connecting", None)):
        hands.passed_s += 1
        ledger.enter(CameraState(state), error=error)
    status = ledger.status()
    assert (status.state, status.since, status.reconnects) == ("connecting", NOON + timedelta(seconds=4), 1)
    assert status.last_error == "gone"


def test_rate_and_lag_are_those_of_the_last_seconds(ledger, hands):
    for _ in range(100):
        hands.passed_s += 0.1
        ledger.saw_frame(hands.clocks.now(), lag_s=0.02)
    status = ledger.status()
    assert status.fps == pytest.approx(10, abs=0.5)
    assert status.lag_ms == 20
    assert status.last_frame_at == NOON + timedelta(seconds=hands.passed_s)
    hands.passed_s += 60
    assert (ledger.status().fps, ledger.status().lag_ms) == (0, None)
