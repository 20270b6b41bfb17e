"""Kinetics-Skeleton: lists, the choice of two people a frame, what is dropped, and its real files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import OPENPOSE18
from training.sources.kinetics_skeleton import SIZE_WH, read_poses
from training.sources.registry import Dropped, LabelledSequence, source_named

NUM_JOINTS = len(OPENPOSE18)


def skeleton(x: float, score: float) -> dict[str, list[float]]:
    return {"pose": [x, 0.5] * NUM_JOINTS, "score": [score] * NUM_JOINTS}


def encode(frames: Mapping[int, Sequence[dict[str, list[float]]]]) -> bytes:
    return json.dumps(
        {"data": [{"frame_index": frame, "skeleton": people} for frame, people in frames.items()]}
    ).encode()


def entry(label: str, number: int, *, has_skeleton: bool = True) -> dict[str, object]:
    return {"has_skeleton": has_skeleton, "label": label, "label_index": number}


def write_set(
    folder: Path, *, train: Mapping[str, object], val: Mapping[str, object] | None = None, **videos: bytes
) -> Path:
    (folder / "kinetics_train").mkdir(parents=True)
    (folder / "kinetics_train_label.json").write_text(json.dumps(train), encoding="utf-8")
    if val is not None:
        (folder / "kinetics_val_label.json").write_text(json.dumps(val), encoding="utf-8")
    for video, content in videos.items():
        (folder / "kinetics_train" / f"{video}.json").write_bytes(content)
    return folder


def read_all(path: Path) -> tuple[dict[str, LabelledSequence], dict[str, str]]:
    opened = source_named("kinetics-skeleton")(path)
    read = list(opened.sequences)
    assert opened.total == len(read)
    return (
        {sequence.id: sequence for sequence in read if isinstance(sequence, LabelledSequence)},
        {sequence.id: sequence.reason for sequence in read if isinstance(sequence, Dropped)},
    )


def test_the_best_two_of_the_first_five_are_taken_in_each_frame() -> None:
    crowd = [skeleton(0.1 * place, score) for place, score in enumerate((0.2, 0.6, 0.1, 0.8, 0.3, 0.9))]
    keypoints, scores = read_poses(encode({1: crowd, 2: crowd[:1], 4: []}))
    assert keypoints.shape == (4, 2, NUM_JOINTS, 2)
    assert scores[:, :, 0] == pytest.approx(np.array([[0.8, 0.6], [0.2, 0], [0, 0], [0, 0]]))
    assert keypoints[0, :, 0] == pytest.approx(np.array([[0.3 * 340, 128], [0.1 * 340, 128]]))
    assert not keypoints[1:, 1].any()


def test_scores_above_one_are_one_and_joints_without_a_score_are_nowhere() -> None:
    person = skeleton(0.5, 1.04)
    person["score"][3] = 0
    keypoints, scores = read_poses(encode({1: [person]}))
    assert scores.max() == 1
    assert not keypoints[0, 0, 3].any()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"data": [{"frame_index": 1, "skel',
        b"[]",
        b'{"data": [{"frame_index": 1}]}',
        b'{"data": [{"frame_index": "one", "skeleton": []}]}',
        encode({1: [{"pose": [0.5] * 34, "score": [0.5] * 17}]}),
        encode({1: [skeleton(0.5, 0.5)], 2: [{"pose": [0.5] * 34, "score": [0.5] * 18}]}),
        b'{"data": null}',
        b"\xff\xfe",
    ],
    ids=["empty", "cut off", "a list", "no skeleton", "no number", "17 joints", "uneven", "null", "no text"],
)
def test_a_file_of_another_form_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="expected 36 numbers in pose and 18 in score"):
        read_poses(content)


@pytest.mark.parametrize("frame", [0, -3, 10**6])
def test_frames_are_counted_from_one_to_some_thousands(frame: int) -> None:
    with pytest.raises(DataError, match="expected frame_index from 1 to 3000"):
        read_poses(encode({frame: [skeleton(0.5, 0.5)]}))


def test_the_two_lists_are_the_two_halves_of_the_official_split(tmp_path: Path) -> None:
    person = encode({1: [skeleton(0.5, 0.5)]})
    folder = write_set(
        tmp_path / "set",
        train={"a": entry("jumping into pool", 1)},
        val={"b": entry("abseiling", 0), "c": entry("jumping into pool", 1)},
        **{"a": person, "b": person, "c": person},
    )
    read, dropped = read_all(folder)
    assert not dropped
    assert source_named("kinetics-skeleton")(folder).classes == ("abseiling", "jumping_into_pool")
    assert {video: (sequence.label, dict(sequence.splits)) for video, sequence in read.items()} == {
        "a": ("jumping_into_pool", {"official": True}),
        "b": ("abseiling", {"official": False}),
        "c": ("jumping_into_pool", {"official": False}),
    }
    assert len({sequence.subject for sequence in read.values()}) == 3


def test_what_is_left_out_is_reported_with_the_reason(tmp_path: Path) -> None:
    train = {video: entry("abseiling", 0, has_skeleton=video != "none") for video in ("good", "none", "absent", "cut")}
    train |= {"nobody": entry("abseiling", 0), "infinite": entry("abseiling", 0)}
    folder = write_set(
        tmp_path / "set",
        train=train,
        good=encode({1: [skeleton(0.5, 0.5)]}),
        cut=encode({1: [skeleton(0.5, 0.5)]})[:50],
        nobody=encode({1: [], 2: []}),
        infinite=encode({1: [skeleton(float("inf"), 0.5)]}),
        stranger=encode({1: [skeleton(0.5, 0.5)]}),
    )
    read, dropped = read_all(folder)
    assert list(read) == ["good"]
    reasons = {
        "none": "says that it has no skeleton",
        "absent": "it has no file",
        "cut": "expected 36 numbers",
        "nobody": "nobody is seen",
        "infinite": "frame 0 is not finite",
        "stranger": "it is in none of kinetics_train_label.json",
    }
    assert set(dropped) == set(reasons)
    assert all(reason in dropped[video] for video, reason in reasons.items())


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ({"a": {"label": "abseiling"}}, None, "expected label, label_index and has_skeleton by video"),
        ({"a": entry("abseiling", 0), "b": entry("archery", 0)}, None, "one label_index for each label"),
        ({"a": entry("abseiling", 0), "b": entry("abseiling", 1)}, None, "one label_index for each label"),
        ({"a": entry("abseiling", 0)}, {"a": entry("abseiling", 0)}, "1 videos are both in"),
        ({}, None, "one label_index for each label"),
    ],
    ids=["incomplete", "one number", "one label", "in both", "empty"],
)
def test_lists_that_contradict_themselves_are_refused(
    tmp_path: Path, train: Mapping[str, object], val: Mapping[str, object] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        source_named("kinetics-skeleton")(write_set(tmp_path / "set", train=train, val=val))


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(encode({1: []}))
    with pytest.raises(DataError, match=r"expected kinetics_train_label\.json or kinetics_val_label\.json in it"):
        source_named("kinetics-skeleton")(tmp_path)


def test_real_files_agree_with_what_their_json_holds(shared: Path) -> None:
    folder = shared / "formats" / "kinetics-skeleton"
    read, dropped = read_all(folder)
    assert set(read) == {"___qijXy2f0", "__0muxHV-Uw", "__4frZhaVDs"}
    assert set(dropped) == {"___dTOdxzXY", "__6LvmReo3Y"}  # listed, but not among the samples
    for video, sequence in read.items():
        frames = json.loads((folder / f"{video}.json").read_bytes())["data"]
        assert sequence.keypoints.shape[::2] == (299, NUM_JOINTS)
        assert sequence.size_wh == SIZE_WH
        for frame in frames:
            place, first_five = frame["frame_index"] - 1, frame["skeleton"][:5]
            best = sorted((sum(min(score, 1) for score in person["score"]) for person in first_five), reverse=True)
            assert np.sort(sequence.scores[place].sum(axis=1))[::-1][: len(best)] == pytest.approx(best[:2], abs=1e-2)
            assert (sequence.scores[place].sum(axis=1) > 0).sum() == min(len(best), 2)
        seen = sequence.scores > 0
        assert sequence.keypoints[seen].min() >= 0
        assert sequence.keypoints[seen].max() <= 1.05 * max(SIZE_WH)
