"""Names of actions in one spelling."""

from pathlib import Path

import pytest

from pipeline.errors import DataError
from training.labels import read_labels, snake_case


@pytest.mark.parametrize("text", ["Drink water\n\nsit/stand \n", '["Drink water", "sit/stand"]'])
def test_labels_are_spelled_in_snake_case(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    assert read_labels(tmp_path / "labels.txt") == ("drink_water", "sit_stand")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "no label"), ("wave\nWave", "wave more than once"), ('["wave"', "expected a JSON list of labels")],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("written", "spelled"),
    [("HandstandPushups", "handstand_pushups"), ("golf-swing", "golf_swing"), ("A055", "a055"), (" ", "")],
)
def test_a_name_is_spelled_in_snake_case(written: str, spelled: str) -> None:
    assert snake_case(written) == spelled
