"""What streams share, and how they end with the service, on lines without a network."""

import asyncio
import threading

import pytest
from streaming import NOTHING_LOST, frame

from pipeline.errors import UnknownModel
from service.engines import Engines
from service.errors import NotReady, TooManyStreams
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.streams.connection import Connection
from service.streams.session import Session
from service.streams.streams import Streams

pytestmark = pytest.mark.anyio


@pytest.fixture
def streams(engine):
    settings = Settings(max_streams=2)
    engines = Engines(settings, lambda model, pose: engine, default=engine)
    readiness = Readiness(settings, engines)
    readiness.warm_up()
    return Streams(settings, engines, readiness, Metrics())


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.002)


async def open_session(streams, socket, engine):
    """Begin a stream, and wait until it looks at its first frame."""
    socket.say(NOTHING_LOST.model_dump_json())
    socket.say(frame(0))
    running = asyncio.create_task(Session(Connection(socket, stream_id="x", unread_s=0.1), streams).run())
    await until(engine.pose.entered.is_set)
    return running


def close_of(socket):
    return next(message for message in socket.outgoing if message["type"] == "websocket.close")


async def test_places_are_counted_and_come_back(streams):
    with streams.place():
        with streams.place(), pytest.raises(TooManyStreams, match="at most 2"), streams.place():
            pass
        with streams.place():
            pass


async def test_streams_share_the_networks_of_an_engine(streams):
    assert streams.engine(None, None) is streams.engine("everyday", "movenet")
    with pytest.raises(UnknownModel):
        streams.engine("nonesuch", None)


async def test_work_runs_beside_the_event_loop(streams):
    assert await streams.in_thread(threading.current_thread) is not threading.current_thread()


async def test_a_service_that_is_stopped_ends_its_streams_and_takes_no_more(streams, socket, engine):
    running = await open_session(streams, socket, engine)
    await asyncio.wait_for(streams.close(), 5)
    await running
    assert close_of(socket)["code"] == 1012
    with pytest.raises(NotReady), streams.place():
        pass


async def test_a_client_that_never_reads_is_left(streams, socket, engine, log):
    running = await open_session(streams, socket, engine)
    socket.is_read.clear()
    for seq in range(1, 100):
        socket.say(frame(seq))
    await asyncio.wait_for(running, 5)
    (ended,) = [entry for entry in log if entry["event"] == "stream_closed"]
    assert ended["code"] == 1008
    assert ended["received"] < 20
    with streams.place(), streams.place():
        pass


async def test_a_client_that_goes_while_its_frame_is_looked_at_leaves_nothing(streams, socket, engine):
    engine.pose.gate.clear()
    running = await open_session(streams, socket, engine)
    socket.hang_up()
    await asyncio.wait_for(running, 5)
    engine.pose.gate.set()
    await asyncio.wait_for(streams.close(), 5)


async def test_a_stream_that_is_cancelled_leaves_its_place(streams, socket, engine):
    running = await open_session(streams, socket, engine)
    running.cancel()
    await asyncio.wait([running])
    with streams.place(), streams.place():
        pass
