"""PYSKL's and MMAction2's pickles: nothing in them is run, faults are named, and a real one."""

import os
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from training.sources.ntu_facts import ACTIONS
from training.sources.pyskl import open_pyskl
from training.sources.registry import Dropped, LabelledSequence, Opened, source_named


class Calls:
    """Becomes a call of anything when it is unpickled."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> Any:
        return self.called


def annotation(name: str = "a", label: int = 0, *, joints: int = 17, axes: int = 2, **more: object) -> dict[str, Any]:
    plain = {
        "frame_dir": name,
        "label": label,
        "total_frames": 4,
        "keypoint": np.ones((1, 4, joints, axes), np.float16),
    }
    flat = {"img_shape": (240, 320), "keypoint_score": np.full((1, 4, joints), 0.5, np.float16)}
    return {**plain, **(flat if axes == 2 else {}), **more}


def write(path: Path, content: object, *, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def write_set(path: Path, *annotations: dict[str, Any], **split: list[str]) -> Path:
    return write(path, {"split": split, "annotations": list(annotations)})


def read_all(opened: Opened) -> tuple[dict[str, LabelledSequence], list[Dropped]]:
    read = list(opened.sequences)
    assert opened.total == len(read)
    return (
        {sequence.id: sequence for sequence in read if isinstance(sequence, LabelledSequence)},
        [sequence for sequence in read if isinstance(sequence, Dropped)],
    )


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("exit 1",), r"(posix|nt)\.system"),
        (eval, ("1 + 1",), r"\.eval"),
        (getattr, ("a", "upper"), r"\.getattr"),
        (bytearray, (10**12,), r"\.bytearray"),
        (np.load, ("x.npy",), r"numpy\.load"),
        (np.ones, (10**12,), r"ones"),
        (OrderedDict, (), r"collections\.OrderedDict"),
    ],
    ids=["system", "eval", "getattr", "bytearray", "numpy.load", "numpy.ones", "OrderedDict"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_with_code_is_refused_and_the_code_named(
    tmp_path: Path, function: object, arguments: tuple[object, ...], named: str, protocol: int
) -> None:
    path = write(tmp_path / "set.pkl", {"annotations": [Calls(function, *arguments)]}, protocol=protocol)
    with pytest.raises(DataError, match=rf"the pickle asks for .*{named}: expected arrays and plain values only"):
        source_named("pyskl")(path)


def test_a_pickle_cannot_change_what_it_may_call(tmp_path: Path) -> None:
    path = tmp_path / "set.pkl"
    path.write_bytes(b"c_codecs\nencode\n(N}X\x0c\x00\x00\x00__defaults__)stb.")
    with pytest.raises(DataError, match="expected to call _encode, not to change it"):
        source_named("pyskl")(path)


def test_a_pickle_cannot_make_arrays_of_any_size(tmp_path: Path) -> None:
    for call in (Calls(np.ndarray, (10**13,)), Calls(np.empty(0).__reduce__()[0], np.ndarray, (10**13,), b"b")):  # type: ignore[index]
        with pytest.raises(DataError, match=r"broken or cut off|expected annotations"):
            source_named("pyskl")(write(tmp_path / "set.pkl", call))


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    made = annotation(keypoint=np.arange(136, dtype=np.float32).reshape(1, 4, 17, 2), label=np.int64(0))
    path = write(tmp_path / "set.pkl", {"split": {"train": {"a"}}, "annotations": [made]}, protocol=protocol)
    read, dropped = read_all(source_named("pyskl")(path))
    assert not dropped
    assert np.array_equal(read["a"].keypoints[:, 0], made["keypoint"][0])
    assert read["a"].splits == {"official": True}


def test_arrays_that_are_pickled_out_of_band_or_in_fortran_order_are_read(tmp_path: Path) -> None:
    points = np.asfortranarray(np.arange(136, dtype=np.float32).reshape(1, 4, 17, 2))
    path = write(tmp_path / "set.pkl", {"annotations": [annotation(keypoint=points)]}, protocol=5)
    assert np.array_equal(read_all(source_named("pyskl")(path))[0]["a"].keypoints[:, 0], points[0])


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Its texts are bytes, which numpy's arrays are made of there."""
    numbers = np.arange(1, 137, dtype="<f2").tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n(I1\nI4\nI17\nI2\nt"
    kind = b"cnumpy\ndtype\n(U\x02f2I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntb"
    raw = b"I00\nT" + len(numbers).to_bytes(4, "little") + numbers
    content = b"\x80\x02((dU\x09frame_dirU\x01asU\x05labelI0\nsU\x08keypoint" + array + kind + raw + b"tbsl."
    (tmp_path / "set.pkl").write_bytes(content)
    read, dropped = read_all(source_named("pyskl")(tmp_path / "set.pkl"))
    assert not dropped
    assert read["a"].keypoints.ravel().tolist() == list(range(1, 137))


@given(st.integers(0, 700), st.binary(min_size=1, max_size=4), st.sampled_from([0, 2, 4, 5]))
def test_broken_bytes_do_no_harm(place: int, broken: bytes, protocol: int) -> None:
    content = bytearray(pickle.dumps({"split": {"train": ["a"]}, "annotations": [annotation()]}, protocol=protocol))
    content[place : place + len(broken)] = broken
    with TemporaryDirectory() as folder:
        (Path(folder) / "set.pkl").write_bytes(content)
        with suppress(DataError):
            assert len(list(source_named("pyskl")(Path(folder)).sequences)) <= 2


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_a_pickle_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    path = write_set(tmp_path / "set.pkl", annotation())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="expected a pickle, but it is broken or cut off"):
        source_named("pyskl")(path)


