"""Data sets are known by name."""

import pytest

from training.datasets.kard import read_kard
from training.datasets.registry import reader_named, reader_names, register


def test_every_reader_of_the_folder_is_known() -> None:
    assert reader_names() == ("jhmdb14", "kard", "msr_action3d", "nw_ucla", "penn_action", "utd_mhad")
    assert reader_named("kard") is read_kard


def test_an_unknown_data_set_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown data set 'kardd': expected one of jhmdb14, kard, msr_"):
        reader_named("kardd")


def test_a_name_is_given_once() -> None:
    reader_names()
    with pytest.raises(ValueError, match="data set 'kard' is registered already"):
        register("kard")(read_kard)
