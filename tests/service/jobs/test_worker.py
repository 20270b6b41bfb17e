import json
import os
import sqlite3
import sys
import threading

import pytest

from service.jobs import worker
from service.jobs.results import save_keypoints
from service.jobs.store import JobStore, Status
from service.jobs.worker import MAX_ATTEMPTS

DAY_S = 24 * 3600.0


def folders_in(root):
    return [path.name for path in root.iterdir() if path.is_dir()]


def test_a_service_that_stops_puts_its_job_back_as_if_it_had_not_been_begun(open_desk, hand_in, finish, engine):
    engine.gate.clear()
    desk = open_desk()
    desk.start()
    first, second = hand_in(desk), hand_in(desk)
    assert engine.entered.wait(5)
    desk.close()
    assert engine.stopped.is_set()
    desk = open_desk()
    assert [(job.job_id, job.status, job.attempts) for job in desk.latest(2).jobs] == [
        (second, Status.QUEUED, 0),
        (first, Status.QUEUED, 0),
    ]
    engine.gate.set()
    desk.start()
    assert [finish(desk, job_id).attempts for job_id in (first, second)] == [1, 1]


def test_what_was_running_when_the_service_was_killed_begins_again_first(open_desk, hand_in, finish, root):
    desk = open_desk()
    first, second = hand_in(desk), hand_in(desk)
    desk.close()
    kill_while_running(root)
    desk = open_desk()
    desk.start()
    jobs = [finish(desk, job_id) for job_id in (first, second)]
    assert [(job.status, job.attempts) for job in jobs] == [(Status.DONE, 2), (Status.DONE, 1)]
    assert jobs[0].finished_at <= jobs[1].started_at


def kill_while_running(root, *, times=1):
    """Leave the oldest job running, as a service does that is killed."""
    store = JobStore(root / "jobs.sqlite")
    for _ in range(times):
        store.put_back()
        store.take(0.0)
    store.close()


def test_a_job_that_kills_the_service_each_time_is_given_up(open_desk, hand_in, finish, engine, root):
    desk = open_desk()
    deadly, harmless = hand_in(desk), hand_in(desk)
    desk.close()
    kill_while_running(root, times=MAX_ATTEMPTS)
    desk = open_desk()
    desk.start()
    job = finish(desk, deadly)
    assert (job.status, job.problem.status) == (Status.FAILED, 500)
    assert job.problem.type == "urn:marey:problem:job-abandoned"
    assert f"killed {MAX_ATTEMPTS} times" in job.problem.detail
    assert finish(desk, harmless).status is Status.DONE
    assert len(engine.options) == 1


def test_jobs_are_forgotten_some_time_after_they_were_finished(open_desk, hand_in, finish, root, monkeypatch, until):
    monkeypatch.setattr(worker, "SWEEP_S", 0.01)
    clock = [1000.0]
    desk = open_desk(now=lambda: clock[0])
    desk.start()
    early = hand_in(desk)
    finish(desk, early)
    clock[0] += DAY_S / 2
    late = hand_in(desk)
    finish(desk, late)
    clock[0] += DAY_S / 2 + 1
    until(lambda: [job.job_id for job in desk.latest(10).jobs] == [late])
    until(lambda: folders_in(root) == [late])


def test_jobs_are_forgotten_while_a_long_one_is_in_work(open_desk, hand_in, finish, engine, monkeypatch, until):
    monkeypatch.setattr(worker, "SWEEP_S", 0.01)
    monkeypatch.setattr(worker, "LOOK_S", 0.01)
    clock = [1000.0]
    desk = open_desk(now=lambda: clock[0])
    desk.start()
    finish(desk, hand_in(desk))
    engine.gate.clear()
    long_one = hand_in(desk)
    until(lambda: desk.show(long_one).status is Status.RUNNING)
    clock[0] += DAY_S + 1
    until(lambda: [job.job_id for job in desk.latest(10).jobs] == [long_one])
    assert desk.show(long_one).status is Status.RUNNING
    engine.gate.set()


def test_a_disk_that_fails_for_a_moment_costs_an_attempt_and_no_job(open_desk, hand_in, finish, monkeypatch, log):
    monkeypatch.setattr(worker, "FAULT_PAUSE_S", 0.01)
    faults = [sqlite3.OperationalError("disk I/O error")]
    finish_really = JobStore.finish

    def finish_later(*args):
        if faults:
            raise faults.pop()
        return finish_really(*args)

    monkeypatch.setattr(JobStore, "finish", finish_later)
    desk = open_desk()
    desk.start()
    job = finish(desk, hand_in(desk))
    assert (job.status, job.attempts) == (Status.DONE, 2)
    assert "jobs_disk_failed" in [line["event"] for line in log]


def test_a_disk_without_room_for_the_result_is_the_job_s_problem(open_desk, hand_in, finish, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker, "save_keypoints", fill)
    desk = open_desk()
    desk.start()
    job = finish(desk, hand_in(desk))
    assert (job.status, job.problem.status) == (Status.FAILED, 507)


def test_a_result_that_comes_after_the_cancelling_is_dropped(open_desk, hand_in, engine, root, monkeypatch, until):
    desk = open_desk()

    def withdraw_then_finish(store, job_id, result, now_s, *, finish=JobStore.finish):
        desk.withdraw(job_id)
        return finish(store, job_id, result, now_s)

    monkeypatch.setattr(JobStore, "finish", withdraw_then_finish)
    desk.start()
    job_id = hand_in(desk)
    until(lambda: desk.show(job_id).status is Status.CANCELLED and not folders_in(root))
    assert json.loads("".join(desk.text(job_id)))["result"] is None


@pytest.mark.skipif(
    sys.platform != "linux", reason="threads have no priority of their own: would have checked the job's"
)
def test_requests_go_before_jobs(open_desk, hand_in, finish, monkeypatch):
    seen = []

    def look(*args):
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        save_keypoints(*args)

    monkeypatch.setattr(worker, "save_keypoints", look)
    desk = open_desk()
    desk.start()
    finish(desk, hand_in(desk))
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert seen == [min(19, here + worker.NICENESS)]