def test_what_is_no_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.pkl").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="expected a pickle"):
        source_named("pyskl")(tmp_path / "set.pkl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "expected annotations, a list of dicts"),
        ({"annotations": {"a": 1}}, "expected annotations, a list of dicts"),
        ({"annotations": [annotation()], "split": ["a"]}, "expected split to be lists"),
        ({"annotations": [annotation()], "split": {"xsub": ["a"]}}, "like train, xsub_train or test1, got 'xsub'"),
        ({"annotations": [annotation()], "split": {"a b_train": ["a"]}}, "got 'a b_train'"),
        ({"annotations": []}, "17 joints in 2D or 18 joints in 2D or 25 joints in 3D, got none"),
        ({"annotations": [annotation(joints=20)]}, r"got \[\(20, 2\)\]"),
        ({"annotations": [{"frame_dir": "a", "label": 0, "raw_file": "b.pkl"}]}, "raw_file points to other pickles"),
        ({"annotations": [annotation(label=10**9)]}, "expected labels below 10000"),
        ({"annotations": [annotation(keypoint=np.array([None]))]}, "expected arrays of numbers, got 'O8'"),
    ],
    ids=["number", "dict", "split list", "split name", "odd name", "none", "20 joints", "kinetics", "label", "objects"],
)
def test_a_pickle_of_another_form_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        source_named("pyskl")(write(tmp_path / "set.pkl", content))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (annotation(keypoint=np.full((1, 4, 17, 2), np.nan)), "frame 0 is not finite"),
        (annotation(keypoint=np.ones((1, 4, 18, 2))), r"got (1, 4, 18, 2)"),
        (annotation(keypoint=np.ones((1, 4, 17, 3))), r"got (1, 4, 17, 3)"),
        (annotation(keypoint=np.ones((4, 17, 2))), r"got (4, 17, 2)"),
        (annotation(keypoint=np.ones((1, 0, 17, 2)), keypoint_score=np.ones((1, 0, 17))), "no frames"),
        (annotation(keypoint=np.ones((0, 4, 17, 2)), keypoint_score=np.ones((0, 4, 17))), "nobody is seen"),
        (annotation(keypoint_score=np.ones((1, 3, 17))), "(1, 3, 17)"),
        (annotation(keypoint_score=np.zeros((1, 4, 17))), "nobody is seen"),
        (annotation(keypoint=[[None, "a"]]), "expected numbers in keypoint"),
        ({"frame_dir": "a", "label": 0}, "expected numbers in keypoint"),
        (annotation(label=-1), "expected label from 0 to 0, got -1"),
        (annotation(label=None), "got None"),  # type: ignore[arg-type]  # a fault
        (annotation(img_shape=(0, 5)), "expected img_shape to be height and width"),
        (annotation(img_shape="large"), "expected img_shape to be height and width"),
    ],
)
def test_a_faulty_annotation_is_dropped_with_the_reason(tmp_path: Path, made: dict[str, Any], reason: str) -> None:
    read, dropped = read_all(source_named("pyskl")(write_set(tmp_path / "set.pkl", annotation("good"), made)))
    assert list(read) == ["good"]
    assert [gone.id for gone in dropped] == ["a"]
    assert reason in dropped[0].reason


