import json
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import BytesIO

import av
import pytest

from pipeline.draw import annotate
from pipeline.engine import Options
from pipeline.errors import Undecodable
from service.app import create_app
from service.jobs import annotated
from service.routes import jobs as routes
from service.settings import Settings

BYTES = {"Content-Type": "application/octet-stream"}
FINAL = ("done", "failed", "cancelled")


@pytest.fixture
def settings(tmp_path):
    return Settings(jobs_folder=tmp_path / "jobs")


@pytest.fixture
def client(serve, engine, settings):
    """A client of a service with a jobs folder of its own."""
    return serve(create_app(settings, engine=engine))


def post(client, video, *, key=None, **options):
    headers = {**BYTES, **({"Idempotency-Key": key} if key else {})}
    return client.post("/v1/jobs", content=video, headers=headers, params=options)


def until(condition):
    given_up_s = time.monotonic() + 5
    while not (found := condition()):
        assert time.monotonic() < given_up_s
        time.sleep(0.005)
    return found


def finished(client, location):
    return until(lambda: (job := client.get(location).json())["status"] in FINAL and job)


def assert_problem(reply, status, slug, *words):
    problem = reply.json()
    assert reply.status_code == problem["status"] == status, problem
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:marey:problem:{slug}"
    assert all(word in problem["detail"] for word in words), problem["detail"]
    return problem


@contextmanager
def events_of(client, location, **headers):
    """Follow a job: yields an iterator of (event, id, data)."""
    with client.stream("GET", f"{location}/events", headers=headers) as reply:
        yield _events(reply.iter_lines())


def _events(lines):
    fields = {}
    for line in lines:
        if line:
            name, _, text = line.partition(": ")
            fields[name] = text
        elif "data" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def test_a_video_is_accepted_at_once_and_answered_as_by_recognize(client, video):
    reply = post(client, video, top_k=3)
    accepted = reply.json()
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/jobs/{accepted['job_id']}"
    assert accepted["status"] in ("queued", "running")
    assert (accepted["result"], accepted["problem"]) == (None, None)

    job = finished(client, reply.headers["location"])

    assert (job["status"], job["progress"], job["attempts"], job["position"]) == ("done", 1.0, 1, None)
    assert job["result"]["request_id"] == reply.headers["x-request-id"]
    at_once = client.post("/v1/recognize", content=video, headers=BYTES, params={"top_k": 3}).json()
    for field in ("model", "video", "tracks", "warnings"):
        assert job["result"][field] == at_once[field]
    assert job["result"]["timings_ms"]["total"] > 0


def test_times_are_utc_and_the_end_of_a_job_says_when_it_is_forgotten(client, video):
    job = finished(client, post(client, video).headers["location"])
    created, started, ended, expires = (
        datetime.fromisoformat(job[f"{name}_at"]) for name in ("created", "started", "finished", "expires")
    )
    assert created.utcoffset() == timedelta(0)
    assert created <= started <= ended
    assert expires - ended == timedelta(hours=24)


def test_options_reach_the_engine_and_keypoints_are_returned_only_when_asked_for(client, video, engine):
    plain = finished(client, post(client, video, top_k=3).headers["location"])
    full = finished(client, post(client, video, top_k=3, keypoints=True).headers["location"])
    assert engine.options == [Options(top_k=3, keypoints=True)] * 2
    assert plain["result"]["tracks"][0]["keypoints"] is None
    at_once = client.post("/v1/recognize", content=video, headers=BYTES, params={"keypoints": True}).json()
    assert full["result"]["tracks"] == at_once["tracks"]


def test_a_form_gives_the_name_of_its_file_and_its_options(client, video, engine):
    reply = client.post(
        "/v1/jobs", files={"file": ("C:\\films\\my walk.mp4", video)}, data={"options": json.dumps({"top_k": 2})}
    )
    assert finished(client, reply.headers["location"])["file_name"] == "my walk.mp4"
    assert engine.options[0].top_k == 2


