"""Streams through the client: pictures in, messages out, every picture answered once."""

import asyncio
import itertools
from collections import deque

import cv2
import numpy as np
import pytest

from service.app import create_app
from service.client import AsyncClient, Client, ServiceProblem, Unreachable
from service.client.streaming import Message
from service.settings import Settings
from service.streams.messages import Action, Config, Dropped, FramePoses, Ready

KEY = "a-key-that-is-long-enough"
_, GREY = cv2.imencode(".jpg", np.full((240, 320, 3), 90, np.uint8))


def pictures(*, seconds=6.0, fps=15.0):
    return [(index / fps, GREY.tobytes()) for index in range(round(seconds * fps))]


@pytest.fixture
def marey(serve, watchful_engine):
    with Client(str(serve(create_app(Settings(), engine=watchful_engine)).base_url)) as client:
        yield client


def seqs_answered(messages):
    looked_at = [message.seq for message in messages if isinstance(message, FramePoses)]
    return looked_at + [seq for message in messages if isinstance(message, Dropped) for seq in message.seqs]


def test_an_action_is_told_from_start_to_end_and_no_frame_is_lost(marey):
    messages = list(marey.stream(pictures(), Config(drop="never")))
    assert isinstance(messages[0], Ready)
    assert seqs_answered(messages) == list(range(90))
    actions = [message for message in messages if isinstance(message, Action)]
    assert (actions[0].type, actions[-1].type) == ("action.start", "action.end")
    assert {action.label for action in actions} == {"raise_arms"}
    assert actions[-1].start_s == pytest.approx(2, abs=0.5)
    assert actions[-1].end_s == pytest.approx(4, abs=0.5)


def test_a_program_that_awaits_may_give_pictures_that_it_awaits(serve, watchful_engine):
    url = str(serve(create_app(Settings(), engine=watchful_engine)).base_url)

    async def arriving():
        for picture in pictures(seconds=1):
            await asyncio.sleep(0)
            yield picture

    async def ask():
        async with AsyncClient(url.replace("http", "ws")) as marey:
            return [message async for message in marey.stream(arriving(), Config(drop="never"))]

    assert seqs_answered(asyncio.run(ask())) == list(range(15))


def test_pictures_that_wait_for_their_turn_are_not_taken_ahead_of_the_credit(marey):
    taken = most_ahead = answered = credit = 0

    def counted():
        nonlocal taken
        for picture in pictures(seconds=2):
            taken += 1
            yield picture

    for message in marey.stream(counted(), Config(drop="never")):
        credit = message.credit if isinstance(message, Ready) else credit
        answered += isinstance(message, FramePoses)
        most_ahead = max(most_ahead, taken - answered)
    assert answered == 30
    assert most_ahead <= credit + 2  # one is taken before there is room for it, one while the message came


def test_what_comes_too_quickly_for_a_live_view_is_said_to_be_left_out(marey):
    messages = list(marey.stream(pictures(seconds=2, fps=100), Config(drop="oldest", fps=100)))
    assert sorted(seqs_answered(messages)) == list(range(200))
    assert any(isinstance(message, Dropped) for message in messages)


def test_a_source_that_breaks_is_raised_after_what_was_sent_is_answered(marey):
    def breaking():
        yield from pictures(seconds=1)
        raise OSError("the camera fell down")

    messages: deque[Message] = deque()
    with pytest.raises(OSError, match="fell down"):
        deque(map(messages.append, marey.stream(breaking(), Config(drop="never"))))
    assert seqs_answered(messages) == list(range(15))


def test_a_reader_that_has_enough_stops_the_source(marey):
    taken = itertools.count()
    stream = marey.stream((picture for picture in pictures() if next(taken) >= 0), Config(drop="never"))
    assert isinstance(next(stream), Ready)
    stream.close()
    assert next(taken) < 90


def test_what_the_service_refuses_within_a_stream_is_said_in_its_words(marey):
    with pytest.raises(ServiceProblem) as refused:
        list(marey.stream([(0.0, b"no picture")]))
    assert refused.value.status in (400, 415, 422)
    with pytest.raises(ServiceProblem, match="no-such-model"):
        list(marey.stream(pictures(seconds=1), Config(model="no-such-model")))


def test_a_stream_needs_the_key_like_everything_else(serve, watchful_engine):
    url = str(serve(create_app(Settings(api_keys=(KEY,)), engine=watchful_engine)).base_url)
    with Client(url) as stranger, pytest.raises(ServiceProblem) as refused:
        next(iter(stranger.stream(pictures())))
    assert refused.value.status == 401
    with Client(url, api_key=KEY) as friend:
        assert seqs_answered(list(friend.stream(pictures(seconds=0.2), Config(drop="never")))) == [0, 1, 2]


def test_a_stream_to_nowhere_is_unreachable(unused_address):
    with Client(unused_address) as marey, pytest.raises(Unreachable, match="is the service running"):
        list(marey.stream(pictures()))
