"""Videos with one action each: folders of one's own clips, a table of them, and UCF-101.

UCF-101: K. Soomro, A. Roshan Zamir, M. Shah, "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild",
CRCV-TR-12-01, 2012, with its three official splits "1" to "3". Clips of one group (g01 to g25) were cut from one video.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import DataError
from training.labels import snake_case
from training.sources.registry import Dropped, Footage, LabelledClip, register

NEEDED_COLUMNS = ("path", "label")
OPTIONAL_COLUMNS = ("start_s", "end_s", "subject", "split")
# What the split of a table's own column is called, and what its cells may say; "" has no part in it.
GIVEN_SPLIT = "given"
SIDES: Mapping[str, Mapping[str, bool]] = {"train": {GIVEN_SPLIT: True}, "test": {GIVEN_SPLIT: False}, "": {}}

UCF_LISTS = "ucfTrainTestlist"
UCF_GROUP = re.compile(r"_g(\d+)_c\d+$")


@register("clips")
def open_clips(path: Path) -> Footage:
    """List a folder with one folder of clips a label, or a CSV file with a line a clip.

    The table has the columns path (from the table's own folder on) and label, and any of start_s, end_s, subject, and
    split (train or test). Clips of which no subject is named belong together if they are of one file.

    Raises:
        DataError: nothing is there, a label has no letters, or the table is wrong; every wrong line is named.
    """
    if path.is_dir():
        return _list_folders(path)
    if path.is_file():
        return _read_table(path)
    raise DataError(f"{path}: expected a folder of clips or a CSV file, found neither")


def _list_folders(root: Path) -> Footage:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not _is_hidden(folder))
    files = {folder: _files_below(folder) for folder in folders}
    if not any(files.values()):
        raise DataError(
            f"{root}: expected a folder of clips for each label, such as {root.name}/wave/one.mp4; found "
            f"{'only empty folders' if folders else 'no folder'}"
        )
    clips: list[LabelledClip | Dropped] = [
        Dropped(file.name, "it lies in no label's folder") for file in sorted(root.iterdir()) if _is_stray(file)
    ]
    labels = {folder: _label_of(folder.name, f"folder {folder}") for folder in folders}
    numbered = enumerate((folder, file) for folder in folders for file in files[folder])
    for number, (folder, file) in numbered:
        clips.append(
            LabelledClip(id=file.relative_to(root).as_posix(), label=labels[folder], path=file, subject=number)
        )
    return Footage(tuple(sorted(set(labels.values()))), tuple(clips))


def _files_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file))


def _is_stray(path: Path) -> bool:
    return path.is_file() and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _label_of(text: str, place: str) -> str:
    label = snake_case(text)
    if not label:
        raise DataError(f"{place}: expected a label with letters, got {text!r}")
    return label


def _read_table(path: Path) -> Footage:
    rows = _rows_of(path)
    subjects = _number([row["subject"] or f"file {row['path']}" for _, row in rows])
    clips, faults = [], []
    for (line, row), subject in zip(rows, subjects, strict=True):
        try:
            clips.append(_clip_of(row, path.parent, subject=subject))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if not faults:
        faults = _repeats([(line, clip.id) for (line, _), clip in zip(rows, clips, strict=True)])
    if faults:
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise DataError(f"{path}: {'; '.join(faults[:10])}{more}")
    return Footage(tuple(sorted({clip.label for clip in clips})), tuple(clips))


def _rows_of(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of the table with their numbers; cells of columns that it lacks are empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restval="", skipinitialspace=True)
            columns = [column.strip() for column in table.fieldnames or ()]
            table.fieldnames = columns
            rows = [(table.line_num, row) for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file in UTF-8, but reading it failed: {error}") from error
    known = (*NEEDED_COLUMNS, *OPTIONAL_COLUMNS)
    missing = [column for column in NEEDED_COLUMNS if column not in columns]
    unknown = [repr(column) for column in columns if column not in known]
    if missing or unknown:
        fault = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise DataError(f"{path}: expected columns out of {', '.join(known)}; {fault}")
    if not rows:
        raise DataError(f"{path}: expected a line a clip, found none below the columns")
    overfull = [str(line) for line, row in rows if None in row]
    if overfull:
        raise DataError(f"{path}: line {', '.join(overfull)}: expected {len(columns)} cells, got more")
    return [(line, {column: row.get(column, "").strip() for column in known}) for line, row in rows]


def _clip_of(row: Mapping[str, str], folder: Path, *, subject: int) -> LabelledClip:
    """Read a line; ``ValueError`` says what is wrong with it."""
    file, label = folder / row["path"], snake_case(row["label"])
    if not row["path"] or not file.is_file():
        raise ValueError(f"there is no file {row['path']!r} in {folder}")
    if not label:
        raise ValueError(f"expected a label with letters, got {row['label']!r}")
    if row["split"] not in SIDES:
        raise ValueError(f"split: expected {', '.join(filter(None, SIDES))} or nothing, got {row['split']!r}")
    start_s, end_s = _seconds(row, "start_s", 0.0), _seconds(row, "end_s", math.inf)
    if not 0 <= start_s < end_s:
        raise ValueError(f"expected 0 <= start_s < end_s, got {row['start_s']} and {row['end_s']}")
    part = f"@{start_s:g}-{end_s:g}" if row["start_s"] or row["end_s"] else ""
    return LabelledClip(
        id=row["path"] + part,
        label=label,
        path=file,
        start_s=start_s,
        end_s=end_s,
        subject=subject,
        splits=SIDES[row["split"]],
    )


def _seconds(row: Mapping[str, str], column: str, default: float) -> float:
    if not row[column]:
        return default
    try:
        seconds = float(row[column])
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{column}: expected seconds such as 1.5, got {row[column]!r}")
    return seconds


def _number(names: Sequence[str]) -> list[int]:
    """Return whole numbers as they are, or, where there is another name among them, each name's place."""
    if all(name.isdecimal() for name in names):
        return [int(name) for name in names]
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    return [places[name] for name in names]


def _repeats(lines: Sequence[tuple[int, str]]) -> list[str]:
    first: dict[str, int] = {}
    return [
        f"line {line}: the same part of the same file as in line {first[clip]}"
        for line, clip in lines
        if first.setdefault(clip, line) != line
    ]


@register("ucf101")
def open_ucf101(path: Path) -> Footage:
    """List UCF-101: its folder of folders, with the official lists in it, beside it, or in ucfTrainTestlist.

    Raises:
        DataError: lists or clips are not there.
    """
    lists = next((place for place in _places_of_lists(path) if (place / "trainlist01.txt").is_file()), None)
    if lists is None:
        raise DataError(
            f"{path}: expected UCF-101 with trainlist01.txt in it, beside it or in {UCF_LISTS}, found no such file"
        )
    root = next((place for place in (path, path / "UCF-101") if any(place.glob("*/v_*.avi"))), None)
    if root is None:
        raise DataError(f"{path}: expected clips such as Archery/v_Archery_g01_c01.avi, found none")
    splits = _official_splits(lists)
    names = sorted({file.relative_to(root).as_posix() for file in root.glob("*/v_*.avi")} | splits.keys())
    clips = tuple(_ucf_clip(root, name, splits.get(name, {})) for name in names)
    folders = sorted({name.partition("/")[0] for name in names})  # as classInd.txt has them
    return Footage(tuple(map(snake_case, folders)), clips)


def _places_of_lists(path: Path) -> Iterator[Path]:
    for folder in (path, path.parent):
        yield from (folder, folder / UCF_LISTS)


def _official_splits(lists: Path) -> dict[str, dict[str, bool]]:
    """Return of each clip, by its path, on which side of which split it is."""
    splits: dict[str, dict[str, bool]] = {}
    for file in sorted(lists.glob("t*list0?.txt")):
        number = file.stem[-1]
        for line in file.read_text(encoding="utf-8").split("\n"):
            if name := line.partition(" ")[0].strip():
                splits.setdefault(name, {})[number] = file.stem.startswith("train")
    return splits


def _ucf_clip(root: Path, name: str, splits: Mapping[str, bool]) -> LabelledClip | Dropped:
    file, group = root / name, UCF_GROUP.search(Path(name).stem)
    if not file.is_file():
        return Dropped(name, "it is on the official lists, but not there")
    if group is None:
        return Dropped(name, "its name says no group such as _g01_c01")
    label = snake_case(name.partition("/")[0])
    return LabelledClip(id=name, label=label, path=file, subject=int(group[1]), splits=splits)
