"""The client against a real server around a fake engine."""

import asyncio
import inspect
import io
import subprocess
import sys
from types import SimpleNamespace
from typing import get_type_hints

import httpx
import pytest

from pipeline.errors import MareyError
from service.app import create_app
from service.client import AsyncClient, AsyncJob, AsyncJobs, Client, Job, Jobs, Options, ServiceProblem, Unreachable
from service.client.orders import CHUNK_BYTES, Upload
from service.requests import RecognizeOptions
from service.settings import Settings

KEY = "a-key-that-is-long-enough"
SKELETONS = {"layout": "coco17", "times_s": [0.0, 0.1], "keypoints": [[[[1.0, 2.0]] * 17]] * 2}


@pytest.fixture
def marey(client):
    with Client(str(client.base_url)) as connected:
        yield connected


@pytest.fixture
def guarded(serve, engine):
    """The address of a service that wants a key."""
    return str(serve(create_app(Settings(api_keys=(KEY,)), engine=engine)).base_url)


@pytest.mark.parametrize("kind", ["path", "string", "bytes", "file"])
def test_a_video_is_recognised_from_wherever_it_lies(marey, engine, video, tmp_path, kind):
    path = tmp_path / "clip.mp4"
    path.write_bytes(video)
    with path.open("rb") as file:
        answer = marey.recognize({"path": path, "string": str(path), "bytes": video, "file": file}[kind])
    assert [segment.label for track in answer.tracks for segment in track.segments] == ["wave"]
    assert answer.video.frames == 20


def test_options_reach_the_engine(marey, engine, video):
    answer = marey.recognize(video, top_k=3, keypoints=True, threshold=None, stride_s=0.5)
    (options,) = engine.options
    assert (options.top_k, options.stride_s, options.threshold) == (3, 0.5, None)
    assert answer.tracks[0].keypoints is not None


def test_the_options_are_those_of_the_service():
    assert set(get_type_hints(Options)) == set(RecognizeOptions.model_fields)


def test_skeletons_are_recognised(marey, engine):
    answer = marey.recognize_skeletons(SKELETONS, top_k=2)
    assert answer.tracks[0].segments[0].label == "wave"
    assert engine.clips[0].layout.name == "coco17"
    assert engine.options[0].top_k == 2


def test_models_are_listed(marey):
    models = marey.models()
    assert "everyday" in [card.name for card in models.models]
    assert models.default_pose == "movenet"


def test_a_program_that_awaits_gets_the_same_answers(client, engine, video):
    async def ask():
        async with AsyncClient(str(client.base_url)) as marey:
            return await asyncio.gather(marey.recognize(video), marey.models())

    answer, models = asyncio.run(ask())
    assert answer.tracks[0].segments[0].label == "wave"
    assert models.models


def test_what_the_service_refuses_is_said_in_its_words(marey, video):
    with pytest.raises(ServiceProblem, match="Bad options") as refused:
        marey.recognize(video, top_k=0)
    problem = refused.value
    assert (problem.status, problem.title, problem.type) == (400, "Bad options", "urn:marey:problem:bad-options")
    assert [fault.field for fault in problem.errors] == ["top_k"]
    assert problem.detail in str(problem)
    assert len(problem.request_id) > 8
    assert isinstance(problem, MareyError)


def test_an_answer_in_other_words_is_a_problem_too():
    problem = ServiceProblem.of(502, httpx.Headers(), b"<h1>Bad Gateway</h1>")
    assert (problem.status, problem.title) == (502, "Bad Gateway")
    assert "<h1>" in problem.detail


def test_a_key_is_asked_for_and_accepted(guarded, engine, video):
    with Client(guarded) as stranger, pytest.raises(ServiceProblem) as refused:
        stranger.models()
    assert refused.value.status == 401
    with Client(guarded, api_key=KEY) as friend:
        assert friend.models().models


def test_a_service_that_is_not_there_is_unreachable(unused_address):
    with Client(unused_address) as marey, pytest.raises(Unreachable, match="is the service running"):
        marey.models()


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://somewhere", "http://", "http://hall:port"])
def test_an_address_that_is_none_is_the_callers_mistake(address):
    with pytest.raises(ValueError, match="expected an address"):
        Client(address)


@pytest.mark.parametrize(("source", "repeats"), [("bytes", True), ("file", True), ("pipe", False)])
def test_an_upload_that_can_be_sent_again_starts_where_it_started(source, repeats, rng):
    content = rng.bytes(2 * CHUNK_BYTES + 5)
    file = io.BytesIO(b"head" + content)
    file.seek(4)
    pipe = SimpleNamespace(read=file.read, seekable=lambda: False)
    upload = Upload({"bytes": content, "file": file, "pipe": pipe}[source])
    assert asyncio.run(everything(upload)) == content
    assert upload.is_repeatable is repeats
    assert asyncio.run(everything(upload)) == (content if repeats else b"")


async def everything(upload):
    content = upload.content()
    return content if isinstance(content, bytes) else b"".join([piece async for piece in content])


def busy_at_first(times):
    """Return a transport that is full so many times, and how often it was asked."""
    asked = []

    def answer(request):
        asked.append(request.read())
        if len(asked) <= times:
            return httpx.Response(503, headers={"Retry-After": "0"}, json={})
        return httpx.Response(200, json={"models": [], "poses": [], "default_pose": "movenet"})

    return httpx.MockTransport(answer), asked


@pytest.mark.parametrize(("retries", "num_asked", "succeeds"), [(0, 1, False), (1, 2, False), (2, 3, True)])
def test_a_full_service_is_come_back_to_as_often_as_wanted(retries, num_asked, succeeds):
    transport, asked = busy_at_first(2)

    async def ask():
        async with AsyncClient("http://busy", retries=retries) as marey:
            marey._transport._http = httpx.AsyncClient(base_url="http://busy", transport=transport)
            return await marey.models()

    if succeeds:
        assert asyncio.run(ask()).default_pose == "movenet"
    else:
        with pytest.raises(ServiceProblem) as refused:
            asyncio.run(ask())
        assert refused.value.retry_after_s == 0
    assert len(asked) == num_asked


@pytest.mark.parametrize(("plain", "awaited"), [(Client, AsyncClient), (Job, AsyncJob), (Jobs, AsyncJobs)])
def test_both_clients_can_do_the_same(plain, awaited):
    def names(kind):
        return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    assert names(awaited) <= names(plain) | {"state"}
    for name in names(awaited) & names(plain):
        if inspect.isfunction(member := getattr(awaited, name)):
            assert list(inspect.signature(member).parameters) == list(
                inspect.signature(getattr(plain, name)).parameters
            )


def test_the_client_loads_neither_server_nor_networks():
    heavy = {"av", "cv2", "onnxruntime", "fastapi", "uvicorn", "torch", "scipy"}
    probe = "import service.client, sys; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(loaded.split())
