import json

import pytest

from pipeline import errors as pipeline
from service import errors
from service.streams.connection import Connection, close_code_of
from service.streams.messages import Dropped

pytestmark = pytest.mark.anyio
MESSAGE = Dropped(seqs=[1], reason="late")


@pytest.fixture
def connection(socket):
    return Connection(socket, stream_id="stream", unread_s=0.05)


@pytest.mark.parametrize("content", ["text", b"bytes", b"", ""])
async def test_text_and_bytes_come_as_they_are(connection, socket, content):
    socket.say(content)
    assert await connection.receive(within_s=1) == content


async def test_silence_and_a_client_that_hung_up_are_told_apart(connection, socket):
    with pytest.raises(errors.StreamSilent):
        await connection.receive(within_s=0.01)
    socket.hang_up(1001)
    with pytest.raises(errors.ClientGone):
        await connection.receive(within_s=1)
    assert connection.code == 1001


async def test_what_is_not_read_in_time_is_an_error(connection, socket):
    socket.is_read.clear()
    with pytest.raises(errors.StreamUnread):
        await connection.send(MESSAGE)


async def test_an_ending_is_said_with_its_problem_and_its_code(connection, socket):
    await connection.close(errors.StreamSilent("expected more"))
    problem = json.loads(socket.outgoing[1]["text"])["problem"]
    assert (problem["type"], problem["request_id"]) == ("urn:marey:problem:idle", "stream")
    assert socket.outgoing[2] == {
        "type": "websocket.close",
        "code": 1008,
        "reason": "idle: expected more",
    }


async def test_a_good_ending_needs_no_words(connection, socket):
    await connection.close(None)
    assert socket.outgoing[1:] == [{"type": "websocket.close", "code": 1000, "reason": ""}]


async def test_a_reason_is_cut_to_what_a_close_frame_holds(connection, socket):
    await connection.close(errors.BadRequest("\xe9" * 200))
    reason = socket.outgoing[-1]["reason"]
    assert 120 < len(reason.encode()) <= 123


async def test_nothing_is_said_to_who_has_gone(connection, socket):
    await connection.close(errors.ClientGone("gone"))
    assert len(socket.outgoing) == 1


@pytest.mark.parametrize("error", [errors.StreamUnread("x"), errors.StreamSilent("x")])
async def test_closing_does_not_wait_for_ever_for_who_does_not_read(connection, socket, error):
    socket.is_read.clear()
    await connection.close(error)
    assert connection.code == 1008


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadRequest("x"), 1003),
        (errors.UnsupportedContent("x"), 1003),
        (pipeline.Undecodable("x"), 1003),
        (errors.BadOptions([]), 1008),
        (errors.OutOfOrder("x"), 1008),
        (errors.StreamTooFast("x"), 1008),
        (errors.StreamSilent("x"), 1008),
        (errors.StreamUnread("x"), 1008),
        (pipeline.UnknownModel("x"), 1008),
        (pipeline.WeightsMissing("x"), 1008),
        (pipeline.LimitExceeded("x", limit="pixels"), 1009),
        (pipeline.BrokenBundle("x"), 1011),
        (RuntimeError("x"), 1011),
        (errors.NotReady("x"), 1012),
        (errors.TooManyStreams("x"), 1013),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_has_its_code(error, code):
    assert close_code_of(error) == code
