import json
import subprocess
import sys
import time

import pytest

BYTES = {"Content-Type": "application/octet-stream"}


def lines_of(log, event="request"):
    """Return the lines of an event, of which the last may follow the answer by a moment."""
    given_up_s = time.monotonic() + 2
    while not (lines := [line for line in log if line["event"] == event]) and time.monotonic() < given_up_s:
        time.sleep(0.002)
    return lines


def test_a_request_is_one_line_without_names_or_contents(client, video, log):
    reply = client.post("/v1/recognize", files={"file": ("my secret.mp4", video)}, params={"top_k": 3})
    assert reply.status_code == 200
    (line,) = lines_of(log)
    assert line["request_id"] == reply.json()["request_id"]
    assert line["route"] == "/v1/recognize"
    assert line["status"] == 200
    assert line["received_bytes"] > len(video)
    assert line["duration_ms"] > 0
    assert "secret" not in json.dumps(log)


def test_a_problem_is_named(client, log):
    client.post("/v1/recognize", content=b"text", headers=BYTES)
    assert lines_of(log)[0]["problem"] == "not-a-video"


def test_an_address_that_leads_nowhere_is_not_repeated(client, log):
    client.get("/my-secret?key=secret")
    assert lines_of(log)[0]["route"] == "unmatched"
    assert "secret" not in json.dumps(log)


def test_what_nobody_foresaw_is_logged_under_the_id_that_the_client_gets(client, engine, video, log):
    engine.fault = RuntimeError("boom")
    reply = client.post("/v1/recognize", content=video, headers=BYTES)
    assert reply.status_code == 500
    assert lines_of(log, "unforeseen")[0]["request_id"] == reply.json()["request_id"]
    assert "boom" not in reply.text


@pytest.mark.parametrize(("given", "kept"), [("abc-12345", True), ("short", False), ("bad id with space", False)])
def test_a_client_may_bring_a_safe_request_id(client, given, kept):
    reply = client.get("/healthz", headers={"X-Request-ID": given})
    assert (reply.headers["x-request-id"] == given) is kept


SCRIPT = """
import logging, structlog
from service.logs import configure_logging
from service.settings import Settings
configure_logging(Settings(log_json={as_json}))
upload = "what a user sent"
structlog.get_logger("ours").info("request", status=200)
logging.getLogger("theirs").info("hello %s", "you")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("unforeseen")
"""


def test_addresses_that_are_posted_to_are_not_logged():
    script = """
import logging, httpx
from service.logs import configure_logging
from service.settings import Settings
configure_logging(Settings(log_level="debug"))
logging.getLogger("ours").debug("here")
with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
    client.post("http://hooks.example.org/hunter2")
logging.getLogger("httpcore.http11").debug("hunter2")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "here" in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("as_json", [True, False])
def test_all_logs_of_the_process_look_alike_and_show_no_variables(as_json):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(as_json=as_json)], capture_output=True, text=True, check=True
    )
    assert not ended.stdout
    assert "ZeroDivisionError" in ended.stderr
    assert "what a user sent" not in ended.stderr
    if as_json:
        lines = [json.loads(line) for line in ended.stderr.splitlines()]
        assert [line["event"] for line in lines] == ["request", "hello you", "unforeseen"]
        assert [line["level"] for line in lines] == ["info", "info", "error"]
        assert all(line["timestamp"].endswith("Z") for line in lines)
