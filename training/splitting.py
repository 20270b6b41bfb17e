"""Add a split to a skeleton set file: by groups, so that nobody is on both sides."""

import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from shutil import copyfileobj

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.values import B1, I64
from training.conversion import is_split_name, member_named, write_array
from training.datasets.skeleton_set import SPLIT, TESTED, TRAINS
from training.disk import whole_file

COPIED_BYTES = 2**20


def read_columns(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read what a file that ``marey data convert`` wrote says of its sequences, without their frames.

    Raises:
        DataError: it cannot be read, or is another file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files if name != "x"}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: expected a skeleton set (.npz), but reading it failed: {error}") from error
    missing = [name for name in ("y", "classes", "ids", "subject", "channels") if name not in columns]
    if missing:
        raise DataError(f"{path}: expected a file that marey data convert wrote; it lacks {', '.join(missing)}")
    return columns


def add_split(path: Path, name: str, tested: Bool[B1, " N"]) -> None:
    """Write the file anew with one more split; it is replaced once the new one is whole.

    Raises:
        DataError: the disk is full.
        ValueError: the split is called what no array may be, is there already, or tests or trains on nothing.
    """
    if not is_split_name(name):
        raise ValueError(f"--name {name!r}: expected letters, digits and _")
    if tested.all() or not tested.any():
        raise ValueError(f"split {name!r} would leave nothing to {'train' if tested.all() else 'test'} on")
    with zipfile.ZipFile(path) as source:
        members = source.namelist()
        if f"{SPLIT}{name}.npy" in members:
            raise ValueError(f"{path} has a split {name!r} already: choose another name")
        with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as target:
            for member in members:
                whole = member_named(member.removesuffix(".npy"))
                with source.open(member) as old, target.open(whole, "w", force_zip64=True) as new:
                    copyfileobj(old, new, COPIED_BYTES)
            write_array(target, f"{SPLIT}{name}", np.where(tested, TESTED, TRAINS).astype(np.int8))


def share_of_groups(
    labels: Int64[I64, " N"], groups: Int64[I64, " N"], share: float, rng: np.random.Generator
) -> Bool[B1, " N"]:
    """Choose random groups until about so large a share of every class is tested, as far as whole groups allow.

    Raises:
        ValueError: the share is not between 0 and 1, or there is one group only.
    """
    order = rng.permutation(np.unique(groups))
    if not 0 < share < 1:
        raise ValueError(f"--test-share: expected a share between 0 and 1, got {share}")
    if len(order) < 2:
        raise ValueError("all sequences belong to one subject: there is nothing to split by")
    wanted = {label: max(1, round(share * count)) for label, count in Counter(labels.tolist()).items() if count > 1}
    taken: Counter[int] = Counter()
    tested = np.zeros(len(labels), bool)
    for group in order:
        inside = groups == group
        counts = Counter(labels[inside].tolist())
        if all(taken[label] + count <= wanted.get(label, 0) for label, count in counts.items()):
            tested |= inside
            taken += counts
    return tested if tested.any() else groups == order[0]


def of_subjects(groups: Int64[I64, " N"], subjects: Collection[int]) -> Bool[B1, " N"]:
    """Choose the sequences of these subjects; ``ValueError`` if one has none."""
    missing = sorted(set(subjects) - set(groups.tolist()))
    if missing:
        known = ", ".join(map(str, np.unique(groups)[:30]))
        raise ValueError(f"no sequence is of subject {', '.join(map(str, missing))}: expected some of {known}")
    return np.isin(groups, list(subjects))


def of_ids(ids: Sequence[str], wanted: Collection[str]) -> Bool[B1, " N"]:
    """Choose the sequences that are called that; ``ValueError`` if one is not there."""
    missing = sorted(set(wanted) - set(ids))
    if missing:
        raise ValueError(f"no sequence is called {', '.join(missing[:5])}: see the file's array ids")
    return np.isin(ids, list(wanted))
