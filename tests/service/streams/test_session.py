"""Streams against a real server around a fake engine."""

import asyncio

import pytest
from streaming import NOTHING_LOST, frame, hear, hear_all, opened, picture, say, send_all, stream, wave

from service.app import create_app
from service.settings import Settings
from service.streams.messages import Action, Config, End, ErrorMessage, FramePoses, Ready, SentFrame, Stats, pack_frame

pytestmark = pytest.mark.anyio


async def test_a_stream_is_answered_frame_by_frame_and_its_actions_begin_and_end(client):
    heard = await stream(client, wave())
    assert isinstance(heard.messages[0], Ready)
    assert heard.looked_at == list(range(60))
    actions = heard.of(Action)
    assert (actions[0].type, actions[-1].type, actions[0].label) == ("action.start", "action.end", "wave")
    assert {(action.action_id, action.track_id) for action in actions} == {(1, 1)}
    assert actions[-1].start_s == pytest.approx(2, abs=0.6)
    assert actions[-1].end_s == pytest.approx(4, abs=0.6)
    assert (heard.code, heard.reason) == (1000, "")


async def test_ready_says_what_answers_and_what_is_allowed(client, engine):
    async with opened(client) as connection:
        ready = await hear(connection)
    assert (ready.protocol, ready.model.name, ready.labels) == ("marey.v1", "everyday", ["idle", "wave", "squat"])
    assert (ready.layout, ready.joints[9]) == ("coco17", "left_wrist")
    assert (9, 7) in ready.limbs
    assert (ready.window_s, ready.stride_s, ready.credit) == (1.0, 0.25, 4)
    assert ready.limits.model_dump() == {
        "frame_bytes": 4 * 1024 * 1024,
        "pixels": 4096 * 2304,
        "fps": 120,
        "idle_s": 30,
    }


async def test_people_are_told_in_px_of_the_picture_that_was_sent_and_with_what_they_do(client):
    heard = await stream(client, wave())
    poses = heard.of(FramePoses)
    assert {(answer.width, answer.height) for answer in poses} == {(64, 48)}
    (person,) = poses[0].people
    assert person.points[0] == pytest.approx((16.3, 5, 0.9), abs=0.1)
    assert person.action is None
    doing = [answer.people[0].action for answer in poses]
    assert {action.label for action in doing if action} == {"wave"}


async def test_times_count_from_the_first_capture_and_lag_from_the_arrival(client):
    answers = (await stream(client, wave(6))).of(FramePoses)
    assert [answer.time_s for answer in answers] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert all(0 < answer.lag_ms < 1000 for answer in answers)


async def test_poses_may_be_left_out_but_each_frame_is_answered(client):
    heard = await stream(client, wave(), Config(drop="never", poses=False))
    assert heard.looked_at == list(range(60))
    assert {answer.people for answer in heard.of(FramePoses)} == {None}
    assert heard.of(Action)


async def test_frames_above_the_rate_are_answered_without_being_looked_at(client):
    frames = wave(30, fps=30)
    heard = await stream(client, frames, Config(drop="never", fps=10))
    assert len(heard.looked_at) == pytest.approx(10, abs=1)
    assert sorted(heard.looked_at + heard.left_out("rate")) == list(range(30))


async def test_of_a_live_view_the_newest_frames_are_looked_at(client, engine):
    engine.pose.gate.clear()
    async with opened(client, Config(fps=120)) as connection:
        await hear(connection)
        await connection.send(frame(0))
        await asyncio.to_thread(engine.pose.entered.wait)
        for seq in range(1, 21):
            await connection.send(frame(seq))
        late = [(await hear(connection)).seqs for _ in range(16)]
        engine.pose.gate.set()
        await connection.send(End().model_dump_json())
        heard = await hear_all(connection)
    assert late == [[seq] for seq in range(1, 17)]
    assert heard.looked_at == [0, 17, 18, 19, 20]


async def test_where_nothing_may_be_lost_every_frame_is_looked_at(client, engine):
    engine.pose.look_s = 0.005
    heard = await stream(client, wave(90), Config(drop="never", fps=120))
    assert heard.looked_at == list(range(90))
    assert heard.code == 1000


@pytest.mark.parametrize(("look_s", "fps"), [(0.06, 60), (0.15, 20), (0.3, 15)])
async def test_a_live_view_stays_live_however_slow_the_machine(client, engine, look_s, fps):
    engine.pose.look_s = look_s
    heard = await stream(client, wave(2 * fps, fps=fps), Config(fps=60), fps=fps)
    lags_ms = [answer.lag_ms for answer in heard.of(FramePoses)]
    assert max(lags_ms[:-1]) < 500  # nothing newer comes to take the place of the last
    assert sorted(heard.looked_at + heard.left_out("late")) == list(range(2 * fps))


async def test_statistics_come_each_second_and_at_the_end(client):
    heard = await stream(client, wave(30), Config(), fps=15)
    meter = heard.of(Stats)
    assert len(meter) >= 3
    last = meter[-1]
    assert (last.received, last.processed, last.dropped) == (30, 30, 0)
    assert 0 < last.lag_ms <= last.lag_p95_ms
    assert meter[0].fps == pytest.approx(13, abs=4)


async def test_an_action_that_goes_on_is_ended_with_the_stream(client):
    heard = await stream(client, wave()[:40])
    assert [action.type for action in heard.of(Action)][-1] == "action.end"