@pytest.mark.parametrize(
    ("content", "headers", "params", "status", "slug"),
    [
        (b"", BYTES, {}, 400, "empty-upload"),
        (b"I am not a video\n" * 100, BYTES, {}, 415, "not-a-video"),
        (b"{}", {"Content-Type": "application/json"}, {}, 415, "unsupported-content"),
        (b"x", {"Content-Type": "text/plain"}, {}, 415, "unsupported-content"),
        (b"x", BYTES, {"top_k": 0}, 400, "bad-options"),
        (b"x", BYTES, {"model": "nonesuch"}, 404, "unknown-model"),
        (b"x", BYTES, {"window_s": 2}, 400, "bad-options"),
        (b"x", {**BYTES, "Idempotency-Key": "k" * 201}, {}, 400, "bad-options"),
    ],
    ids=["empty", "text", "skeletons", "other type", "bad option", "unknown model", "wide window", "long key"],
)
def test_what_could_never_be_done_is_refused_at_once_and_leaves_nothing(
    client, settings, content, headers, params, status, slug
):
    assert_problem(client.post("/v1/jobs", content=content, headers=headers, params=params), status, slug)
    assert client.get("/v1/jobs").json() == {"jobs": []}
    assert not [path for path in settings.jobs_folder.iterdir() if path.is_dir()]


