import asyncio
import threading
import time

import pytest

from service.errors import ClientGone, DeadlineExceeded, NotReady, QueueFull
from service.work import Stopped, WorkQueue


class Resource:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def make_queue(*, max_concurrent=1, max_queue=0, deadline_s=5.0) -> WorkQueue:
    return WorkQueue(max_concurrent=max_concurrent, max_queue=max_queue, deadline_s=deadline_s)


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return None


def work_until(gate: threading.Event, stopped: threading.Event):
    def work(turn):
        try:
            while not gate.wait(0.002):
                turn.report(0.5)
        except Stopped:
            stopped.set()
            raise
        return "done"

    return work


def run(steps):
    return asyncio.run(asyncio.wait_for(steps, 5))


async def use(queue, work, *, gone=None, kept=None):
    with queue.admit() as place:
        place.keep(kept or Resource())
        return await place.run(work, gone=gone or never())


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_work_happens_in_another_thread():
    queue = make_queue()
    assert run(use(queue, lambda _: threading.current_thread().name)).startswith("work")
    assert queue.taken == 0


def test_no_more_than_allowed_run_at_once_and_the_rest_waits():
    running, most = set(), []

    def work(turn):
        running.add(threading.get_ident())
        most.append(len(running))
        time.sleep(0.01)
        running.discard(threading.get_ident())
        return turn.waited_ms

    async def steps():
        queue = make_queue(max_concurrent=2, max_queue=6)
        return await asyncio.gather(*(use(queue, work) for _ in range(8)))

    waited_ms = run(steps())
    assert max(most) == 2
    assert max(waited_ms) >= 20
    assert min(waited_ms) < 10


def test_a_full_queue_refuses_and_says_when_to_come_back():
    async def steps():
        queue = make_queue(max_queue=1)
        with queue.admit(), queue.admit():
            with pytest.raises(QueueFull, match="2 requests") as caught:
                queue.admit()
            assert caught.value.retry_after_s == 10
        queue.admit()

    run(steps())


def test_a_client_that_goes_away_stops_its_work_and_frees_the_place():
    gate, stopped = threading.Event(), threading.Event()

    async def steps():
        queue = make_queue()
        with pytest.raises(ClientGone):
            await use(queue, work_until(gate, stopped), gone=at_once())
        await until(lambda: queue.taken == 0)
        assert await use(queue, lambda _: "next") == "next"

    run(steps())


def test_a_client_that_goes_away_while_it_waits_never_costs_any_work():
    gate = threading.Event()
    done = []

    async def steps():
        queue = make_queue(max_queue=1)
        first = asyncio.create_task(use(queue, work_until(gate, threading.Event())))
        await until(lambda: queue.taken == 1)
        with pytest.raises(ClientGone):
            await use(queue, lambda _: done.append(1), gone=at_once())
        assert queue.taken == 1
        gate.set()
        assert await first == "done"

    run(steps())
    assert not done


def test_work_past_the_deadline_is_stopped():
    stopped = threading.Event()

    async def steps():
        queue = make_queue(deadline_s=0.02)
        with pytest.raises(DeadlineExceeded):
            await use(queue, work_until(threading.Event(), stopped))
        await until(stopped.is_set)

    run(steps())


def test_work_that_does_not_stop_keeps_its_place_and_what_it_uses():
    release = threading.Event()
    resource = Resource()

    async def steps():
        queue = make_queue(deadline_s=0.02)
        with pytest.raises(DeadlineExceeded):
            await use(queue, lambda _: release.wait(5), kept=resource)
        with pytest.raises(QueueFull):
            queue.admit()
        assert not resource.closed.is_set()
        release.set()
        await until(lambda: queue.taken == 0)
        assert resource.closed.is_set()

    run(steps())


def test_what_is_kept_is_closed_however_a_request_ends():
    resource = Resource()

    async def steps():
        queue = make_queue()
        with pytest.raises(ZeroDivisionError):
            await use(queue, lambda _: 1 / 0, kept=resource)
        assert resource.closed.is_set()
        assert queue.taken == 0

    run(steps())


def test_closing_stops_all_work():
    stopped = threading.Event()

    async def steps():
        queue = make_queue(max_queue=1)
        tasks = [asyncio.create_task(use(queue, work_until(threading.Event(), stopped))) for _ in range(2)]
        await until(lambda: queue.taken == 2)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(queue.close)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, NotReady | asyncio.CancelledError) for result in results)

    run(steps())
    assert stopped.is_set()
