"""Times that rise, and the thinning of frames to a grid of times."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import Clock, Grid


def thinned(times_s: list[float], fps: float) -> list[float]:
    grid = Grid(fps)
    return [time_s for time_s in times_s if grid.wants(time_s)]


def evenly(fps: float, num_frames: int) -> list[float]:
    return [index / fps for index in range(num_frames)]


def told_times(stamps: list[int | None], *, fps: float = 10.0) -> list[float]:
    clock, times_s = Clock(fps), []
    for stamp in stamps:
        picture = av.VideoFrame(16, 16, "yuv420p")
        picture.pts, picture.time_base = stamp, Fraction(1, 10)
        clock.advance(picture)
        times_s.append(clock.now_s)
    return times_s


def test_a_30_fps_stream_and_its_15_fps_copy_are_thinned_to_the_same_times() -> None:
    assert thinned(evenly(30, 300), 15.0) == pytest.approx(thinned(evenly(15, 150), 15.0))
    assert thinned(evenly(15, 150), 15.0) == evenly(15, 150)


def test_timestamps_rounded_to_milliseconds_are_thinned_to_the_same_frames() -> None:
    rounded = [round(time_s, 3) for time_s in evenly(30, 300)]

    assert thinned(rounded, 15.0) == rounded[::2]


@pytest.mark.parametrize("source_fps", [20.0, 24.0, 25.0, 29.97, 50.0, 60.0, 119.88])
def test_each_time_of_the_grid_gets_its_nearest_frame(source_fps: float) -> None:
    times_s = np.array(evenly(source_fps, 600))
    grid_s = np.arange(int(times_s[-1] * 15)) / 15
    nearest_s = np.abs(times_s[:, None] - grid_s).min(axis=0)

    chosen_s = np.array(thinned(times_s.tolist(), 15.0))

    assert np.abs(chosen_s[:, None] - grid_s).min(axis=0) == pytest.approx(nearest_s, abs=1e-6)
    assert len(chosen_s) == pytest.approx(len(grid_s), abs=2)


@pytest.mark.parametrize("source_fps", [1.0, 5.0, 10.0, 12.5, 14.99, 15.0])
def test_a_source_slower_than_the_grid_gives_every_frame(source_fps: float) -> None:
    times_s = evenly(source_fps, 200)

    assert thinned(times_s, 15.0) == times_s


@given(st.lists(st.floats(0.001, 0.5), min_size=2, max_size=60))
def test_however_uneven_a_stream_no_time_of_the_grid_is_taken_twice(intervals_s: list[float]) -> None:
    chosen_s = thinned(np.cumsum(intervals_s).tolist(), 15.0)

    assert len({round(time_s * 15) for time_s in chosen_s}) == len(chosen_s)


def test_times_begin_at_zero_whatever_the_first_timestamp() -> None:
    assert told_times([70, 71, 73]) == pytest.approx([0.0, 0.1, 0.3])


def test_frames_without_timestamps_are_counted() -> None:
    assert told_times([None, None, None]) == pytest.approx([0.0, 0.1, 0.2])


def test_frames_that_repeat_a_timestamp_still_rise_and_the_next_is_on_time_again() -> None:
    times_s = told_times([0, 1, 1, 2])

    assert times_s == pytest.approx([0.0, 0.1, 0.101, 0.2])


def test_a_clock_set_back_goes_on_from_where_it_was() -> None:
    assert told_times([0, 1, 50, 0, 1]) == pytest.approx([0.0, 0.1, 5.0, 5.1, 5.2])


@given(st.lists(st.integers(-(10**6), 10**6) | st.none(), min_size=1, max_size=40))
def test_times_rise_strictly_whatever_the_timestamps(stamps: list[int | None]) -> None:
    assert (np.diff(told_times(stamps)) > 0).all()


def test_pictures_without_times_are_timed_on_arrival() -> None:
    arrivals = iter([100.0, 100.5, 101.5])
    clock = Clock(25.0, arrival_s=lambda: next(arrivals))
    times_s = []
    for _ in range(3):
        clock.advance(av.VideoFrame(16, 16, "yuv420p"))
        times_s.append(clock.now_s)

    assert times_s == pytest.approx([0.0, 0.5, 1.5])
