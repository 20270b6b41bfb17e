import asyncio
from tempfile import SpooledTemporaryFile

import pytest
from starlette.requests import ClientDisconnect, Request

from pipeline.errors import LimitExceeded
from service.app import create_app
from service.errors import EmptyUpload, UnsupportedContent
from service.settings import Settings
from service.uploads import new_spool, receive_upload

KIB = 1024
SETTINGS = Settings(max_bytes=64 * KIB, max_json_bytes=8 * KIB, spool_bytes=4 * KIB)
FORM_HEAD = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


class Sender:
    """A client that sends chunk after chunk for as long as it is asked."""

    def __init__(self, chunks, *, then="http.disconnect") -> None:
        self.num_taken = 0
        self._chunks = iter(chunks)
        self._then = then

    async def __call__(self):
        chunk = next(self._chunks, None)
        if chunk is None:
            return {"type": self._then, "body": b"", "more_body": False}
        self.num_taken += 1
        return {"type": "http.request", "body": chunk, "more_body": True}


def receive(sender, *headers):
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": list(headers)}
    with SpooledTemporaryFile(max_size=SETTINGS.spool_bytes) as spool:
        upload = asyncio.run(receive_upload(Request(scope, sender), SETTINGS, spool=spool))
        return upload, upload.content.read()


def content_type(text):
    return (b"content-type", text.encode())


def endless(head=b""):
    yield head
    while True:
        yield b"x" * KIB


@pytest.mark.parametrize(
    ("media_type", "head", "limit", "max_bytes"),
    [
        ("video/mp4", b"", "bytes", 64 * KIB),
        ("application/octet-stream", b"", "bytes", 64 * KIB),
        ("multipart/form-data; boundary=xyz", FORM_HEAD, "bytes", 64 * KIB),
        ("application/json", b'{"', "json_bytes", 8 * KIB),
    ],
)
def test_reading_stops_at_the_first_byte_too_many(media_type, head, limit, max_bytes):
    sender = Sender(endless(head))
    with pytest.raises(LimitExceeded, match=str(max_bytes)) as caught:
        receive(sender, content_type(media_type))
    assert caught.value.limit == limit
    assert sender.num_taken <= max_bytes // KIB + 2


def test_a_declared_length_above_the_limit_is_refused_unread():
    sender = Sender(endless())
    with pytest.raises(LimitExceeded):
        receive(sender, content_type("video/mp4"), (b"content-length", b"65537"))
    assert sender.num_taken == 0


def test_a_body_as_large_as_the_limit_is_taken():
    sender = Sender([b"x" * KIB] * 64, then="http.request")
    _, content = receive(sender, content_type("video/mp4"), (b"content-length", b"1"))
    assert len(content) == 64 * KIB


def test_nothing_is_an_empty_upload():
    with pytest.raises(EmptyUpload, match="0 bytes"):
        receive(Sender([], then="http.request"), content_type("video/mp4"))


def test_a_client_that_hangs_up_leaves_no_upload():
    with pytest.raises(ClientDisconnect):
        receive(Sender([b"x" * KIB] * 3), content_type("video/mp4"))


def test_a_content_type_that_is_not_accepted_is_not_read():
    sender = Sender(endless())
    with pytest.raises(UnsupportedContent, match="text/plain"):
        receive(sender, content_type("text/plain"))
    assert sender.num_taken == 0


def test_a_large_spool_has_no_name_on_the_disk(spool_folder):
    with new_spool(SETTINGS) as spool:
        spool.write(b"x" * 8 * KIB)
        spool.flush()
        assert not list(spool_folder.iterdir())


def test_a_real_server_refuses_an_endless_upload(serve, engine):
    client = serve(create_app(SETTINGS, engine=engine))
    reply = client.post(
        "/v1/recognize", content=(b"x" * KIB for _ in range(1000)), headers={"Content-Type": "video/mp4"}
    )
    assert reply.status_code == 413
    assert reply.json()["limit"] == "bytes"


HEAD = b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\n"


def test_a_real_server_refuses_a_declared_length_unread(client, talk):
    status, problem = talk(client, HEAD + b"Content-Length: 1000000000000\r\n\r\n")
    assert status == 413
    assert problem["limit"] == "bytes"


@pytest.mark.parametrize("length", [b"Content-Length: -1\r\n", b"Content-Length: many\r\n"])
def test_a_length_that_is_no_number_is_refused(client, talk, length):
    status, _ = talk(client, HEAD + length + b"\r\n")
    assert status == 400


def test_an_upload_that_never_ends_is_given_up(serve, engine, talk):
    client = serve(create_app(Settings(deadline_s=0.05), engine=engine))
    status, problem = talk(client, HEAD + b"Content-Length: 1000\r\n\r\nbegun")
    assert status == 408
    assert problem["type"] == "urn:marey:problem:upload-too-slow"
