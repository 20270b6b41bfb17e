import asyncio

import pytest

from service.streams.frame_queue import FrameQueue
from service.streams.intake import Arrival

pytestmark = pytest.mark.anyio


def arrival(seq, arrived_s=0.0):
    return Arrival(seq, seq, seq / 10, b"", arrived_s)


def numbers(arrivals):
    return [arrival.seq for arrival in arrivals]


async def drained(queue):
    await queue.end()
    taken = []
    while found := await queue.take():
        taken.append(found)
    return numbers(taken)


async def test_past_the_credit_the_oldest_falls_out():
    queue = FrameQueue(2, drop="oldest")
    assert [numbers(await queue.put(arrival(seq))) for seq in range(4)] == [[], [], [0], [1]]
    assert await drained(queue) == [2, 3]


async def test_where_nothing_may_be_lost_whoever_brings_more_waits():
    queue = FrameQueue(2, drop="never")
    bringing = asyncio.create_task(put_all(queue, 5))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not bringing.done()
    assert [(await queue.take()).seq for _ in range(5)] == [0, 1, 2, 3, 4]
    assert await bringing == []


async def put_all(queue, count):
    return [late for seq in range(count) for late in await queue.put(arrival(seq))]


@pytest.mark.parametrize(("before_s", "late"), [(0.0, []), (2.0, [0, 1]), (9.0, [0, 1])])
def test_late_frames_make_room_but_the_newest_stays(before_s, late):
    queue = FrameQueue(3, drop="oldest")
    asyncio.run(put_timed(queue))
    assert numbers(queue.drop_late(before_s)) == late


def test_nothing_is_late_where_nothing_may_be_lost():
    queue = FrameQueue(3, drop="never")
    asyncio.run(put_timed(queue))
    assert queue.drop_late(9.0) == []


async def put_timed(queue):
    for seq in range(3):
        await queue.put(arrival(seq, arrived_s=float(seq)))


async def test_whoever_waits_for_a_frame_hears_of_the_end():
    queue = FrameQueue(1, drop="oldest")
    waiting = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    await queue.end()
    assert await waiting is None
