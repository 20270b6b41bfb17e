import sqlite3
import subprocess
import sys

import pytest

from service.errors import InsufficientStorage, JobsUnavailable
from service.jobs.store import Job, JobStore, Status


def make_job(name: str, *, key: str | None = None) -> Job:
    return Job(job_id=name, request_id=f"request-{name}", options="{}", created_s=10.0, idempotency_key=key)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(path):
    store = JobStore(path)
    yield store
    store.close()


def test_jobs_come_back_as_they_were_given_after_a_restart(path):
    store = JobStore(path)
    job = Job(
        job_id="a", request_id="r", options='{"top_k": 3}', created_s=1.5, address="top_k=3", file_name="walk.mp4"
    )
    added = store.add(job)
    store.close()
    store = JobStore(path)
    assert store.find("a") == added
    assert (added.options, added.created_s, added.address, added.file_name) == (
        *('{"top_k": 3}', 1.5, "top_k=3"),
        "walk.mp4",
    )
    assert (added.status, added.attempts, added.place) == (Status.QUEUED, 0, 1)
    store.close()


def test_what_is_not_there_is_none(store):
    assert store.find("a") is store.find_key("a") is store.take(0.0) is store.withdraw("a", 0.0) is None
    assert store.result("a") is None
    assert store.latest(10) == store.expire(1e9) == []
    assert store.num_unfinished() == 0


def test_the_oldest_is_taken_first_and_counted(store):
    for name in "abc":
        store.add(make_job(name))
    assert [store.position(store.find(name)) for name in "abc"] == [1, 2, 3]
    taken = store.take(20.0)
    assert (taken.job_id, taken.status, taken.attempts, taken.started_s) == ("a", Status.RUNNING, 1, 20.0)
    assert [store.position(store.find(name)) for name in "bc"] == [1, 2]
    assert store.take(21.0).job_id == "b"
    assert [job.job_id for job in store.latest(2)] == ["c", "b"]
    assert store.ids() == {"a", "b", "c"}


@pytest.mark.parametrize(("uncounted", "attempts"), [(False, 2), (True, 1)])
def test_a_job_that_is_put_back_is_the_next_again(store, uncounted, attempts):
    for name in "ab":
        store.add(make_job(name))
    store.take(0.0)
    store.put_back(uncounted=uncounted)
    assert store.find("a").status is Status.QUEUED
    assert (store.take(0.0).job_id, store.find("a").attempts) == ("a", attempts)


def test_a_result_and_the_end_of_its_job_are_one_and_come_once(store):
    store.add(make_job("a"))
    assert not store.finish("a", b"too early", 20.0)
    store.take(15.0)
    assert store.finish("a", b"right", 20.0)
    assert not store.finish("a", b"again", 30.0)
    assert not store.fail("a", "late", 30.0)
    job = store.find("a")
    assert (job.status, job.finished_s, job.problem) == (Status.DONE, 20.0, None)
    assert store.result("a") == b"right"


def test_a_failure_is_kept_with_its_job(store):
    store.add(make_job("a"))
    store.take(15.0)
    assert store.fail("a", '{"status": 422}', 20.0)
    assert (store.find("a").status, store.find("a").problem) == (Status.FAILED, '{"status": 422}')


@pytest.mark.parametrize("is_running", [True, False])
def test_withdrawing_cancels_what_is_unfinished_and_then_forgets_it(store, is_running):
    store.add(make_job("a"))
    if is_running:
        store.take(0.0)
    assert not store.withdraw("a", 20.0).status.is_final
    assert (store.find("a").status, store.find("a").finished_s) == (Status.CANCELLED, 20.0)
    assert store.take(0.0) is None
    assert not store.finish("a", b"late", 30.0)
    assert store.withdraw("a", 20.0).status is Status.CANCELLED
    assert store.find("a") is None


def test_a_key_is_given_out_once_and_is_free_again_when_its_job_is_forgotten(store):
    assert store.add(make_job("a", key="k")).job_id == "a"
    assert store.add(make_job("b", key="k")).job_id == "a"
    assert store.find_key("k").job_id == "a"
    store.withdraw("a", 0.0)
    store.withdraw("a", 0.0)
    assert store.add(make_job("c", key="k")).job_id == "c"
    assert store.add(make_job("d")).place > store.find("c").place


def test_only_what_was_finished_before_expires(store):
    for name, ended_s in (("a", 10.0), ("b", 20.0)):
        store.add(make_job(name))
        store.take(0.0)
        store.finish(name, b"", ended_s)
    store.add(make_job("c"))
    assert [job.job_id for job in store.expire(15.0)] == ["a"]
    assert store.ids() == {"b", "c"}


def test_a_second_store_on_the_same_file_is_refused(store, path, monkeypatch):
    monkeypatch.setattr("service.jobs.store.LOCK_WAIT_S", 0.01)
    with pytest.raises(JobsUnavailable, match=r"another service.*MAREY_JOBS_FOLDER"):
        JobStore(path)
    store.add(make_job("a"))


def test_a_second_process_is_refused_until_the_first_is_gone(store, path):
    script = (
        "import sys; from pathlib import Path; from service.jobs.store import JobStore; JobStore(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, str(path)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert "JobsUnavailable: another service" in refused.stderr
    store.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_a_file_that_is_no_table_of_jobs_is_left_alone(path):
    path.write_bytes(b"something of somebody's " * 100)
    with pytest.raises(JobsUnavailable, match="move it away"):
        JobStore(path)
    assert path.read_bytes().startswith(b"something of somebody's ")


def test_a_table_of_another_version_is_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JobsUnavailable, match="another version"):
        JobStore(path)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(JobsUnavailable, match="cannot be opened"):
        JobStore(tmp_path / "nowhere" / "jobs.sqlite")


def test_a_full_disk_changes_nothing(store):
    store.add(make_job("a"))
    store.take(0.0)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InsufficientStorage):
        store.finish("a", bytes(100_000), 1.0)
    assert (store.find("a").status, store.result("a")) == (Status.RUNNING, None)
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.finish("a", bytes(100_000), 1.0)


def test_changes_are_made_to_outlast_a_power_cut(store):
    settings = {
        name: store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2}
