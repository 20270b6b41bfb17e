import uuid
from pathlib import Path

import pytest

from service.errors import JobsUnavailable
from service.jobs.folder import JobFolder, default_folder


def test_the_folder_is_for_its_owner_only(tmp_path):
    folder = JobFolder(tmp_path / "a" / "jobs")
    job_id = folder.create()
    for path in (tmp_path / "a" / "jobs", folder.upload(job_id).parent):
        assert path.stat().st_mode & 0o777 == 0o700


def test_jobs_lie_among_the_user_s_own_data(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/marey/jobs")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobsUnavailable, match="MAREY_JOBS_FOLDER"):
        JobFolder(tmp_path / "file" / "jobs")


def test_a_job_s_files_go_together(tmp_path):
    folder = JobFolder(root := tmp_path / "jobs")
    kept, removed = folder.create(), folder.create()
    for job_id in (kept, removed):
        for path in (folder.upload(job_id), folder.keypoints(job_id), folder.film(job_id)):
            path.write_bytes(b"x")
        folder.sync(job_id)
    folder.remove(removed)
    folder.remove(removed)
    assert [path.name for path in root.iterdir()] == [kept]
    assert len(list((root / kept).iterdir())) == 3


def test_only_folders_of_jobs_that_do_not_exist_are_removed(tmp_path):
    folder = JobFolder(root := tmp_path / "jobs")
    kept, orphan = folder.create(), folder.create()
    folder.upload(orphan).write_bytes(b"x")
    (root / "Documents").mkdir()
    (root / f"{uuid.uuid4()}").mkdir()
    folder.table.write_bytes(b"")
    folder.remove_others({kept})
    assert orphan not in {path.name for path in root.iterdir()}
    assert len(list(root.iterdir())) == 4
