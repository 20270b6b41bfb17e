"""Settings as the command line spells them."""

import pytest

from training.settings import parse_settings


def test_settings_are_json_or_words_and_dots_lead_into_settings() -> None:
    texts = ("epochs=6", "features.num_frames=64", 'features.channels=["x", "y"]', "architecture=stgcn", "split=")
    assert parse_settings(texts) == {
        "epochs": 6,
        "features": {"num_frames": 64, "channels": ["x", "y"]},
        "architecture": "stgcn",
        "split": "",
    }
    assert parse_settings(()) == {}


def test_a_setting_is_not_set_both_as_a_whole_and_in_parts() -> None:
    with pytest.raises(ValueError, match=r"--set features.num_frames=4: features was set to 3 as a whole before"):
        parse_settings(["features=3", "features.num_frames=4"])


@pytest.mark.parametrize("text", ["epochs", "=6", "features.=6", "a-b=6"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--set .*: expected SETTING=JSON, such as epochs=6"):
        parse_settings([text])
