import json
import time
from datetime import UTC, datetime

import pytest

from service.app import create_app
from service.settings import Settings


def lines_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def start(serve, engine, tmp_path, make_camera, receiver):
    """Start a service that watches a camera twice, and return it with its file of events."""

    def begin(camera):
        settings = Settings(
            cameras=f"door={camera.address} hall={camera.address}",
            camera_events=tmp_path / "events.jsonl",
            webhooks=receiver.url,
        )
        return serve(create_app(settings, engine=engine)), tmp_path / "events.jsonl"

    return begin


def test_events_are_written_and_posted_alike(start, make_camera, receiver, wait_until):
    camera = make_camera()
    _, path = start(camera)
    wait_until(lambda: len(lines_in(path)) == len(receiver.posted) == 2)
    assert {(line["camera"], line["type"]) for line in lines_in(path)} == {("door", "camera.up"), ("hall", "camera.up")}
    camera.stop()
    wait_until(lambda: len(lines_in(path)) == len(receiver.posted) == 4)
    assert sorted(map(json.dumps, lines_in(path))) == sorted(json.dumps(json.loads(body)) for body in receiver.bodies)
    assert [post.headers["x-marey-event-id"] for post in receiver.posted] == [
        json.loads(body)["event_id"] for body in receiver.bodies
    ]


def test_a_service_that_is_stopped_says_so_of_its_cameras(make_camera, receiver, engine, wait_until):
    camera = make_camera()
    settings = Settings(cameras=f"door={camera.address}", webhooks=receiver.url)
    app = create_app(settings, engine=engine)
    cameras = app.state.service.cameras
    app.state.service.readiness.warm_up()
    cameras.start()
    wait_until(lambda: receiver.posted)
    began_s = time.monotonic()
    cameras.close()
    assert time.monotonic() - began_s < 1
    assert [json.loads(body)["type"] for body in receiver.bodies] == ["camera.up", "camera.down"]


@pytest.mark.slow
def test_what_people_do_before_a_camera_is_told_with_the_time_of_day(
    serve, watchful_engine, tmp_path, make_camera, wait_until
):
    camera, path = make_camera(fps=30), tmp_path / "events.jsonl"
    began_at = datetime.now(UTC)
    serve(create_app(Settings(cameras=f"door={camera.address}", camera_events=path), engine=watchful_engine))
    wait_until(lambda: "action.end" in path.read_text() if path.exists() else False, within_s=20)
    up, start, end = lines_in(path)
    assert [line["type"] for line in (up, start, end)] == ["camera.up", "action.start", "action.end"]
    assert start["action"]["label"] == end["action"]["label"] == "raise_arms"
    assert start["action"]["action_id"] == end["action"]["action_id"]
    assert "ended_at" not in start
    up_at, started_at, ended_at = map(datetime.fromisoformat, (up["at"], end["started_at"], end["ended_at"]))
    assert began_at < up_at
    assert (started_at - up_at).total_seconds() == pytest.approx(2, abs=0.5)
    assert (ended_at - started_at).total_seconds() == pytest.approx(2, abs=0.5)


def test_neither_a_stalled_camera_nor_a_stalled_receiver_holds_the_service_up(
    make_camera, receiver, engine, monkeypatch, wait_until
):
    monkeypatch.setattr("service.cameras.cameras.LAST_POST_S", 0.3)
    camera = make_camera()
    app = create_app(Settings(cameras=f"door={camera.address}", webhooks=receiver.url), engine=engine)
    cameras = app.state.service.cameras
    app.state.service.readiness.warm_up()
    receiver.stall.set()
    cameras.start()
    wait_until(lambda: receiver.posted)
    camera.stall.set()
    began_s = time.monotonic()
    cameras.close()
    assert time.monotonic() - began_s < 1
    receiver.stall.clear()
