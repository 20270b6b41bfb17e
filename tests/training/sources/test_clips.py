"""Folders, tables and UCF-101 are listed without looking into a video."""

import math
from pathlib import Path

import pytest

from pipeline.errors import DataError
from training.sources.clips import open_clips, open_ucf101
from training.sources.registry import Dropped, Footage, LabelledClip, source_named


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def clips_of(footage: Footage) -> list[LabelledClip]:
    return [clip for clip in footage.clips if isinstance(clip, LabelledClip)]


def write_table(folder: Path, *lines: str) -> Path:
    touch(folder, "one.mp4", "two.mp4")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "clips.csv"


@pytest.mark.parametrize("name", ["clips", "ucf101"])
def test_sources_of_videos_have_names(name: str) -> None:
    assert source_named(name)


def test_a_folder_is_a_label_and_each_file_in_it_a_clip(tmp_path: Path) -> None:
    root = touch(tmp_path, "Golf swing/b.mp4", "Golf swing/a.mp4", "wave/deep/er/c.avi")
    footage = open_clips(root)
    assert footage.classes == ("golf_swing", "wave")
    assert [(clip.id, clip.label) for clip in clips_of(footage)] == [
        ("Golf swing/a.mp4", "golf_swing"),
        ("Golf swing/b.mp4", "golf_swing"),
        ("wave/deep/er/c.avi", "wave"),
    ]


def test_each_file_of_a_folder_is_a_group_of_its_own_and_in_no_split(tmp_path: Path) -> None:
    clips = clips_of(open_clips(touch(tmp_path, "wave/a.mp4", "wave/b.mp4", "jump/a.mp4")))
    assert len({clip.subject for clip in clips}) == 3
    assert not any(clip.splits for clip in clips)


def test_hidden_files_are_no_clips_and_a_file_without_a_label_is_said_to_be_left_out(tmp_path: Path) -> None:
    footage = open_clips(touch(tmp_path, "wave/a.mp4", "wave/.DS_Store", ".git/a.mp4", "stray.mp4"))
    assert [clip.id for clip in clips_of(footage)] == ["wave/a.mp4"]
    assert [clip for clip in footage.clips if isinstance(clip, Dropped)] == [
        Dropped("stray.mp4", "it lies in no label's folder")
    ]


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [((), "found no folder"), (("wave", "jump"), "found only empty folders")],
    ids=["nothing", "no clips"],
)
def test_a_folder_without_clips_is_refused(tmp_path: Path, folders: tuple[str, ...], complaint: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match=rf"expected a folder of clips for each label, such as .*; {complaint}"):
        open_clips(tmp_path)


