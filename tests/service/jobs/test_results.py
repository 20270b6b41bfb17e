import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.layouts import COCO17
from pipeline.values import LabelScore, Recognition, Segment, Track, Trajectory, VideoInfo
from service.jobs import results
from service.jobs.results import (
    SavedKeypoints,
    job_text,
    packed,
    recognition_of,
    save_keypoints,
    segments_csv,
    unpacked,
)
from service.jobs.schemas import JobAnswer
from service.jobs.store import Status
from service.schemas import answer_of

RECOGNISER = SimpleNamespace(
    card=SimpleNamespace(name="everyday", version="1"), bundle=SimpleNamespace(sha256="0" * 64), provider="cpu"
)


def make_track(track_id, num_samples, rng):
    segments = tuple(
        Segment(
            label=label,
            label_id=place,
            score=0.8123,
            start_s=place,
            end_s=place + 0.5,
            top_k=(LabelScore(label, 0.8123),),
            key_joints=("left_wrist", "nose"),
        )
        for place, label in enumerate(("wave", "squat"))
    )
    trajectory = Trajectory(
        np.arange(num_samples) / 15,
        rng.uniform(0, 640, (num_samples, 17, 2)).astype(np.float32),
        rng.uniform(0, 1, (num_samples, 17)).astype(np.float32),
        rng.uniform(0, 640, (num_samples, 4)).astype(np.float32),
    )
    return Track(track_id, 0.0, 2.0, segments, trajectory)


def make_recognition(rng, *num_samples):
    tracks = tuple(make_track(track_id, num, rng) for track_id, num in enumerate(num_samples, start=1))
    return Recognition(VideoInfo(2.0, 15.0, 30, 640, 480), tracks, {}, ('a "tracks":[] warning',))


def answer_to(recognition):
    return answer_of(recognition, RECOGNISER, layout=COCO17, request_id="abc")


def without_keypoints(recognition):
    return replace(recognition, tracks=tuple(replace(track, trajectory=None) for track in recognition.tracks))


JOB = JobAnswer(
    job_id="abc",
    status=Status.DONE,
    progress=1.0,
    position=None,
    created_at=datetime(2024, 1, 1, tzinfo=UTC),
    started_at=None,
    finished_at=None,
    expires_at=None,
    file_name='my "result":null walk.mp4',
    attempts=1,
)


@pytest.mark.parametrize("num_samples", [(), (0,), (1,), (7, 0, 12)], ids=str)
def test_the_text_written_in_pieces_is_what_would_be_written_at_once(tmp_path, rng, monkeypatch, num_samples):
    monkeypatch.setattr(results, "PIECE_FRAMES", 5)
    recognition = make_recognition(rng, *num_samples)
    save_keypoints(tmp_path / "keypoints.npz", recognition, COCO17)
    pieces = list(job_text(JOB, answer_to(without_keypoints(recognition)), SavedKeypoints(tmp_path / "keypoints.npz")))
    at_once = JOB.model_copy(update={"result": answer_to(recognition)})
    assert json.loads("".join(pieces)) == json.loads(at_once.model_dump_json())


def test_without_keypoints_the_answer_is_written_as_it_is(rng):
    answer = answer_to(without_keypoints(make_recognition(rng, 3)))
    assert json.loads("".join(job_text(JOB, answer, None)))["result"] == json.loads(answer.model_dump_json())


def test_no_piece_grows_with_the_length_of_the_video(tmp_path, rng):
    lengths = []
    for num_samples in (2_000, 6_000):
        recognition = make_recognition(rng, num_samples)
        save_keypoints(tmp_path / "keypoints.npz", recognition, COCO17)
        text = job_text(JOB, answer_to(without_keypoints(recognition)), SavedKeypoints(tmp_path / "keypoints.npz"))
        lengths.append(max(map(len, text)))
    assert lengths[1] < 1.05 * lengths[0] < 400_000


def test_an_answer_is_kept_small_and_comes_back(rng):
    answer = answer_to(make_recognition(rng, 50))
    assert unpacked(packed(answer)) == answer
    assert len(packed(answer)) < len(answer.model_dump_json()) / 2


def test_what_is_kept_can_be_drawn(tmp_path, rng):
    recognition = make_recognition(rng, 4, 6)
    save_keypoints(tmp_path / "keypoints.npz", recognition, COCO17)
    with SavedKeypoints(tmp_path / "keypoints.npz") as keypoints:
        restored = recognition_of(answer_to(without_keypoints(recognition)), keypoints)
        assert keypoints.layout is COCO17
    assert restored.video == recognition.video
    for before, after in zip(recognition.tracks, restored.tracks, strict=True):
        assert [(s.label, s.score, s.start_s, s.end_s) for s in after.segments] == [
            (s.label, s.score, s.start_s, s.end_s) for s in before.segments
        ]
        np.testing.assert_array_equal(after.trajectory.keypoints, before.trajectory.keypoints)
        np.testing.assert_array_equal(after.trajectory.times_s, before.trajectory.times_s)


def test_every_segment_is_a_line(rng):
    lines = segments_csv(answer_to(without_keypoints(make_recognition(rng, 1, 1)))).splitlines()
    assert lines[0] == "track_id,label,score,start_s,end_s,key_joints"
    assert lines[1:] == [
        f"{track_id},{label},0.8123,{start_s},{start_s + 0.5},left_wrist nose"
        for track_id in (1, 2)
        for start_s, label in ((0.0, "wave"), (1.0, "squat"))
    ]
