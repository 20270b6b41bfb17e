"""A skeleton set file is read once, checked, and cut into sequences."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import COCO17, KINECT20, PENN13
from training.datasets.skeleton_set import SkeletonSet, build_set, name_joints, read_arrays

Write = Callable[..., Path]


@pytest.fixture
def two(write_set: Write, tmp_path: Path) -> SkeletonSet:
    """Two sequences of 3 and 4 frames, whose frames are numbered in x."""
    x = np.ones((7, 13, 2), np.float32) * np.arange(7, dtype=np.float32)[:, None, None]
    arrays = read_arrays(write_set(tmp_path / "two.npz", x=x, subject=np.array([4, 9])))
    return build_set("two", arrays, layout=PENN13, fps=10.0)


def test_a_sequence_is_a_clip_of_one_person_in_real_time(two: SkeletonSet) -> None:
    clip = two.clip(1)
    assert clip.keypoints.shape == (4, 1, 13, 2)
    assert clip.keypoints[:, 0, 5, 0].tolist() == [3, 4, 5, 6]
    assert clip.times_s.tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    assert (clip.start_s, clip.end_s) == (0.0, 0.4)
    assert clip.layout is PENN13


def test_labels_groups_and_the_split_are_those_of_the_file(two: SkeletonSet) -> None:
    assert [two.label(index) for index in range(len(two))] == ["wave", "jump"]
    assert two.groups.tolist() == [4, 9]
    assert two.train.tolist() == [True, False]


def test_without_subjects_and_a_split_each_sequence_is_its_own_group_and_trains(
    write_set: Write, tmp_path: Path
) -> None:
    plain = build_set("plain", read_arrays(write_set(tmp_path / "plain.npz", train=None)), layout=PENN13, fps=30.0)
    assert plain.groups.tolist() == [0, 1]
    assert plain.train.all()


@pytest.mark.parametrize("chosen", [np.array([False, True]), np.array([1])], ids=["mask", "index"])
def test_a_subset_keeps_whole_sequences(two: SkeletonSet, chosen: np.ndarray) -> None:
    subset = two.subset(chosen)
    assert len(subset) == 1
    assert subset.label(0) == "jump"
    assert subset.groups.tolist() == [9]
    assert np.array_equal(subset.clip(0).keypoints, two.clip(1).keypoints)


def test_a_subset_may_be_empty(two: SkeletonSet) -> None:
    assert len(two.subset(np.array([False, False]))) == 0


def test_joints_may_be_spelled_in_several_ways() -> None:
    assert name_joints(["l_elbow", "right_knee", "waist", "face"]) == ("left_elbow", "right_knee", "pelvis", "head")


def test_joints_that_a_layout_has_not_are_left_out_and_those_that_a_file_has_not_are_not_seen(
    write_set: Write, tmp_path: Path
) -> None:
    arrays = read_arrays(write_set(tmp_path / "set.npz"))
    as_coco = build_set("coco", arrays, layout=COCO17, fps=30.0)
    assert (as_coco.scores[:, 0, COCO17.index("left_wrist")] == 1).all()
    assert as_coco.keypoints.shape[2] == 17
    odd = {**arrays, "joints": np.array([*"abcdefghijkl", "r_knee"])}
    as_kinect = build_set("kinect", odd, layout=KINECT20, fps=30.0)
    assert np.flatnonzero(as_kinect.scores[0, 0]).tolist() == [KINECT20.index("right_knee")]


def test_a_file_of_unknown_joints_only_is_refused(write_set: Write, tmp_path: Path) -> None:
    arrays = read_arrays(write_set(tmp_path / "set.npz", joints=np.array([f"joint{place}" for place in range(13)])))
    with pytest.raises(DataError, match=r"odd: expected joints of penn13, got none in joint0, joint1"):
        build_set("odd", arrays, layout=PENN13, fps=30.0)


def not_finite(value: float, frame: int) -> np.ndarray:
    x = np.ones((7, 13, 3), np.float32)
    x[frame, 12, 2] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": None}, "expected arrays x, offsets, y, classes, joints; x not found"),
        ({"classes": None, "joints": None}, "classes, joints not found"),
        ({"x": np.ones((7, 39), np.float32)}, r"expected x of shape .*13 joints, C channels\), .* got \(7, 39\)"),
        ({"x": np.ones((7, 12, 3), np.float32)}, r"\(frames, 13 joints, C channels\), .* got \(7, 12, 3\)"),
        ({"x": np.full((7, 13, 3), "a")}, "expected numbers in x and integers in offsets, y, subject; x has others"),
        ({"y": np.array([0.0, 1.0])}, "integers in offsets, y, subject; y has others"),
        ({"subject": np.array(["anna", "ben"])}, "subject has others"),
        ({"y": np.array(0)}, "expected one axis in offsets, y, classes, joints, not so in y"),
        ({"y": np.zeros(0, np.int64), "offsets": np.array([0])}, "expected sequences, found none"),
        ({"y": np.array([0, 2])}, r"labels must lie in 0\.\.1, got 0\.\.2"),
        ({"y": np.array([-1, 0])}, r"labels must lie in 0\.\.1, got -1\.\.0"),
        ({"y": np.array([0, 1, 1])}, "one entry for each of 3 sequences, not so in train, ids"),
        ({"offsets": np.array([0, 7])}, "offsets must rise from 0 to 7 frames in 3 steps"),
        ({"offsets": np.array([1, 3, 7])}, "offsets must rise from 0 to 7"),
        ({"offsets": np.array([0, 3, 6])}, "offsets must rise from 0 to 7"),
        ({"offsets": np.array([0, 0, 7])}, "offsets must rise from 0 to 7"),
        ({"offsets": np.array([0, 9, 7])}, "offsets must rise from 0 to 7"),
        ({"train": np.array([True])}, "expected one entry for each of 2 sequences, not so in train"),
        ({"subject": np.array([1, 2, 3])}, "one entry for each of 2 sequences, not so in subject"),
        ({"x": not_finite(np.nan, 3)}, r"x must be finite throughout; in sequence 1 \(0002\) frame 3 of x is not"),
        ({"x": not_finite(np.inf, 2), "ids": None}, r"in sequence 0 frame 2 of x is not"),
    ],
)  # fmt: skip
def test_a_file_that_breaks_a_rule_is_refused_by_its_name_and_the_rule(
    write_set: Write, tmp_path: Path, arrays: dict[str, np.ndarray | None], complaint: str
) -> None:
    path = write_set(tmp_path / "broken.npz", **arrays)
    with pytest.raises(DataError, match=complaint) as caught:
        read_arrays(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_number_of_channels_is_checked_where_a_reader_relies_on_it(write_set: Write, tmp_path: Path) -> None:
    path = write_set(tmp_path / "flat.npz")
    assert read_arrays(path, channels=3)["x"].shape == (7, 13, 3)
    with pytest.raises(DataError, match=r"expected x of shape \(frames, 13 joints, 6 channels\), .* got \(7, 13, 3\)"):
        read_arrays(path, channels=6)


def test_a_file_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no such file"):
        read_arrays(tmp_path / "nowhere.npz")


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_prose(path: Path) -> None:
    path.write_text("Dear reader, this is no data set.")


def write_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def write_half(path: Path) -> None:
    np.savez(path, x=np.ones((100, 13, 3)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_garbled(path: Path) -> None:
    np.savez_compressed(path, x=np.random.default_rng(0).random((100, 13, 3)))
    content = bytearray(path.read_bytes())
    content[500:600] = bytes(100)
    path.write_bytes(content)


def write_a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "write", [write_nothing, write_prose, write_one_array, write_half, write_garbled, write_a_folder]
)
def test_what_is_no_npz_is_refused(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    write(path)
    with pytest.raises(DataError, match=r"expected a skeleton set \(\.npz without pickles\), but reading failed"):
        read_arrays(path)


def test_pickles_are_refused_without_being_run(write_set: Write, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[object, ...]]:
            return Path.touch, (trap,)

    path = write_set(tmp_path / "trap.npz", classes=np.array([Trap(), Trap()], dtype=object))
    with pytest.raises(DataError, match="without pickles"):
        read_arrays(path)
    assert not trap.exists()
