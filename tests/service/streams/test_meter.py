from service.streams.meter import MAX_KEPT, Meter


def test_without_answers_there_is_no_lag():
    stats = Meter().stats(10.0)
    assert (stats.lag_ms, stats.lag_p95_ms, stats.fps) == (0, 0, 0)


def test_lag_is_that_of_the_last_second_and_its_percentile_that_of_the_last_seconds():
    meter = Meter()
    for tenth in range(100):
        meter.saw_answer(tenth / 10, lag_ms=tenth)
    stats = meter.stats(9.95)
    assert stats.processed == 100
    assert (stats.fps, stats.lag_ms) == (10, 94.5)
    assert stats.lag_p95_ms == 96.5


def test_one_answer_is_its_own_percentile():
    meter = Meter()
    meter.saw_answer(1.0, lag_ms=30)
    assert meter.stats(1.5).lag_p95_ms == 30


def test_memory_does_not_grow():
    meter = Meter()
    for _ in range(2 * MAX_KEPT):
        meter.saw_answer(1.0, lag_ms=1)
    assert len(meter._answers) == MAX_KEPT