def test_splits_of_every_spelling_are_understood(tmp_path: Path) -> None:
    path = write_set(
        tmp_path / "set.pkl",
        *(annotation(name) for name in "abc"),
        **{"train": ["a"], "val": ["b"], "test": ["c"], "train1": ["a"], "test1": ["b", "c"]},
        **{"xsub_train": ["a", "b"], "xsub_val": ["c"]},
    )
    read, dropped = read_all(source_named("pyskl")(path))
    assert not dropped
    assert {name: dict(sequence.splits) for name, sequence in read.items()} == {
        "a": {"official": True, "1": True, "xsub": True},
        "b": {"1": False, "xsub": True},
        "c": {"official": False, "1": False, "xsub": False},
    }


def test_what_contradicts_the_splits_is_dropped(tmp_path: Path) -> None:
    path = write_set(
        tmp_path / "set.pkl",
        *(annotation(name) for name in ("good", "torn", "twice", "twice")),
        train=["good", "torn", "absent"],
        test=["torn"],
    )
    read, dropped = read_all(source_named("pyskl")(path))
    assert list(read) == ["good"]
    assert [(gone.id, gone.reason) for gone in dropped] == [
        ("torn", "it both trains and tests in official"),
        ("twice", "2 annotations have this frame_dir"),
        ("twice", "2 annotations have this frame_dir"),
        ("absent", "a split names it, but there is no annotation of it"),
    ]


def test_the_joints_of_ntu_are_turned_round_and_its_classes_named(tmp_path: Path) -> None:
    points = np.ones((1, 4, 25, 3), np.float32)
    points[0, 1, 7] = 0
    made = annotation("S001C001P003R001A060", 59, joints=25, axes=3, keypoint=points)
    opened = source_named("pyskl")(write(tmp_path / "set.pkl", [made]))
    assert (opened.layout.name, opened.classes) == ("ntu25", ACTIONS[:60])
    sequence = read_all(opened)[0]["S001C001P003R001A060"]
    assert sequence.keypoints[0, 0, 7].tolist() == [-1, -1, 1]
    assert (sequence.scores[1, 0, 7], sequence.scores[0, 0, 7]) == (0, 1)
    assert (sequence.label, sequence.subject, sequence.size_wh) == ("walk_apart_from_person", 3, None)


def test_classes_are_given_or_numbered(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set.pkl", annotation(label=1))
    assert open_pyskl(path).classes == ("class_0", "class_1")
    assert open_pyskl(path, ["wave", "jump"]).classes == ("wave", "jump")
    with pytest.raises(DataError, match="expected a label for each of 2 classes, got 1"):
        open_pyskl(path, ["wave"])


def test_groups_of_ucf_101_stay_together(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set.pkl", annotation("v_Archery_g07_c01"), annotation("v_Archery_g07_c02"))
    assert {sequence.subject for sequence in read_all(source_named("pyskl")(path))[0].values()} == {7}


def test_a_zip_or_folder_must_hold_one_pickle(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set.pkl", annotation())
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(path, "deep/set.pkl")
    assert list(read_all(source_named("pyskl")(tmp_path / "set.zip"))[0]) == ["a"]
    write_set(tmp_path / "other.pkl", annotation())
    with pytest.raises(DataError, match=r"expected one pickle, found other\.pkl, set\.pkl"):
        source_named("pyskl")(tmp_path)


def test_a_real_pickle_is_read_whole(shared: Path) -> None:
    path = shared / "formats" / "pyskl" / "coco17_16_classes.pkl"
    opened = source_named("pyskl")(path)
    assert (opened.layout.name, len(opened.classes), opened.total) == ("coco17", 17, 486)  # numbered from 1
    read, dropped = read_all(opened)
    assert not dropped
    assert [sum(sequence.splits["xsub"] is side for sequence in read.values()) for side in (True, False)] == [388, 98]
    for sequence in read.values():
        assert sequence.size_wh is not None
        width, height = sequence.size_wh
        assert np.median(sequence.keypoints[..., 0]) < width
        assert np.median(sequence.keypoints[..., 1]) < height
        assert 0 < sequence.scores.max() <= 1
