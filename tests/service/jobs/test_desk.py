import asyncio
from pathlib import Path

import pytest

from service.app import create_app
from service.errors import InsufficientStorage, JobsUnavailable, NoResult, UnknownJob
from service.jobs.desk import Jobs
from service.jobs.folder import JobFolder
from service.jobs.store import JobStore, Status
from service.settings import Settings


def folders_in(root):
    return [path.name for path in root.iterdir() if path.is_dir()]


def test_what_was_accepted_is_done_by_whoever_comes_next(open_desk, hand_in, finish, engine):
    desk = open_desk()
    job_id = hand_in(desk)
    desk.close()
    assert not engine.options
    desk = open_desk()
    desk.start()
    assert finish(desk, job_id).status is Status.DONE
    desk.close()
    assert open_desk().answer(job_id).video.frames == 20


def test_a_draft_that_is_not_accepted_leaves_nothing(open_desk, root):
    desk = open_desk()
    with desk.draft() as draft:
        draft.file.write(b"half a video")
        assert folders_in(root) == [draft.job_id]
    assert folders_in(root) == []
    assert desk.latest(10).jobs == []


def test_a_full_disk_is_said_and_leaves_nothing(open_desk, hand_in, root, monkeypatch):
    desk = open_desk()
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "upload", lambda *_: Path("/dev/full"))
        with pytest.raises(InsufficientStorage):
            hand_in(desk)
    assert folders_in(root) == []
    assert desk.latest(10).jobs == []
    assert hand_in(desk)


def test_a_disk_that_is_full_for_the_table_leaves_nothing_either(open_desk, hand_in, root, monkeypatch):
    desk = open_desk()
    monkeypatch.setattr(JobStore, "add", fill)
    with pytest.raises(InsufficientStorage):
        hand_in(desk)
    assert folders_in(root) == []


def fill(*_):
    raise InsufficientStorage("full")


def test_what_no_job_owns_is_removed_at_the_start(open_desk, hand_in, root):
    desk = open_desk()
    job_id = hand_in(desk)
    desk.close()
    orphan = JobFolder(root).create()
    open_desk()
    assert folders_in(root) == [job_id]
    assert orphan != job_id


def test_ids_that_no_job_has_are_said(open_desk):
    desk = open_desk()
    for ask in (desk.show, desk.text, desk.answer, desk.make_film, desk.withdraw):
        with pytest.raises(UnknownJob, match="nonesuch"):
            ask("nonesuch")


def test_a_job_that_is_not_done_has_no_result(open_desk, hand_in):
    desk = open_desk()
    job_id = hand_in(desk)
    for ask in (desk.answer, desk.make_film):
        with pytest.raises(NoResult, match="the job is queued"):
            ask(job_id)


def start(app):
    async def live():
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(live())


def test_a_second_service_on_a_folder_that_was_set_does_not_start(
    open_desk, hand_in, finish, engine, root, monkeypatch
):
    monkeypatch.setattr("service.jobs.store.LOCK_WAIT_S", 0.01)
    desk = open_desk()
    desk.start()
    with pytest.raises(JobsUnavailable, match=f"another service works on the jobs in {root}"):
        start(create_app(Settings(jobs_folder=root), engine=engine))
    assert finish(desk, hand_in(desk)).status is Status.DONE


def test_a_second_service_on_the_default_folder_does_without_jobs(open_desk, engine, tmp_path, monkeypatch, log):
    monkeypatch.setattr("service.jobs.store.LOCK_WAIT_S", 0.01)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    first, second = (Jobs(Settings(), None) for _ in range(2))
    first.open()
    second.open()
    assert first.desk.latest(1).jobs == []
    with pytest.raises(JobsUnavailable, match=r"another service.*MAREY_JOBS_FOLDER"):
        assert second.desk
    assert [line["event"] for line in log] == ["no_jobs"]
    first.close()
    second.close()


def test_no_jobs_are_taken_before_the_start(engine):
    with pytest.raises(JobsUnavailable, match="started"):
        assert Jobs(Settings(), None).desk
