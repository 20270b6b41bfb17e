"""Files are whole or not there, and a full disk is named."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.errors import DataError
from training.disk import whole_file, writing_to


def test_a_file_appears_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.npz"
    with whole_file(path) as part:
        part.write_bytes(b"all of it")
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["set.npz"]
    assert path.read_bytes() == b"all of it"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), OSError(errno.ENOSPC, "full")])
def test_nothing_is_left_of_a_file_that_was_not_finished_and_the_old_one_stays(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path) as part:
            part.write_bytes(b"half of")
            raise error

    with pytest.raises((DataError, type(error))):
        write()
    assert [file.name for file in tmp_path.iterdir()] == ["set.npz"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_what_is_free_on_it(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DataError, match=rf"^the disk of {tmp_path} is full \(\d+ MB free of \d+ GB\): make room on it"),
        writing_to(tmp_path),
    ):
        raise OSError(number, os.strerror(number))


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(DataError, match=r"file cannot be written to \(.*\): choose another place"),
        whole_file(tmp_path / "file" / "set.npz"),
    ):
        pass
