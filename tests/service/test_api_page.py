"""docs/api.md against the code: every error, option and route that it names is real, and none is missing.

Its examples are run against a service; so are those of docs/jobs.md.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.app import create_app
from service.client import Client
from service.errors import KINDS
from service.requests import RecognizeOptions
from service.schemas import Answer
from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text()
ADDRESS = "http://127.0.0.1:8000"
# What is there but in no description: the page is for people, and WebSockets have no place in OpenAPI.
UNDESCRIBED = {("GET", "/"), ("WS", "/v1/stream")}


def examples(language, page="api.md"):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_every_error_is_in_the_table_with_its_status():
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)`", PAGE, re.MULTILINE)
    assert {(int(status), slug) for status, slug in rows} == {(kind.status, kind.slug) for kind in KINDS.values()}
    assert [status for status, _ in rows] == sorted(status for status, _ in rows)


def test_every_option_is_in_the_table_with_its_default():
    section = PAGE.split("### Options")[1].split("###")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert [name for name, _ in rows] == list(RecognizeOptions.model_fields)
    for name, said in rows:
        default = RecognizeOptions.model_fields[name].default
        if default is None:
            assert "configured" in said or "model's" in said
        else:
            assert said == str(default).lower()


def test_the_answer_shown_is_one():
    answers = [json.loads(block) for block in examples("json") if '"tracks"' in block]
    assert answers
    for answer in answers:
        assert Answer.model_validate(answer).model_dump(mode="json") == answer


def test_the_table_of_routes_is_the_description(client):
    documented = set(re.findall(r"^\| `([A-Z]+) (/\S*)` \|", PAGE, re.MULTILINE))
    paths = client.get("/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert documented - described == UNDESCRIBED
    assert described <= documented


@pytest.fixture
def address(serve, watchful_engine, tmp_path):
    return str(serve(create_app(Settings(jobs_folder=tmp_path / "jobs"), engine=watchful_engine)).base_url)


@pytest.fixture
def things(tmp_path, film, monkeypatch):
    """Go where all files are that examples name."""
    (folder := tmp_path / "here").mkdir()
    for name in ("clip.mp4", "shift.mp4"):
        (folder / name).write_bytes(film(num_frames=90, fps=15, size_wh=(320, 240)))
    skeletons = {"layout": "coco17", "times_s": [0.0, 0.1], "keypoints": [[[[10.0, 20.0, 0.9]] * 17]] * 2}
    (folder / "skeletons.json").write_text(json.dumps({"skeletons": skeletons}))
    (folder / "frames").mkdir()
    for index in range(75):
        cv2.imwrite(str(folder / "frames" / f"{index:03}.jpg"), np.full((240, 320, 3), 90, np.uint8))
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("page", ["api.md", "jobs.md"])
def test_what_is_shown_for_the_shell_works(address, things, page):
    with Client(address) as marey:
        job = marey.jobs.submit(things / "clip.mp4")
        job.wait()
    blocks = "".join(examples("sh", page)).replace(ADDRESS, address).replace("/JOB", f"/{job.state.job_id}")
    commands = [line for line in blocks.splitlines() if line.startswith("curl ")]
    assert len(commands) >= 4
    for command in commands:
        quietly = ["curl", "--fail", "--silent", "--show-error", "--noproxy", "*", *shlex.split(command)[1:]]
        ended = subprocess.run(quietly, capture_output=True, text=True, timeout=20)
        assert ended.returncode == 0, (command, ended.stderr)
    assert (things / "annotated.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("example", examples("python"), ids=["plain", "stream", "awaited"])
def test_what_is_shown_for_python_works(address, things, capsys, example):
    exec(compile(example.replace(ADDRESS, address), "api.md", "exec"), {})
    said = capsys.readouterr().out
    assert "raise_arms" in said or "400 Bad options" in said
