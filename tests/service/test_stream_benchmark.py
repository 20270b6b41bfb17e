"""The benchmark of streams: its arithmetic, and a short soak of a real service in a process of its own."""

from pathlib import Path

import pytest

from service.schemas import Explanation
from service.stream_benchmark import Decision, Finding, Watch, describe, measure, paced
from service.streams.messages import Action, Dropped, FramePoses

FINDING = Finding(
    cameras=1,
    fps=15,
    seconds=4,
    processed=58,
    dropped=2,
    lag_ms=61.4,
    lag_p95_ms=180.2,
    decisions=[Decision("squat", 8.44, 1.06)],
    taken_back=0,
    memory_bytes=[300 << 20, 320 << 20, 320 << 20, 320 << 20],
)


def answer(seq: int, lag_ms: float) -> FramePoses:
    return FramePoses(seq=seq, time_s=seq / 15, lag_ms=lag_ms, width=64, height=48, people=None)


def action(kind: str, *, action_id: int, start_s: float, end_s: float, decided_s: float) -> Action:
    return Action.model_validate(
        {
            **{"type": f"action.{kind}", "action_id": action_id, "track_id": 1, "label": "squat", "label_id": 3},
            **{"score": 0.9, "start_s": start_s, "end_s": end_s, "provisional": False, "decided_s": decided_s},
            **{"top_k": [], "explanation": Explanation(key_frames_s=[], key_joints=[])},
        }
    )


def test_every_frame_is_counted_by_how_it_was_answered() -> None:
    watch = Watch()
    for message in (answer(0, 40.0), Dropped(seqs=[1, 2], reason="late"), answer(3, 60.0)):
        watch.hear(message)
    assert (watch.processed, watch.dropped, watch.lags_ms) == (2, 2, [40.0, 60.0])


def test_a_delay_runs_from_where_the_action_was_found_to_begin_to_the_first_word_of_it() -> None:
    watch = Watch()
    watch.hear(action("start", action_id=1, start_s=2.2, end_s=3.0, decided_s=3.0))
    watch.hear(action("end", action_id=1, start_s=2.0, end_s=5.0, decided_s=6.0))
    assert watch.decisions == [Decision("squat", 2.0, 1.0)]


def test_what_was_taken_back_is_no_decision() -> None:
    watch = Watch()
    watch.hear(action("start", action_id=1, start_s=2.0, end_s=3.0, decided_s=3.0))
    watch.hear(action("end", action_id=1, start_s=2.0, end_s=2.0, decided_s=4.0))
    assert (watch.decisions, watch.taken_back) == ([], 1)


def test_memory_that_grows_is_seen_and_a_warm_up_is_not_growth() -> None:
    assert FINDING.memory_growth == 1.0
    assert "lag 61 ms, one in twenty over 180 ms" in list(describe(FINDING))
    assert "squat: 1 times, said 1.1 s after it began, 1.1 s at the latest" in list(describe(FINDING))


def test_a_clip_is_played_in_a_loop_at_a_cameras_pace_whatever_its_own() -> None:
    clip = [(0.0, b"a"), (0.02, b"b")]
    played = list(paced(clip, fps=100, seconds=0.06))
    assert [picture for _, picture in played] == [b"a", b"a", b"b", b"b", b"a", b"a"]
    assert [time_s for time_s, _ in played] == [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]


@pytest.mark.slow
def test_a_short_soak_answers_every_frame_of_two_cameras(shared: Path) -> None:
    finding = measure(shared / "videos" / "stgcn_clean_and_jerk.mp4", fps=10, seconds=6, cameras=2)
    assert finding.processed + finding.dropped == 2 * 60
    assert finding.processed > 0
    assert all(finding.memory_bytes)