def test_a_truncated_video_is_the_same_problem_as_for_recognize(client, video):
    half = video[: len(video) // 2]
    at_once = client.post("/v1/recognize", content=half, headers=BYTES).json()
    job = post(client, half).json()
    assert {**job, "request_id": ""} == {**at_once, "request_id": ""}


def test_jobs_have_limits_of_their_own(serve, engine, film, tmp_path):
    folders = iter([tmp_path / "one", tmp_path / "two"])
    small = {"max_bytes": 1024, "max_json_bytes": 1024, "max_seconds": 0.5, "max_frames": 10}
    tight = Settings(jobs_folder=next(folders), job_max_seconds=0.5, job_max_bytes=1_000_000, **small)
    roomy = Settings(jobs_folder=next(folders), job_max_seconds=5, job_max_bytes=1_000_000, **small)
    problem = assert_problem(post(serve(create_app(tight, engine=engine)), film()), 413, "limit-exceeded")
    assert problem["limit"] in ("seconds", "frames")
    assert post(serve(create_app(roomy, engine=engine)), film()).status_code == 202


def test_an_upload_that_is_too_large_is_not_read_to_its_end(serve, engine, tmp_path, talk):
    client = serve(create_app(Settings(jobs_folder=tmp_path / "jobs", job_max_bytes=5000), engine=engine))
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\n\r\n"
    status, problem = talk(client, head)
    assert (status, problem["limit"]) == (413, "bytes")


def test_an_upload_must_arrive_at_a_pace(serve, engine, tmp_path, talk):
    slow = Settings(
        jobs_folder=tmp_path / "jobs", deadline_s=0.05, job_max_bytes=2048, max_bytes=2048, max_json_bytes=1024
    )
    client = serve(create_app(slow, engine=engine))
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    assert talk(client, head)[0] == 408
    until(lambda: not [path for path in slow.jobs_folder.iterdir() if path.is_dir()])


def test_one_job_is_worked_on_while_others_wait_their_turn_and_requests_do_not(client, video, film, engine):
    engine.gate.clear()
    first, second, third = (post(client, video).headers["location"] for _ in range(3))
    until(lambda: client.get(first).json()["progress"] == 0.5)
    assert [client.get(path).json()["status"] for path in (first, second, third)] == ["running", "queued", "queued"]
    assert [client.get(path).json()["position"] for path in (first, second, third)] == [None, 1, 2]
    engine.gate.set()
    assert client.post("/v1/recognize", content=video, headers=BYTES).status_code == 200
    assert {finished(client, path)["status"] for path in (first, second, third)} == {"done"}
    starts = [client.get(path).json()["started_at"] for path in (first, second, third)]
    assert starts == sorted(starts)


def test_no_more_than_allowed_may_be_unfinished(serve, engine, video, tmp_path):
    client = serve(create_app(Settings(jobs_folder=tmp_path / "jobs", max_jobs=2), engine=engine))
    engine.gate.clear()
    first = post(client, video, key="first").headers["location"]
    post(client, video)
    reply = post(client, video)
    assert_problem(reply, 503, "jobs-full", "2 jobs")
    assert reply.headers["retry-after"] == "60"
    assert post(client, video, key="first").headers["location"] == first
    engine.gate.set()
    finished(client, first)
    assert post(client, video).status_code == 202


def test_jobs_are_listed_with_the_latest_first_and_without_results(client, video):
    locations = [post(client, video).headers["location"] for _ in range(3)]
    for location in locations:
        finished(client, location)
    jobs = client.get("/v1/jobs", params={"limit": 2}).json()["jobs"]
    assert [f"/v1/jobs/{job['job_id']}" for job in jobs] == [locations[2], locations[1]]
    assert [job["result"] for job in jobs] == [None, None]
    assert_problem(client.get("/v1/jobs", params={"limit": 0}), 400, "bad-options")


def test_the_same_key_gives_the_same_job_and_no_other_work(client, video, engine):
    first = post(client, video, key="abc", top_k=3)
    finished(client, first.headers["location"])
    again = post(client, video, key="abc", top_k=3)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["status"] == "done"
    assert len(engine.options) == len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_key_with_other_options_in_the_address_is_refused(client, video):
    post(client, video, key="abc", top_k=3)
    assert_problem(post(client, video, key="abc", top_k=4), 409, "key-reused", "top_k=3", "top_k=4")


def test_a_fault_of_the_video_is_the_job_s_problem(client, video, engine):
    engine.fault = Undecodable("the decoder gave up")
    reply = post(client, video)
    job = finished(client, reply.headers["location"])
    assert (job["status"], job["result"]) == ("failed", None)
    assert job["problem"]["type"] == "urn:marey:problem:undecodable"
    assert job["problem"]["detail"] == "the decoder gave up"
    assert job["problem"]["request_id"] == reply.headers["x-request-id"]


def test_an_unforeseen_fault_tells_nothing_but_its_id_and_is_logged(client, video, engine, log):
    engine.fault = RuntimeError("a secret")
    job = finished(client, post(client, video).headers["location"])
    assert job["problem"]["type"] == "urn:marey:problem:internal"
    assert "secret" not in json.dumps(job)
    engine.fault = None
    assert finished(client, post(client, video).headers["location"])["status"] == "done"
    assert any(line["event"] == "job_failed" for line in log)


def test_a_running_job_can_be_cancelled(client, video, engine, settings):
    engine.gate.clear()
    location = post(client, video).headers["location"]
    engine.entered.wait(5)
    assert client.delete(location).status_code == 204
    assert engine.stopped.wait(5)
    assert client.get(location).json()["status"] == "cancelled"
    until(lambda: not [path for path in settings.jobs_folder.iterdir() if path.is_dir()])
    engine.gate.set()
    assert finished(client, post(client, video).headers["location"])["status"] == "done"
    assert client.get(location).json()["status"] == "cancelled"


def test_a_queued_job_that_is_cancelled_is_never_begun(client, video, engine):
    engine.gate.clear()
    first, second = (post(client, video).headers["location"] for _ in range(2))
    engine.entered.wait(5)
    assert client.delete(second).status_code == 204
    engine.gate.set()
    finished(client, first)
    finished(client, post(client, video).headers["location"])
    assert client.get(second).json()["status"] == "cancelled"
    assert len(engine.options) == 2


def test_a_finished_job_is_forgotten_when_it_is_removed(client, video, settings):
    location = post(client, video).headers["location"]
    finished(client, location)
    assert client.delete(location).status_code == 204
    for reply in (client.get(location), client.delete(location), client.get(f"{location}/events")):
        assert_problem(reply, 404, "unknown-job", "expired or been removed")
    assert not [path for path in settings.jobs_folder.iterdir() if path.is_dir()]


def test_events_tell_each_change_once_and_end_with_the_result(client, video, engine):
    engine.gate.clear()
    location = post(client, video).headers["location"]
    with events_of(client, location) as events:
        told = [next(events)]
        while told[-1][2]["progress"] < 0.5:
            told.append(next(events))
        engine.gate.set()
        told += list(events)
    assert [name for name, _, _ in told] == ["progress"] * (len(told) - 1) + ["done"]
    assert len({event_id for _, event_id, _ in told}) == len(told)
    assert [job["progress"] for _, _, job in told] == sorted(job["progress"] for _, _, job in told)
    assert [job["result"] is None for _, _, job in told] == [True] * (len(told) - 1) + [False]
    assert told[-1][2] == client.get(location).json()


def test_who_comes_back_hears_only_what_is_new(client, video, engine):
    engine.gate.clear()
    location = post(client, video).headers["location"]
    until(lambda: client.get(location).json()["progress"] == 0.5)
    with events_of(client, location) as events:
        _, seen, _ = next(events)
    with events_of(client, location, **{"Last-Event-ID": seen}) as events:
        engine.gate.set()
        told = list(events)
    assert [name for name, _, _ in told] == ["done"]
    assert client.get(f"{location}/events", headers={"Last-Event-ID": told[0][1]}).status_code == 204
    with events_of(client, location, **{"Last-Event-ID": seen}) as events:
        assert [name for name, _, _ in events] == ["done"]


def test_events_of_a_job_that_is_cancelled_or_fails_end_with_that(client, video, engine):
    engine.gate.clear()
    location = post(client, video).headers["location"]
    with events_of(client, location) as events:
        next(events)
        client.delete(location)
        assert list(events)[-1][0] == "cancelled"
    engine.fault = Undecodable("broken")
    engine.gate.set()
    with events_of(client, post(client, video).headers["location"]) as events:
        name, _, job = list(events)[-1]
    assert (name, job["problem"]["detail"]) == ("failed", "broken")


def test_silence_is_broken_by_comments(client, video, engine, monkeypatch):
    monkeypatch.setattr(routes, "PING_S", 0.02)
    engine.gate.clear()
    location = post(client, video).headers["location"]
    with client.stream("GET", f"{location}/events") as reply:
        assert any(line.startswith(":") for line in reply.iter_lines())
    engine.gate.set()


def test_a_result_too_long_for_an_event_is_left_to_be_fetched(client, video, monkeypatch):
    monkeypatch.setattr(routes, "EVENT_CHARS", 100)
    location = post(client, video).headers["location"]
    with events_of(client, location) as events:
        name, _, job = list(events)[-1]
    assert (name, job["status"], job["result"]) == ("done", "done", None)
    assert client.get(location).json()["result"]["tracks"]


def test_segments_come_as_a_table(client, video):
    location = post(client, video).headers["location"]
    finished(client, location)
    reply = client.get(f"{location}/segments.csv")
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.text.splitlines() == [
        "track_id,label,score,start_s,end_s,key_joints",
        "1,wave,0.9123,0.1,0.8,left_wrist",
    ]


def test_the_annotated_video_is_made_once_and_plays_in_browsers(client, video, monkeypatch):
    made = []
    monkeypatch.setattr(annotated, "annotate", lambda *args, **kwargs: (made.append(args), annotate(*args, **kwargs)))
    location = post(client, video).headers["location"]
    finished(client, location)
    reply = client.get(f"{location}/annotated.mp4")
    assert reply.headers["content-type"] == "video/mp4"
    part = client.get(f"{location}/annotated.mp4", headers={"Range": "bytes=0-99"})
    assert (part.status_code, part.content) == (206, reply.content[:100])
    assert len(made) == 1
    assert reply.content.index(b"moov") < reply.content.index(b"mdat")
    with av.open(BytesIO(reply.content)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert len(list(container.decode(video=0))) == 20


@pytest.mark.parametrize("file", ["segments.csv", "annotated.mp4"])
def test_there_is_no_result_before_a_job_is_done(client, video, engine, file):
    engine.gate.clear()
    location = post(client, video).headers["location"]
    engine.entered.wait(5)
    assert_problem(client.get(f"{location}/{file}"), 409, "no-result", "running", "once it is done")
    client.delete(location)
    assert_problem(client.get(f"{location}/{file}"), 409, "no-result", "cancelled")
    engine.gate.set()


def test_a_deployment_with_keys_asks_for_one_everywhere(serve, engine, video, tmp_path):
    settings = Settings(jobs_folder=tmp_path / "jobs", api_keys="a-key-of-sixteen-and-more")
    client = serve(create_app(settings, engine=engine))
    key = {"X-API-Key": "a-key-of-sixteen-and-more"}
    location = client.post("/v1/jobs", content=video, headers={**BYTES, **key}).headers["location"]
    assert client.post("/v1/jobs", content=video).status_code == 401
    assert client.delete(location).status_code == 401
    for path in ("/v1/jobs", location, *(f"{location}/{end}" for end in ("events", "segments.csv", "annotated.mp4"))):
        assert client.get(path).status_code == 401
    assert client.get(location, headers=key).status_code == 200


def test_a_deployment_may_take_no_jobs(serve, engine, video, tmp_path):
    client = serve(create_app(Settings(jobs_folder=tmp_path / "jobs", max_jobs=0), engine=engine))
    assert_problem(post(client, video), 503, "jobs-unavailable", "MAREY_MAX_JOBS=0")
    assert not (tmp_path / "jobs").exists()
