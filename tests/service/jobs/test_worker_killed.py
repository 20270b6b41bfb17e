"""The service as a process that is killed without warning."""

import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "counting_service.py"
NUM_JOBS, NUM_KILLS, JOB_S = 20, 5, 0.2


@contextmanager
def serving(folder, *, job_s=JOB_S, deadly=(), life_s=None):
    """Start the service on a folder of jobs; it is killed in the end, or after so many seconds of service."""
    command = [sys.executable, str(SCRIPT), str(folder), str(job_s), *deadly]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = next(match[0] for line in process.stderr if (match := re.search(r"http://[\d.]+:\d+", line)))
            if life_s is not None:
                threading.Timer(life_s, process.kill).start()
            with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
                yield client
        finally:
            process.kill()


def hand_in(client, content, key):
    headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": key}
    reply = client.post("/v1/jobs", content=content, headers=headers, params={"keypoints": True})
    assert reply.status_code in (200, 202)
    return reply.json()["job_id"]


def hand_in_all(client, films, accepted):
    """Hand in what is not known to be accepted; the same video has the same key each time."""
    for key, content in films.items():
        if key not in accepted:
            accepted[key] = hand_in(client, content, key)


def look_on(client):
    """Ask for jobs until the service dies."""
    while True:
        listed(client)
        time.sleep(0.02)


@pytest.mark.slow
def test_nothing_accepted_is_lost_or_done_twice_however_often_the_service_is_killed(tmp_path, film):
    chance = random.Random(0)
    films = {f"film-{num_frames}": film(num_frames=num_frames) for num_frames in range(5, 5 + NUM_JOBS)}
    accepted = {}
    for _ in range(NUM_KILLS):
        life_s = chance.uniform(0.02, 5 * JOB_S)
        with suppress(httpx.TransportError), serving(tmp_path / "jobs", life_s=life_s) as client:
            hand_in_all(client, dict(list(films.items())[: len(accepted) + 6]), accepted)
            look_on(client)
    with serving(tmp_path / "jobs") as client:
        hand_in_all(client, films, accepted)
        assert all(hand_in(client, content, key) == accepted[key] for key, content in films.items())
        given_up_s = time.monotonic() + 60
        while any(job["status"] != "done" for job in listed(client)):
            assert time.monotonic() < given_up_s
            time.sleep(0.05)
        jobs = [client.get(f"/v1/jobs/{job_id}").json() for job_id in accepted.values()]
        assert len(listed(client)) == len({job["job_id"] for job in jobs}) == NUM_JOBS
    for key, job in zip(accepted, jobs, strict=True):
        (track,) = job["result"]["tracks"]
        assert key == f"film-{job['result']['video']['frames']}" == f"film-{track['track_id']}"
        assert track["keypoints"]["points"][0][0] == [track["track_id"], track["track_id"], 1.0]
    attempts = [job["attempts"] for job in jobs]
    assert NUM_JOBS < sum(attempts) <= NUM_JOBS + NUM_KILLS
    assert {path.name for path in (tmp_path / "jobs").iterdir() if path.is_dir()} == set(accepted.values())


def listed(client):
    return client.get("/v1/jobs", params={"limit": 100}).json()["jobs"]


def test_a_kill_between_the_upload_and_its_row_leaves_no_job_and_no_file(tmp_path, film):
    folder = tmp_path / "jobs"
    with serving(folder, deadly=["add"]) as client, pytest.raises(httpx.TransportError):
        hand_in(client, film(), "key")
    assert [path for path in folder.iterdir() if path.is_dir()]
    with serving(folder) as client:
        assert listed(client) == []
        assert not [path for path in folder.iterdir() if path.is_dir()]


def test_a_kill_between_a_result_and_its_row_begins_the_job_again(tmp_path, film):
    folder = tmp_path / "jobs"
    with serving(folder, job_s=0, deadly=["finish"]) as client:
        job_id = hand_in(client, film(), "key")
        with suppress(httpx.TransportError):
            while True:
                client.get(f"/v1/jobs/{job_id}")
    assert (folder / job_id / "keypoints.npz").exists()
    with serving(folder, job_s=0) as client:
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
            events.read()
        job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["attempts"], job["result"]["video"]["frames"]) == ("done", 2, 20)
