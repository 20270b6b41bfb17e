"""Jobs through the client: waited for by events or by asking, across a restart of the service."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.client import Client, JobCancelled, ServiceProblem, Unreachable
from service.client import jobs as client_jobs
from service.settings import Settings


@contextmanager
def running(app, port=0):
    """Run an application at a port, and yield its address."""
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        wait_until(lambda: httpx.get(f"{address}/readyz", trust_env=False).is_success)
        yield address
    finally:
        server.should_exit = True
        thread.join()


def wait_until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    given_up_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < given_up_s, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Ask again sooner than is polite."""
    monkeypatch.setattr(client_jobs, "POLL_S", 0.02)


@pytest.fixture
def settings(tmp_path):
    return Settings(jobs_folder=tmp_path / "jobs")


@pytest.fixture
def address(settings, engine):
    with running(create_app(settings, engine=engine)) as address:
        yield address


@pytest.fixture
def marey(address):
    with Client(address) as client:
        yield client


def test_a_job_is_waited_for_while_its_progress_is_told(marey, engine, video):
    engine.gate.clear()
    heard = []

    def hear(share):
        heard.append(share)
        if share == 0.5:
            engine.gate.set()

    answer = marey.jobs.submit(video, top_k=2).wait(hear)
    assert answer.tracks[0].segments[0].label == "wave"
    assert (heard[-1], 0.5 in heard) == (1.0, True)
    assert engine.options[0].top_k == 2


def test_a_key_names_the_same_job_however_often_it_is_handed_in(marey, video):
    first, second = (marey.jobs.submit(video, idempotency_key="monday") for _ in range(2))
    assert first.state.job_id == second.state.job_id
    assert marey.jobs.submit(video).state.job_id != first.state.job_id
    assert len(marey.jobs.latest()) == 2


def test_a_job_is_found_by_its_id(marey, video):
    job_id = marey.jobs.submit(video).state.job_id
    assert marey.jobs.find(job_id).wait().tracks
    with pytest.raises(ServiceProblem) as refused:
        marey.jobs.find("no-such-job")
    assert refused.value.status == 404


def test_a_job_that_fails_raises_what_the_service_says(marey, engine, video):
    engine.fault = RuntimeError("a bug")
    with pytest.raises(ServiceProblem) as failed:
        marey.jobs.submit(video).wait()
    assert failed.value.status == 500
    assert "a bug" not in failed.value.detail


def test_a_job_that_somebody_cancels_is_waited_for_no_longer(marey, engine, video):
    engine.gate.clear()
    job = marey.jobs.submit(video)
    canceller = threading.Thread(target=lambda: (engine.entered.wait(5), marey.jobs.find(job.state.job_id).cancel()))
    canceller.start()
    with pytest.raises(JobCancelled):
        job.wait()
    canceller.join()


def test_a_job_is_waited_for_across_a_restart_of_the_service(settings, engine, video):
    answers = []
    with running(create_app(settings, engine=engine)) as address:
        engine.gate.clear()
        marey = Client(address)
        job = marey.jobs.submit(video)
        assert engine.entered.wait(5)
        waiting = threading.Thread(target=lambda: answers.append(job.wait()))
        waiting.start()
    engine.gate.set()
    with marey, running(create_app(settings, engine=engine), port=int(address.rpartition(":")[2])):
        waiting.join(timeout=20)
    assert [answer.tracks[0].segments[0].label for answer in answers] == ["wave"]


def test_a_service_that_does_not_come_back_is_given_up(settings, engine, video):
    with running(create_app(settings, engine=engine)) as address:
        engine.gate.clear()
        marey = Client(address)
        job = marey.jobs.submit(video)
    with marey, pytest.raises(Unreachable):
        job.wait(patience_s=0.1)


def test_without_events_the_service_is_asked_again(settings, engine, video):
    app, refused = create_app(settings, engine=engine), []

    async def without_events(scope, receive, send):
        if scope["type"] == "http" and scope["path"].endswith("/events"):
            refused.append(scope["path"])
            scope = {**scope, "path": "/nowhere"}
        await app(scope, receive, send)

    with running(without_events) as address, Client(address) as marey:
        engine.gate.clear()
        job = marey.jobs.submit(video)
        opener = threading.Thread(target=lambda: (wait_until(lambda: len(refused) > 1), engine.gate.set()))
        opener.start()
        assert job.wait().tracks
        opener.join()


def test_the_annotated_video_is_written_to_a_file(marey, video, tmp_path):
    job = marey.jobs.submit(video, keypoints=True)
    job.wait()
    job.annotated(tmp_path / "annotated.mp4")
    assert (tmp_path / "annotated.mp4").read_bytes()[4:8] == b"ftyp"


def test_nothing_is_left_of_an_annotated_video_that_cannot_be_had(marey, video, tmp_path):
    job = marey.jobs.submit(video)
    job.wait()
    job.cancel()
    with pytest.raises(ServiceProblem):
        job.annotated(tmp_path / "annotated.mp4")
    assert not list(tmp_path.glob("annotated*"))
