import json
from datetime import UTC, datetime, timedelta
from threading import Thread

from service.cameras.events import CameraEvent, EventLog, TimeOfDay

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_an_event_has_an_id_of_its_own_and_times_of_day_in_utc():
    events = [CameraEvent(type="camera.up", camera="door", stream_id="s", at=NOON) for _ in range(2)]
    written = json.loads(events[0].model_dump_json(exclude_none=True))
    assert written == {
        "event_id": events[0].event_id,
        "type": "camera.up",
        "camera": "door",
        "stream_id": "s",
        "at": "2030-01-01T12:00:00Z",
    }
    assert events[0].event_id != events[1].event_id


def test_seconds_of_a_stream_become_times_of_day():
    clock = TimeOfDay()
    clock.set_by(10.0, NOON)
    assert clock.at(7.5) == NOON - timedelta(seconds=2.5)


def test_a_frame_that_comes_a_little_late_does_not_move_the_time_of_day():
    clock = TimeOfDay()
    clock.set_by(10.0, NOON)
    clock.set_by(11.0, NOON + timedelta(seconds=1.4))
    assert clock.at(10.0) == NOON


def test_a_stream_whose_clock_drifts_or_jumps_is_set_anew():
    clock = TimeOfDay()
    clock.set_by(10.0, NOON)
    clock.set_by(11.0, NOON + timedelta(seconds=3))
    assert clock.at(11.0) == NOON + timedelta(seconds=3)


def test_lines_are_appended(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("{}\n")
    log = EventLog(path)
    log.append(b'{"a":1}')
    log.append(b'{"a":2}')
    assert path.read_text().splitlines() == ["{}", '{"a":1}', '{"a":2}']


def test_a_file_that_is_moved_away_is_begun_anew(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(b"1")
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    log.append(b"2")
    assert [(tmp_path / name).read_text() for name in ("events.jsonl.1", "events.jsonl")] == ["1\n", "2\n"]


def test_lines_of_several_cameras_do_not_mix(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    lines = [str(digit).encode() * 5000 for digit in range(8)]
    writers = [Thread(target=lambda line=line: [log.append(line) for _ in range(20)]) for line in lines]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted((tmp_path / "events.jsonl").read_bytes().splitlines()) == sorted(lines * 20)


def test_what_cannot_be_written_is_said_and_does_not_stop_anything(tmp_path, log):
    EventLog(tmp_path).append(b"{}")
    assert [line["event"] for line in log] == ["camera_event_not_written"]
