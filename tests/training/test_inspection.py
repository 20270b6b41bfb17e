"""A file is looked through: what is in it, and what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import COCO17, LAYOUTS, NTU25
from training.inspection import Span, SplitCounts, closest_layout, inspect

Write = Callable[..., Path]
Y = np.array([0] * 5 + [1] * 6)


@pytest.fixture
def write(write_set: Write, tmp_path: Path) -> Write:
    """Write eleven sequences of four frames of two people, with nothing wrong, but for what is given."""

    def make(**given: object) -> Path:
        x = np.ones((44, 2, 17, 3), np.float32)
        x[:, 1, :, 2] = 0  # nobody
        x[:, :, 9, 2] *= (np.arange(44) % 4 > 0)[:, None]  # the left wrist, in three frames of four
        arrays: dict[str, object] = {
            "x": x,
            "offsets": np.arange(0, 45, 4),
            "y": Y,
            "joints": np.array(COCO17.joints),
            "channels": np.array(["x", "y", "score"]),
            "fps": np.array([15.0] * 10 + [30.0]),
            "subject": np.arange(11) // 2,
            "train": None,
            "ids": np.array([f"clip {place}" for place in range(11)]),
            "split_test": np.array([1, 1] * 4 + [0, 0, -1], np.int8),
            "report": np.array('{"dropped": {"too short": ["a", "b"]}}'),
        }
        return write_set(tmp_path / "set.npz", **(arrays | given))

    return make


def test_a_sound_file_is_counted(write: Write) -> None:
    found = inspect(write())
    assert (found.sequences, found.frames, found.people, found.layout) == (11, 44, 2, "coco17")
    assert found.classes == {"wave": 5, "jump": 6}
    assert found.frames_a_sequence == Span(4, 4, 4)
    assert found.fps == Span(15, 15, 30)
    assert found.subjects == 6
    assert found.splits == {"test": SplitCounts(8, 2, 1)}
    assert found.dropped == {"too short": 2}
    assert (found.faults, found.remarks, found.not_finite) == ((), (), 0)


def test_a_joint_counts_as_seen_as_often_as_somebody_who_is_there_shows_it(write: Write) -> None:
    seen = inspect(write()).seen
    assert seen is not None
    assert (seen["left_wrist"], seen["nose"]) == (0.75, 1.0)


def test_what_a_file_does_not_say_is_not_made_up(write_set: Write, tmp_path: Path) -> None:
    found = inspect(write_set(tmp_path / "plain.npz"))
    assert (found.fps, found.subjects, found.seen, found.channels, found.splits) == (None, None, None, (), {})
    assert found.layout == "penn13"


def with_nan() -> np.ndarray:
    x = np.ones((44, 2, 17, 3), np.float32)
    x[3, 0, 4, 1], x[40, 1, 2, 0] = np.nan, np.inf
    return x


def with_nobody() -> np.ndarray:
    x = np.ones((44, 2, 17, 3), np.float32)
    x[4:8, ..., 2] = 0
    return x


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"x": with_nan()}, "2 numbers in x are not finite"),
        ({"x": with_nobody()}, "no joint is seen in clip 1"),
        ({"y": Y + 1}, "labels run from 1 to 2, but there are 2 classes"),
        ({"classes": np.array(["wave", "wave"])}, "class wave is there more than once"),
        ({"ids": np.array(["a"] * 11)}, "id a is there more than once"),
        ({"fps": np.array([15.0] * 10 + [0.0])}, "a frame rate is not above 0"),
        ({"split_test": np.zeros(11, np.int8)}, "split 'test' trains on nothing"),
        ({"split_test": np.array([1] * 10 + [7])}, "split 'test' holds 7 beside 1, 0 and -1"),
    ],
)  # fmt: skip
def test_a_fault_is_named(write: Write, given: dict[str, object], fault: str) -> None:
    assert fault in inspect(write(**given)).faults


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        ({"y": np.array([0] * 4 + [1] * 7)}, "fewer than 5 sequences of wave"),
        ({"y": np.zeros(11, np.int64)}, "no sequence of jump"),
        ({"subject": np.zeros(11, np.int64)}, "split 'test' trains and tests on 1 of the same subjects"),
        ({"split_test": np.ones(11, np.int8)}, "split 'test' tests nothing"),
    ],
)  # fmt: skip
def test_what_makes_for_a_worse_recogniser_is_remarked(write: Write, given: dict[str, object], remark: str) -> None:
    found = inspect(write(**given))
    assert found.remarks == (remark,)
    assert found.faults == ()


def test_a_file_whose_arrays_disagree_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="one entry for each of 11 sequences, not so in split_test"):
        inspect(write(split_test=np.ones(3, np.int8)))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_joints_find_their_layout_or_the_one_that_has_most_of_them(layout: object) -> None:
    assert closest_layout(layout.joints) is layout  # type: ignore[attr-defined]
    assert closest_layout(NTU25.joints[:-1]) is NTU25