def test_a_label_needs_letters(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a label with letters, got '---'"):
        open_clips(touch(tmp_path, "---/a.mp4"))


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder of clips or a CSV file, found neither"):
        open_clips(tmp_path / "nowhere")


def test_a_table_names_parts_of_files_their_subjects_and_their_side_of_a_split(tmp_path: Path) -> None:
    table = write_table(
        tmp_path,
        "path, label, start_s, end_s, subject, split",
        "one.mp4, Squat, 1.5, 4, anna, train",
        "one.mp4, wave, 4, , ben, test",
        "two.mp4, squat, , , anna,",
    )
    footage = open_clips(table)
    first, second, third = clips_of(footage)
    assert footage.classes == ("squat", "wave")
    assert [clip.id for clip in (first, second, third)] == ["one.mp4@1.5-4", "one.mp4@4-inf", "two.mp4"]
    assert [(clip.start_s, clip.end_s) for clip in (first, second, third)] == [(1.5, 4), (4, math.inf), (0, math.inf)]
    assert first.subject == third.subject != second.subject
    assert [clip.splits for clip in (first, second, third)] == [{"given": True}, {"given": False}, {}]
    assert first.path == tmp_path / "one.mp4"


def test_without_a_subject_the_parts_of_a_file_belong_together(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label,start_s,end_s", "one.mp4,squat,0,1", "two.mp4,wave,,", "one.mp4,wave,1,2")
    first, second, third = clips_of(open_clips(table))
    assert first.subject == third.subject != second.subject


def test_numbers_of_subjects_are_kept(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label,subject", "one.mp4,squat,12", "two.mp4,squat,7")
    assert [clip.subject for clip in clips_of(open_clips(table))] == [12, 7]


def test_a_byte_order_mark_as_spreadsheets_write_it_is_no_part_of_a_name(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    table.write_text("\ufeffpath,label\none.mp4,wave\n", encoding="utf-8")
    assert open_clips(table).classes == ("wave",)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (("path,action", "one.mp4,wave"), "expected columns out of path, label, start_s.*; label missing"),
        (("path,label,begin", "one.mp4,wave,1"), "'begin' unknown"),
        (("path,label",), "expected a line a clip, found none below the columns"),
        ((), "path, label missing"),
        (("path,label", "one.mp4,wave", "three.mp4,wave"), "line 3: there is no file 'three.mp4' in"),
        (("path,label", ",wave"), "line 2: there is no file ''"),
        (("path,label", "one.mp4,?"), "line 2: expected a label with letters, got '\\?'"),
        (("path,label,split", "one.mp4,wave,val"), "line 2: split: expected train, test or nothing, got 'val'"),
        (("path,label,start_s", "one.mp4,wave,soon"), "line 2: start_s: expected seconds such as 1.5, got 'soon'"),
        (("path,label,end_s", "one.mp4,wave,nan"), "line 2: end_s: expected seconds"),
        (("path,label,start_s,end_s", "one.mp4,wave,3,2"), "line 2: expected 0 <= start_s < end_s, got 3 and 2"),
        (("path,label", "one.mp4,wave,1"), "line 2: expected 2 cells, got more"),
        (("path,label", "one.mp4,wave", "one.mp4,jump"), "line 3: the same part of the same file as in line 2"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused_by_the_line(tmp_path: Path, lines: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        open_clips(write_table(tmp_path, *lines))
    assert str(caught.value).startswith(f"{tmp_path / 'clips.csv'}: ")


def test_every_wrong_line_of_a_table_is_named_up_to_ten(tmp_path: Path) -> None:
    lines = [f"no-{number}.mp4,wave" for number in range(12)]
    with pytest.raises(DataError, match=r"line 2: .*; line 11: .*; and 2 more"):
        open_clips(write_table(tmp_path, "path,label", *lines))


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00p\x00a")
    with pytest.raises(DataError, match="expected a CSV file in UTF-8"):
        open_clips(tmp_path / "clips.csv")


UCF = ("Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g08_c01.avi", "YoYo/v_YoYo_g25_c03.avi")


def write_ucf101(folder: Path) -> Path:
    touch(folder / "UCF-101", *UCF)
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    for number, tested in enumerate(UCF, start=1):
        trained = [f"{name} {place}" for place, name in enumerate(UCF, start=1) if name != tested]
        (lists / f"trainlist0{number}.txt").write_text("\r\n".join(trained) + "\r\n")
        (lists / f"testlist0{number}.txt").write_text(f"{tested}\n")
    return folder


@pytest.mark.parametrize("below", ["", "UCF-101"])
def test_ucf101_has_three_splits_and_groups(tmp_path: Path, below: str) -> None:
    footage = open_ucf101(write_ucf101(tmp_path) / below)
    clips = clips_of(footage)
    assert footage.classes == ("archery", "yo_yo")
    assert [clip.id for clip in clips] == list(UCF)
    assert [clip.subject for clip in clips] == [1, 8, 25]
    assert clips[0].splits == {"1": False, "2": True, "3": True}


def test_a_clip_of_ucf101_that_is_listed_but_not_there_is_dropped(tmp_path: Path) -> None:
    root = write_ucf101(tmp_path)
    (root / "UCF-101" / UCF[1]).unlink()
    footage = open_ucf101(root)
    assert Dropped(UCF[1], "it is on the official lists, but not there") in footage.clips
    assert len(clips_of(footage)) == 2


def test_ucf101_needs_its_lists_and_its_clips(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected UCF-101 with trainlist01\.txt"):
        open_ucf101(tmp_path)
    (write_ucf101(tmp_path) / "UCF-101").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="expected clips such as Archery"):
        open_ucf101(tmp_path)
