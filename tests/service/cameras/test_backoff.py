import random

from service.cameras.backoff import Backoff


def test_waits_double_to_a_minute_and_are_shortened_by_chance_to_no_less_than_half():
    backoff = Backoff(random.Random(0))
    waits_s = [backoff.next_s() for _ in range(9)]
    full_s = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(full / 2 <= wait <= full for wait, full in zip(waits_s, full_s, strict=True))
    assert len({wait / full for wait, full in zip(waits_s, full_s, strict=True)}) == 9


def test_after_a_success_waits_are_short_again():
    backoff = Backoff(random.Random(0))
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1
