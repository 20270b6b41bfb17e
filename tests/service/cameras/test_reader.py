import time
from functools import partial

import pytest

from pipeline.errors import NotAVideo, SourceLost
from pipeline.video import open_video
from service.cameras.clocks import Clocks
from service.cameras.reader import Reader


def open_reader(source, *, fps=1000.0, max_side=None):
    return Reader(partial(open_video, source), fps=fps, max_side=max_side, clocks=Clocks())


def test_frames_come_one_after_the_other(make_camera):
    reader = open_reader(make_camera().address, max_side=32)
    arrivals = [reader.take() for _ in range(4)]
    reader.close()
    assert arrivals[0].frame.size_wh == (32, 24)
    times_s = [arrival.frame.time_s for arrival in arrivals]
    assert times_s == sorted(set(times_s))
    assert abs(arrivals[-1].arrived_s - time.monotonic()) < 1


def test_who_is_slow_gets_the_newest_frame_and_learns_how_many_were_missed(make_camera):
    reader = open_reader(make_camera(fps=100).address)
    first = reader.take()
    time.sleep(0.05)
    time.sleep(0.05)
    then = reader.take()
    reader.close()
    assert 4 <= then.num_missed < then.frame.index - first.frame.index
    assert time.monotonic() - then.arrived_s < 0.05


def test_a_camera_that_goes_away_is_lost_after_its_last_frame(make_camera):
    camera = make_camera()
    reader = open_reader(camera.address)
    assert reader.take()
    camera.stop()
    with pytest.raises(SourceLost, match="stopped after"):
        list(iter(reader.take, None))


def test_a_camera_that_is_not_there_is_lost(make_camera):
    camera = make_camera()
    camera.stop()
    with pytest.raises(SourceLost, match="cannot be opened"):
        open_reader(camera.address).take()


def test_a_file_is_no_camera(tmp_path, film):
    (tmp_path / "film.mp4").write_bytes(film())
    with pytest.raises(NotAVideo, match="a file that ends"):
        open_reader(tmp_path / "film.mp4").take()


@pytest.mark.parametrize("is_stalled", [False, True], ids=["frames come", "nothing comes"])
def test_closing_wakes_who_waits_and_waits_for_nobody(make_camera, is_stalled):
    camera = make_camera()
    if is_stalled:
        camera.stall.set()
    reader = open_reader(camera.address)
    began_s = time.monotonic()
    reader.close()
    assert reader.take() is None
    assert time.monotonic() - began_s < 0.5
