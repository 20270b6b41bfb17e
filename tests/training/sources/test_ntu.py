"""NTU RGB+D's names, actions, splits and official list, and its real files."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.layouts import NTU25
from training.sources.ntu import NTU60, NTU120, STARNET_ACTIONS, read_name
from training.sources.ntu_facts import ACTIONS, MISSING, TRAINING_SUBJECTS_60, TRAINING_SUBJECTS_120
from training.sources.registry import Dropped, LabelledSequence, source_named

REAL = ("S001C001P001R001A023", "S001C001P001R002A023", "S001C001P002R001A023", "S001C001P003R002A005")


def write_skeleton(folder: Path, stem: str, *, num_frames: int = 3, num_bodies: int = 1) -> None:
    body = ["{} 0 1 1 1 1 0 0 0 2", "25", *["0.1 0.2 3 1 2 3 4 0 0 0 0 2"] * 25]
    frame = [str(num_bodies), *(line.format(number) for number in range(num_bodies) for line in body)]
    (folder / f"{stem}.skeleton").write_text("\n".join([str(num_frames), *frame * num_frames]), encoding="utf-8")


def read_all(name: str, path: Path) -> tuple[dict[str, LabelledSequence], dict[str, str]]:
    opened = source_named(name)(path)
    read = list(opened.sequences)
    assert opened.total == len(read)
    return (
        {sequence.id: sequence for sequence in read if isinstance(sequence, LabelledSequence)},
        {sequence.id: sequence.reason for sequence in read if isinstance(sequence, Dropped)},
    )


def test_there_are_120_actions_with_a_name_each() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS) == 120
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", action) for action in ACTIONS)
    assert (ACTIONS[0], ACTIONS[42], ACTIONS[59], ACTIONS[119]) == (
        "drink_water",
        "fall_down",
        "walk_apart_from_person",
        "rock_paper_scissors",
    )


def test_the_official_list_has_302_of_the_first_set_and_535_in_all() -> None:
    takes = [read_name(stem) for stem in MISSING]
    assert len(takes) == 535
    assert sum(take.setup <= 17 for take in takes) == 302
    assert all((take.setup <= 17) == (take.action <= 60) for take in takes)


def test_the_official_subjects_train() -> None:
    assert len(TRAINING_SUBJECTS_60) == 20
    assert max(TRAINING_SUBJECTS_60) <= 40
    assert len(TRAINING_SUBJECTS_120) == 53
    assert max(TRAINING_SUBJECTS_120) <= 106
    assert {subject for subject in TRAINING_SUBJECTS_120 if subject <= 40} == TRAINING_SUBJECTS_60


@pytest.mark.parametrize(
    ("stem", "across_60", "across_120"),
    [
        ("S001C001P001R001A001", {"xsub": True, "xview": False}, {"xsub": True, "xset": False}),
        ("S002C002P003R001A001", {"xsub": False, "xview": True}, {"xsub": False, "xset": True}),
        ("S017C003P045R002A060", {"xsub": False, "xview": True}, {"xsub": True, "xset": False}),
    ],
)
def test_splits_are_by_subject_camera_and_setup(
    stem: str, across_60: dict[str, bool], across_120: dict[str, bool]
) -> None:
    take = read_name(stem)
    assert {name: trains(take) for name, trains in NTU60.trains.items()} == across_60
    assert {name: trains(take) for name, trains in NTU120.trains.items()} == across_120


def test_the_smaller_sets_are_parts_of_the_large_one(tmp_path: Path) -> None:
    for stem in ("S001C001P001R001A001", "S001C001P001R001A007", "S018C001P045R001A080", "S018C001P045R001A120"):
        write_skeleton(tmp_path, stem)
    found = {name: [stem[-3:] for stem in read_all(name, tmp_path)[0]] for name in ("ntu60", "ntu120", "ntu120-12")}
    assert found == {
        "ntu60": ["001", "007"],
        "ntu120": ["001", "007", "080", "120"],
        "ntu120-12": ["007", "080"],
    }
    twelve = source_named("ntu120-12")(tmp_path)
    assert twelve.classes == tuple(ACTIONS[action - 1] for action in STARNET_ACTIONS)
    assert (twelve.classes[0], twelve.classes[5], len(twelve.classes)) == ("throw", "fall_down", 12)


def test_what_is_left_out_is_reported_with_the_reason(tmp_path: Path) -> None:
    write_skeleton(tmp_path, "S001C001P001R001A001")
    write_skeleton(tmp_path, "S001C002P005R002A008")
    write_skeleton(tmp_path, "S001C001P001R001A002", num_bodies=0)
    write_skeleton(tmp_path, "S001C001P001R001A003", num_frames=0)
    write_skeleton(tmp_path, "S001C001P001R001A121")
    write_skeleton(tmp_path, "copy of S001C001P001R001A001")
    cut = tmp_path / "S001C001P001R001A004.skeleton"
    cut.write_bytes((tmp_path / "S001C001P001R001A001.skeleton").read_bytes()[:1000])
    text = (tmp_path / "S001C001P001R001A001.skeleton").read_text(encoding="utf-8")
    (tmp_path / "S001C001P001R001A005.skeleton").write_text(text.replace("0.1 0.2 3", "0.1 nan 3"), encoding="utf-8")
    (tmp_path / "again").mkdir()
    write_skeleton(tmp_path / "again", "S001C001P001R001A006")
    write_skeleton(tmp_path, "S001C001P001R001A006")
    read, dropped = read_all("ntu60", tmp_path)
    assert list(read) == ["S001C001P001R001A001", "S001C001P001R001A006"]
    reasons = {
        "S001C002P005R002A008": "official list of missing skeletons",
        "S001C001P001R001A002": "no frames",
        "S001C001P001R001A003": "no frames",
        "S001C001P001R001A121": "up to A120",
        "copy of S001C001P001R001A001": "expected a name like",
        "S001C001P001R001A004": "ends early",
        "S001C001P001R001A005": "frame 0 is not finite",
        "S001C001P001R001A006": "twice",
    }
    assert set(dropped) == set(reasons)
    assert all(reason in dropped[stem] for stem, reason in reasons.items())


def test_nothing_of_the_set_is_a_fault_of_the_whole(tmp_path: Path) -> None:
    write_skeleton(tmp_path, "S018C001P045R001A120")
    with pytest.raises(DataError, match="expected sequences of ntu60, found none in 1 files"):
        source_named("ntu60")(tmp_path)


def test_real_files_come_out_in_the_projects_axes(shared: Path) -> None:
    read, dropped = read_all("ntu60", shared / "formats" / "ntu")
    assert not dropped
    assert {read[stem].label for stem in REAL} == {"wave", "drop"}
    for sequence in read.values():
        joint = {name: sequence.keypoints[:, 0, NTU25.index(name)] for name in NTU25.joints}
        assert (joint["left_shoulder"][:, 0] > joint["right_shoulder"][:, 0]).all()  # all face the camera
        assert (joint["head"][:, 1] < joint["pelvis"][:, 1]).all()
        assert (joint["pelvis"][:, 2] > 1).all()  # metres before the sensor
        assert set(np.unique(sequence.scores)) <= {0, 0.5, 1}
        assert sequence.splits["xview"] is False  # camera 1
        assert sequence.keypoints.shape[2:] == (25, 3)


def test_a_real_file_is_read_as_it_is_written(shared: Path) -> None:
    sequence = read_all("ntu60", shared / "formats" / "ntu")[0]["S001C001P001R001A023"]
    lines = (shared / "formats" / "ntu" / "S001C001P001R001A023.skeleton").read_text(encoding="utf-8").splitlines()
    rows = np.array([line.split() for line in lines if len(line.split()) == 12], np.float32).reshape(-1, 25, 12)
    assert len(sequence.keypoints) == int(lines[0]) == 67
    assert np.array_equal(sequence.keypoints[:, 0], rows[..., :3] * np.array([-1, -1, 1], np.float32))
    assert np.array_equal(sequence.scores[:, 0], rows[..., 11] / 2)


def test_a_zip_gives_what_its_folder_gives(shared: Path, tmp_path: Path) -> None:
    folder, path = shared / "formats" / "ntu", tmp_path / "nturgbd_skeletons.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"nturgb+d_skeletons/{file.name}")
    zipped, plain = read_all("ntu120", path)[0], read_all("ntu120", folder)[0]
    assert zipped.keys() == plain.keys()
    assert all(np.array_equal(zipped[stem].keypoints, plain[stem].keypoints) for stem in plain)
