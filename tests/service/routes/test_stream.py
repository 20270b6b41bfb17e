import asyncio
import re
from pathlib import Path

import pytest
from streaming import hear, hear_all, opened, stream, wave
from websockets.exceptions import InvalidStatus

from service.app import create_app
from service.settings import Settings
from service.streams.messages import CLIENT_MESSAGES, SERVER_MESSAGES, CloseCode, ErrorMessage, Ready, key_protocol

pytestmark = pytest.mark.anyio
KEY = "key-of-the-deployment"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def guarded(serve, engine):
    return serve(create_app(Settings(api_keys=(KEY,), max_jobs=0), engine=engine))


WAYS = {
    "header": {"additional_headers": {"X-API-Key": KEY}},
    "bearer": {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
    "subprotocol": {"subprotocols": ["marey.v1", key_protocol(KEY)]},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_key_comes_in_a_header_or_as_a_subprotocol(guarded, way):
    async with opened(guarded, **WAYS[way]) as connection:
        assert isinstance(await hear(connection), Ready)
        assert connection.subprotocol == "marey.v1"


WRONG = "another-key-that-is-wrong"
REFUSED = {
    "no key": ({}, 401),
    "wrong key": ({"additional_headers": {"X-API-Key": WRONG}}, 403),
    "wrong key of a browser": ({"subprotocols": ["marey.v1", key_protocol(WRONG)]}, 403),
    "no base64": ({"subprotocols": ["marey.v1", "marey.key.!"]}, 401),
    "other page": ({"additional_headers": {"X-API-Key": KEY}, "origin": "https://example.org"}, 403),
    "no page": ({"additional_headers": {"X-API-Key": KEY}, "origin": "null"}, 403),
    "other protocol": ({"additional_headers": {"X-API-Key": KEY}, "subprotocols": ["marey.v2"]}, 400),
}


@pytest.mark.parametrize(("options", "status"), REFUSED.values(), ids=REFUSED)
async def test_who_may_not_come_in_is_refused_before_the_stream_opens(guarded, options, status):
    with pytest.raises(InvalidStatus) as refused:
        async with opened(guarded, **options):
            pass
    reply = refused.value.response
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert KEY.encode() not in reply.body


async def test_the_service_s_own_page_may_stream(client):
    origin = str(client.base_url).rstrip("/")
    async with opened(client, origin=origin) as connection:
        assert isinstance(await hear(connection), Ready)


async def test_the_short_address_leads_to_the_same(client):
    async with opened(client, path="/stream", subprotocols=None) as connection:
        assert isinstance(await hear(connection), Ready)


async def test_a_stream_has_the_id_that_its_client_gave_in_the_answer_and_in_the_log(client, log):
    async with opened(client, additional_headers={"X-Request-ID": "camera-17"}) as connection:
        assert (await hear(connection)).stream_id == "camera-17"
    assert log[-1]["request_id"] == "camera-17"


async def test_a_stream_too_many_is_told_to_come_back(serve, engine):
    client = serve(create_app(Settings(max_streams=1, max_jobs=0), engine=engine))
    async with opened(client) as first:
        assert isinstance(await hear(first), Ready)
        async with opened(client) as second:
            heard = await hear_all(second)
        assert heard.code == 1013
        assert heard.of(ErrorMessage)[0].problem.type == "urn:marey:problem:too-many-streams"
    assert (await stream_when_free(client)).code == 1000


async def stream_when_free(client):
    async with asyncio.timeout(5):
        while (heard := await stream(client, wave(6))).code == 1013:
            pass
    return heard


def test_an_ordinary_request_finds_nothing_there(client):
    assert client.get("/v1/stream").status_code == 404


DOCUMENTED = (Path(__file__).parents[3] / "docs" / "streams.md").read_text(encoding="utf-8")


def test_the_example_of_the_documents_runs(client, film, tmp_path, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENTED, re.DOTALL)
    path = tmp_path / "clip.mp4"
    path.write_bytes(film(num_frames=50, fps=10))
    address = f"{client.base_url.host}:{client.base_url.port}"
    exec(example.replace("127.0.0.1:8000", address).replace("clip.mp4", str(path)), {})
    assert "action.end 1 wave" in capsys.readouterr().out


def test_every_message_of_the_documents_is_one():
    texts = re.findall(r"```json\n(.*?)```", DOCUMENTED, re.DOTALL)
    messages = [text for block in texts for text in re.split(r"\n(?=\{)", block.strip())]
    kinds = [type(read_any(text)).__name__ for text in messages]
    assert kinds == ["Config", "FramePoses", "Dropped", "Action"]


def read_any(text):
    return (CLIENT_MESSAGES if '"config"' in text else SERVER_MESSAGES).validate_json(text)


def test_every_close_code_is_documented():
    assert re.findall(r"^\| (1\d{3}) \|", DOCUMENTED, re.MULTILINE) == [str(int(code)) for code in CloseCode]