async def test_a_client_that_just_hangs_up_leaves_its_place(client, engine, log, wait_until):
    async with opened(client) as connection:
        await hear(connection)
        await connection.send(frame(0))
    await asyncio.to_thread(wait_until, lambda: any(entry["event"] == "stream_closed" for entry in log))
    (ended,) = [entry for entry in log if entry["event"] == "stream_closed"]
    assert (ended["code"], ended["received"]) == (1000, 1)


CONFIG = NOTHING_LOST.model_dump_json()
REFUSED = {
    "no config": ([frame(0)], 1008, "config"),
    "no JSON": (["{"], 1008, "bad-options"),
    "unknown option": (['{"type": "config", "colour": 1}'], 1008, "colour"),
    "option out of range": (['{"type": "config", "fps": 1000}'], 1008, "fps"),
    "end at once": (['{"type": "end"}'], 1008, "config"),
    "large config": (["x" * 70_000], 1009, "config"),
    "unknown model": (['{"type": "config", "model": "nonesuch"}'], 1008, "nonesuch"),
    "wide window": (['{"type": "config", "window_s": 5}'], 1008, "window_s"),
    "text": ([CONFIG, "picture"], 1003, "frame"),
    "second config": ([CONFIG, CONFIG], 1003, "another config"),
    "short header": ([CONFIG, b"123"], 1003, "12 bytes"),
    "no picture": ([CONFIG, bytes(12)], 1003, "JPEG or WebP"),
    "a GIF": ([CONFIG, bytes(12) + b"GIF89a"], 1003, "JPEG or WebP"),
    "damaged": ([CONFIG, bytes(12) + picture(ext=".webp")[:40]], 1003, "damaged"),
    "same number": ([CONFIG, frame(1), frame(1)], 1008, "number above 1"),
    "earlier": ([CONFIG, frame(5), pack_frame(SentFrame(6, 1, picture()))], 1008, "capture time above"),
    "many bytes": ([CONFIG, bytes(12) + picture() + bytes(4 * 1024 * 1024)], 1009, "bytes"),
    "far too many bytes": ([CONFIG, bytes(50_000_000)], 1009, "limit"),
    "many pixels": ([CONFIG, bytes(12) + picture(size_wh=(4096, 2305))], 1009, "px"),
    # A stream that still has a frame to look at does not end before it hears what comes too late.
    "after the end": ([CONFIG, frame(0), '{"type": "end"}', frame(1)], 1003, "after the end"),
}


@pytest.mark.parametrize(("sent", "code", "reason"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_as_it_should_be_closes_the_stream_and_says_why(client, engine, sent, code, reason):
    engine.pose.gate.clear()
    async with opened(client, None) as connection:
        for message in sent:
            await say(connection, message)
        engine.pose.gate.set()
        heard = await hear_all(connection)
    assert heard.code == code
    assert reason in heard.reason
    if len(sent[-1]) < 40_000_000:
        problem = heard.of(ErrorMessage)[-1].problem
        assert heard.messages[-1].problem.request_id
        assert reason in problem.detail or reason in problem.type


async def test_our_own_fault_is_said_without_its_details(client, engine, log):
    engine.pose.fault = RuntimeError("secret")
    heard = await stream(client, wave())
    assert (heard.code, heard.reason) == (1011, "internal")
    assert "secret" not in heard.messages[-1].model_dump_json()
    assert any(entry["event"] == "unforeseen" for entry in log)


async def test_a_flood_ends_a_live_view(client):
    heard = await stream(client, [frame(seq) for seq in range(10_000)], Config(fps=120))
    assert heard.code == 1008
    assert "at most 120 frames a second" in heard.reason


async def test_silence_ends_a_stream(serve, engine):
    client = serve(create_app(Settings(stream_idle_s=0.1, max_jobs=0), engine=engine))
    async with opened(client, None) as unsaid, opened(client) as unsent:
        for connection in (unsaid, unsent):
            heard = await hear_all(connection)
            assert heard.code == 1008
            assert heard.reason.startswith("idle")


async def test_a_stream_waits_until_the_models_are_warm(serve, make_engine):
    engine = make_engine("cold")
    engine.gate.clear()
    client = serve(create_app(Settings(max_jobs=0), engine=engine))
    async with opened(client) as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.1)
        engine.gate.set()
        assert isinstance(await hear(connection), Ready)


async def test_streams_do_not_change_each_other_s_answers(client):
    alone = [await stream(client, frames) for frames in (wave(), wave(30), wave(60, fps=15))]
    together = await asyncio.gather(*(stream(client, frames) for frames in (wave(), wave(30), wave(60, fps=15))))
    assert [heard.decided for heard in together] == [heard.decided for heard in alone]


async def test_what_others_do_wrong_does_not_disturb_a_stream(serve, engine):
    client = serve(create_app(Settings(max_streams=4, max_jobs=0), engine=engine))
    alone = await stream(client, wave())
    undisturbed = asyncio.create_task(stream(client, wave(), fps=40))
    await asyncio.sleep(0)
    flood = stream(client, [frame(seq) for seq in range(10_000)], Config(fps=120))
    codes = [heard.code for heard in await asyncio.gather(flood, broken(client), broken(client), broken(client))]
    assert set(codes) <= {1008, 1003, 1013}
    crowd = await asyncio.gather(*(broken(client) for _ in range(200)))
    assert 1013 in {heard.code for heard in crowd}
    heard = await undisturbed
    assert (heard.code, heard.reason) == (alone.code, alone.reason)
    assert heard.decided == alone.decided


async def broken(client):
    async with opened(client) as connection:
        await send_all(connection, [frame(0), b"?"])
        return await hear_all(connection)
