import random
import time
from functools import partial

import pytest

from pipeline.live import ActionEvent, EventKind, LiveStep
from pipeline.values import LabelScore, Poses, Segment
from pipeline.video import open_video
from service.cameras.backoff import Backoff
from service.cameras.camera import Camera
from service.cameras.clocks import Clocks
from service.cameras.reader import Reader
from service.cameras.session import Watch
from service.metrics import Metrics

WAVE = Segment("wave", 1, 0.9, 0.0, 0.0, (LabelScore("wave", 0.9),))


def event(kind, *, time_s):
    return ActionEvent(kind, 1, 1, WAVE, False, time_s)


class FakeLive:
    """Sees somebody wave from the third frame on; an action is over at the end."""

    def __init__(self, *, look_s=0.0, fault=None):
        self.look_s, self.fault = look_s, fault
        self.num_frames, self.time_s = 0, 0.0

    def push(self, frame):
        assert frame.time_s > self.time_s or not self.num_frames
        time.sleep(self.look_s)
        if self.fault:
            raise self.fault
        self.num_frames, self.time_s = self.num_frames + 1, frame.time_s
        kinds = {3: (EventKind.START,), 4: (EventKind.UPDATE,)}.get(self.num_frames, ())
        return LiveStep(frame.time_s, Poses.empty(17), tuple(event(kind, time_s=frame.time_s) for kind in kinds))

    def finish(self):
        return (event(EventKind.END, time_s=self.time_s),) if self.num_frames >= 3 else ()


class Watched:
    """A camera that is watched, and what is told of it."""

    def __init__(self, address, *, open_live=FakeLive, clocks=None):
        clocks = clocks or Clocks()
        self.events, self.metrics = [], Metrics()
        self.backoff = CountingBackoff()
        watch = Watch(
            open_reader=lambda url: Reader(partial(open_video, url), fps=1000.0, max_side=None, clocks=clocks),
            open_live=open_live,
            publish=self.events.append,
            metrics=self.metrics,
            clocks=clocks,
        )
        self.camera = Camera("door", address, watch, backoff=self.backoff)
        self.camera.start()

    @property
    def told(self):
        return [event.type for event in self.events]

    @property
    def status(self):
        return self.camera.status

    def stop(self):
        self.camera.stop()
        assert self.camera.join(2.0)


class CountingBackoff(Backoff):
    def __init__(self):
        super().__init__(random.Random(0), first_s=0.02, longest_s=0.1)
        self.num_resets = 0

    def reset(self):
        self.num_resets += 1
        super().reset()


@pytest.fixture
def watch():
    watched = []

    def begin(*args, **options):
        watched.append(Watched(*args, **options))
        return watched[-1]

    yield begin
    for one in watched:
        one.stop()


def test_a_camera_comes_up_its_actions_start_and_end_and_it_goes_down(make_camera, watch, wait_until):
    watched = watch(make_camera().address)
    wait_until(lambda: watched.status.last_frame_at and "action.start" in watched.told)
    assert watched.status.state == "live"
    watched.stop()
    assert watched.told == ["camera.up", "action.start", "action.end", "camera.down"]
    assert watched.events[-1].reason == "the service was stopped"
    assert len({event.stream_id for event in watched.events}) == 1
    assert len({event.event_id for event in watched.events}) == 4
    start, end = watched.events[1:3]
    assert start.action.label == end.action.label == "wave"
    assert start.action.type == "action.start"
    assert start.ended_at is None
    assert end.ended_at == end.started_at == start.started_at
    assert 0 < (start.at - start.started_at).total_seconds() < 1


def test_a_camera_that_went_away_is_found_again_and_begins_a_new_stream(make_camera, watch, wait_until):
    camera = make_camera()
    watched = watch(camera.address)
    wait_until(lambda: "action.start" in watched.told)
    camera.stop()
    wait_until(lambda: "camera.down" in watched.told)
    wait_until(lambda: watched.status.state == "waiting")
    camera.start()
    wait_until(lambda: watched.told.count("action.start") == 2)
    assert watched.told == ["camera.up", "action.start", "action.end", "camera.down", "camera.up", "action.start"]
    assert watched.status.state == "live"
    assert watched.status.reconnects >= 1
    assert watched.events[0].stream_id != watched.events[-1].stream_id


def test_neither_states_nor_events_nor_logs_show_the_address(make_camera, watch, wait_until, log):
    camera = make_camera()
    watched = watch(camera.address)
    wait_until(lambda: watched.told)
    camera.stop()
    wait_until(lambda: watched.status.state == "waiting")
    assert watched.events[-1].reason.startswith("door stopped after")
    wait_until(lambda: "door cannot be opened" in watched.status.last_error)
    for shown in (watched.status, watched.events, log):
        assert "hunter2" not in repr(shown)
        assert camera.url not in repr(shown)


def test_a_camera_that_never_answers_is_never_up_nor_down(make_camera, watch, wait_until):
    camera = make_camera()
    camera.stop()
    watched = watch(camera.address)
    wait_until(lambda: watched.status.reconnects >= 3)
    assert watched.told == []


def test_what_nobody_foresaw_ends_a_stream_and_not_the_watch(make_camera, watch, wait_until, log):
    lives = iter([FakeLive(fault=RuntimeError("boom"))])
    watched = watch(make_camera().address, open_live=lambda: next(lives, None) or FakeLive())
    wait_until(lambda: "action.start" in watched.told)
    assert watched.told[:3] == ["camera.up", "camera.down", "camera.up"]
    assert "boom" not in watched.events[1].reason
    assert [line["camera"] for line in log if line["event"] == "unforeseen"] == ["door"]


def test_waits_are_short_again_only_after_a_minute_of_frames(make_camera, watch, wait_until):
    camera = make_camera()
    hurried = Clocks(seconds=lambda: time.monotonic() * 1000)
    steady, brief = watch(camera.address, clocks=hurried), watch(camera.address)
    wait_until(lambda: "action.start" in steady.told and "action.start" in brief.told)
    time.sleep(0.05)
    time.sleep(0.05)
    camera.stop()
    wait_until(lambda: steady.status.reconnects and brief.status.reconnects)
    assert (steady.backoff.num_resets, brief.backoff.num_resets) == (1, 0)


def test_who_looks_slowly_misses_frames_and_does_not_fall_behind(make_camera, watch, wait_until):
    watched = watch(make_camera(fps=100).address, open_live=lambda: FakeLive(look_s=0.05))
    wait_until(lambda: 'late",source="camera"} 5' in watched.metrics.exposition().decode())
    assert 50 <= watched.status.lag_ms < 150


def test_a_camera_that_sends_nothing_does_not_hold_the_end_up(make_camera, watch, wait_until):
    camera = make_camera()
    camera.stall.set()
    watched = watch(camera.address)
    wait_until(lambda: camera.num_connections)
    began_s = time.monotonic()
    watched.stop()
    assert time.monotonic() - began_s < 0.5
