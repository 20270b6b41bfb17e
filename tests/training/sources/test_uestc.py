"""UESTC's names, splits, text and matrices, as its authors describe them: no published file is at hand."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from pipeline.errors import DataError
from training.sources.registry import Dropped, LabelledSequence, source_named
from training.sources.uestc import ACTIONS, TRAINING_SUBJECTS, read_matrix, read_name, read_text

JOINTS = np.arange(2 * 75, dtype=np.float32).reshape(2, 25, 3) / 100 + 1


def as_text(joints: np.ndarray) -> bytes:
    lines = []
    for frame in joints:
        lines.append("#")
        for x, y, z in frame:
            lines += [f"{x} {y} {z} 0", "480.1 270.2 1", "256.3 212.4 2"]
    return "\n".join(lines).encode()


def as_matrix(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays)
    return stream.getvalue()


def read_all(path: Path) -> tuple[dict[str, LabelledSequence], dict[str, str]]:
    opened = source_named("uestc")(path)
    read = list(opened.sequences)
    assert opened.total == len(read)
    return (
        {sequence.id: sequence for sequence in read if isinstance(sequence, LabelledSequence)},
        {sequence.id: sequence.reason for sequence in read if isinstance(sequence, Dropped)},
    )


def test_there_are_40_actions_and_51_people_who_train() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS) == 40
    assert len(TRAINING_SUBJECTS) == 51
    assert max(TRAINING_SUBJECTS) <= 118


@pytest.mark.parametrize(
    ("stem", "splits"),
    [
        ("a0_d1_p001_c1_skeleton", {"cs": True, "cv2": True, "cv2_odd": False}),
        ("a0_d1_p003_c2_skeleton", {"cs": False, "cv2": False, "cv2_odd": True}),
        ("a0_d4_p118_c2_skeleton", {"cs": False, "cv2": True, "cv2_odd": False}),
        ("a39_d7_p02_c2_skeleton", {"cs": True, "cv2": False, "cv2_odd": True}),
        ("a0_d8_p001_c1_skeleton", {"cs": True, "cv2": True, "cv2_odd": False}),
        ("a0_d8_p001_c2_skeleton", {"cs": True}),
    ],
    ids=["front", "side 1", "side 4", "side 7", "front while going round", "going round"],
)
def test_splits_are_by_person_and_viewpoint(stem: str, splits: dict[str, bool]) -> None:
    assert read_name(stem).splits == splits


@pytest.mark.parametrize(
    "stem", ["a40_d1_p001_c1_skeleton", "a0_d9_p001_c1_skeleton", "a0_d1_p119_c1_skeleton", "a0_d1_p000_c1_skeleton"]
)
def test_names_beyond_the_set_are_refused(stem: str) -> None:
    with pytest.raises(DataError, match="expected a name like"):
        read_name(stem)


def test_the_metres_are_read_out_of_the_text() -> None:
    assert np.array_equal(read_text(as_text(JOINTS)), JOINTS)
    assert np.array_equal(read_text(as_text(JOINTS).replace(b"\n", b"\r\n") + b"\r\n"), JOINTS)
    assert read_text(b"").shape == (0, 25, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-100], "after frame 1: it ends early"),
        (lambda content: content.replace(b"#", b"1 2 3 0"), "expected a line # before each 75 lines"),
        (lambda content: content.replace(b" 1\n", b" 0\n").replace(b" 0\n", b" 1\n"), "on the first of three lines"),
        (lambda content: content.replace(b"1.01", b"one"), "expected a number for each coordinate"),
    ],
    ids=["cut off", "no marks", "other order", "words"],
)
def test_text_of_another_form_is_refused(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_text(change(as_text(JOINTS)))


def test_matrices_are_read_as_published_and_as_the_authors_script_writes_them() -> None:
    assert np.array_equal(read_matrix(as_matrix(v=JOINTS.reshape(2, 75))), JOINTS)
    assert np.array_equal(read_matrix(as_matrix(skel=JOINTS)), JOINTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no matrix" * 100, "expected a MATLAB file of version 5"),
        (as_matrix(v=JOINTS.reshape(2, 75))[:300], "ends early"),
        (as_matrix(other=JOINTS), "expected v or skel with 25 x 3 numbers a row"),
        (as_matrix(v=np.ones((2, 60))), "expected v or skel with 25 x 3 numbers a row"),
        (as_matrix(v=np.array(["text"])), "expected v or skel with 25 x 3 numbers a row"),
    ],
    ids=["text", "cut off", "other name", "20 joints", "letters"],
)
def test_matrices_of_another_form_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_matrix(content)


def test_sequences_are_turned_round_and_faulty_ones_dropped(tmp_path: Path) -> None:
    unseen = JOINTS.copy()
    unseen[1, 4] = 0
    (tmp_path / "a2_d1_p001_c1_skeleton.txt").write_bytes(as_text(unseen))
    (tmp_path / "a2_d1_p001_c2_skeleton.txt").write_bytes(as_text(JOINTS)[:-100])
    (tmp_path / "a2_d2_p001_c2_skeleton.txt").write_bytes(as_text(np.zeros_like(JOINTS)))
    (tmp_path / "a2_d3_p001_c2_skeleton.txt").write_bytes(as_text(np.full_like(JOINTS, np.nan)))
    (tmp_path / "a77_d3_p001_c2_skeleton.txt").write_bytes(as_text(JOINTS))
    read, dropped = read_all(tmp_path)
    sequence = read["a2_d1_p001_c1"]
    assert (sequence.label, sequence.subject, sequence.keypoints.shape) == ("jumping_jack", 1, (2, 1, 25, 3))
    assert np.array_equal(sequence.keypoints[:, 0], unseen * np.array([-1, -1, 1], np.float32))
    assert sequence.scores[:, 0, 4].tolist() == [1, 0]
    assert {name: reason.split(":")[0] for name, reason in dropped.items()} == {
        "a2_d1_p001_c2": "expected 76 lines a frame, got 72 after frame 1",
        "a2_d2_p001_c2": "nobody is seen in any of its frames",
        "a2_d3_p001_c2": "a coordinate or score in frame 0 is not finite",
        "a77_d3_p001_c2": "expected a name like a0_d1_p001_c1_skeleton, up to a39, d8, p118 and c2",
    }


def test_matrices_go_before_text(tmp_path: Path) -> None:
    (tmp_path / "a0_d1_p001_c1_skeleton.txt").write_bytes(as_text(JOINTS))
    (tmp_path / "a0_d1_p001_c1_skeleton.mat").write_bytes(as_matrix(v=2 * JOINTS.reshape(2, 75)))
    read, dropped = read_all(tmp_path)
    assert not dropped
    assert np.array_equal(read["a0_d1_p001_c1"].keypoints[..., 2], 2 * JOINTS[:, None, :, 2])


def test_a_folder_without_skeletons_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \*_skeleton\.mat or \*_skeleton\.txt in it, found none"):
        source_named("uestc")(tmp_path)
