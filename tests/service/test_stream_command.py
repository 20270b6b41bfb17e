"""``marey stream`` as it would be run, against a real server whose engine sees somebody raise both arms."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

import marey
from pipeline.video import open_video
from service.app import create_app
from service.settings import Settings
from service.stream_command import Summary, service_address
from service.streams.messages import Dropped, FramePoses

Run = Callable[..., SimpleNamespace]
KEY = "a-key-that-is-long-enough"


@pytest.fixture
def clip(film, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(film(num_frames=180, fps=30, size_wh=(320, 240)))
    return path


@pytest.fixture
def url(serve, watchful_engine):
    return str(serve(create_app(Settings(), engine=watchful_engine)).base_url)


@pytest.fixture
def run(monkeypatch, capsys) -> Run:
    """Run ``marey stream`` in this process; returns its exit code, standard output and standard error."""

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["marey", "stream", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=captured.err)

    return run_command


def lines_of(said):
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_file_is_streamed_without_loss_and_gives_what_recognising_it_gives(run, url, clip, watchful_engine):
    said = run(clip, "--url", url, "--json")
    *actions, summary = lines_of(said)
    assert said.code == 0
    assert summary["type"] == "summary"
    assert (summary["received"], summary["processed"], summary["dropped"]) == (90, 90, 0)
    assert summary["lag_p95_ms"] >= summary["lag_ms"] > 0
    with open_video(clip) as video:
        ((segment,),) = (track.segments for track in watchful_engine.recognise(video).tracks)
    (told,) = [action for action in actions if action["type"] == "action.end"]
    assert told["label"] == segment.label == "raise_arms"
    assert told["start_s"] == pytest.approx(segment.start_s, abs=0.5)
    assert told["end_s"] == pytest.approx(segment.end_s, abs=0.5)


def test_people_read_when_an_action_begins_and_when_it_ended(run, url, clip):
    said = run(clip, "--url", f"{url.replace('http', 'ws')}/v1/stream")
    begun, ended = said.out.splitlines()
    assert "person 1   raise arms since" in begun
    assert "raise arms from" in ended
    assert "score 0." in ended or "score 1." in ended
    assert "90 frames, 90 looked at, 0 left out; lag" in said.err


def test_a_slower_rate_sends_fewer_frames(run, url, clip):
    assert lines_of(run(clip, "--url", url, "--fps", "5", "--json"))[-1]["received"] == 30


def test_a_file_can_be_played_at_its_own_pace(run, url, film, tmp_path):
    path = tmp_path / "short.mp4"
    path.write_bytes(film(num_frames=15, fps=15, size_wh=(320, 240)))
    started_s = time.monotonic()
    summary = lines_of(run(path, "--url", url, "--realtime", "--json"))[-1]
    assert time.monotonic() - started_s > 14 / 15
    assert summary["received"] == 15


def test_an_interrupt_ends_the_source_and_what_was_sent_is_answered(run, url, clip, watchful_engine):
    def interrupt():
        while not watchful_engine.pose.found_s:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    former = signal.getsignal(signal.SIGINT)
    watchful_engine.pose.found_s.clear()
    interrupter.start()
    said = run(clip, "--url", url, "--realtime", "--json")
    interrupter.join()
    assert said.code == 0
    assert 0 < lines_of(said)[-1]["received"] < 80
    assert signal.getsignal(signal.SIGINT) is former


def test_the_key_comes_from_a_file(run, serve, watchful_engine, clip, tmp_path):
    url = str(serve(create_app(Settings(api_keys=(KEY,)), engine=watchful_engine)).base_url)
    (tmp_path / "key.txt").write_text(f"{KEY}\n")
    refused = run(clip, "--url", url)
    assert refused.code == marey.Exit.SERVICE
    assert "401" in refused.err
    assert run(clip, "--url", url, "--fps", "1", "--api-key-file", tmp_path / "key.txt").code == 0


def test_a_service_that_is_not_there_has_an_exit_code_of_its_own(run, clip, unused_address):
    said = run(clip, "--url", unused_address)
    assert said.code == marey.Exit.SERVICE
    assert "is the service running" in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_what_cannot_be_played_is_known_before_the_service_is_called(run, tmp_path, unused_address):
    (tmp_path / "letter.txt").write_text("Dear reader")
    assert run(tmp_path / "letter.txt", "--url", unused_address).code == marey.Exit.NOT_A_VIDEO
    assert run(tmp_path / "nothing.mp4", "--url", unused_address).code == marey.Exit.NOT_A_VIDEO


@pytest.mark.parametrize(
    "arguments",
    [("--url", "somewhere"), ("--drop", "newest"), ("--fps", "0"), ("--api-key-file", "no-such-file")],
    ids=lambda arguments: arguments[0],
)
def test_wrong_usage_is_exit_code_2(run, clip, arguments):
    assert run(clip, *arguments).code == marey.Exit.USAGE


@pytest.mark.parametrize("path", ["", "/", "/v1/stream", "/stream"])
def test_the_service_is_found_by_its_own_address_or_by_its_streams(path):
    assert service_address(f"ws://hall:8000{path}").rstrip("/") == "ws://hall:8000"


def test_the_summary_counts_every_answer_once():
    summary = Summary()
    assert summary.lags_ms() == (0, 0)
    for seq, lag_ms in enumerate([10.0, 30.0, 20.0]):
        summary.hear(FramePoses(seq=seq, time_s=seq, lag_ms=lag_ms, width=1, height=1, people=None))
    summary.hear(Dropped(seqs=[3, 4], reason="late"))
    assert (summary.received, summary.processed, summary.dropped) == (5, 3, 2)
    median_ms, worst_ms = summary.lags_ms()
    assert median_ms == 20
    assert worst_ms >= 30


def test_the_command_is_known_without_loading_anything():
    probe = "import marey, sys; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert not {"httpx", "websockets", "cv2", "service.client"} & set(loaded.split())
