"""A recipe that cannot be followed is not made."""

from dataclasses import replace

import pytest

from training.recipe import WindowRecipe


def test_labels_are_the_actions_by_name_then_idle_and_other(tiny: WindowRecipe) -> None:
    assert tiny.class_labels == ("golf_swing", "jumping_jacks", "squat", "walk", "wave", "idle", "other")


def test_an_action_that_is_left_out_has_no_logit_and_a_data_set_that_is_left_out_keeps_them_all(
    tiny: WindowRecipe,
) -> None:
    without = replace(tiny, left_out=frozenset({"squat", "kard"}))
    assert without.class_labels == ("golf_swing", "jumping_jacks", "walk", "wave", "idle", "other")


def test_leaving_out_what_is_not_there_is_a_mistake(tiny: WindowRecipe) -> None:
    with pytest.raises(
        ValueError, match="recipe 'tiny' has no kardd to leave out: expected data sets or labels out of golf_swing, jum"
    ):
        replace(tiny, left_out=frozenset({"kardd", "squat"}))


@pytest.mark.parametrize("setting", ["epochs", "batch_size", "windows_per_epoch"])
def test_counts_are_1_or_more(tiny: WindowRecipe, setting: str) -> None:
    with pytest.raises(ValueError, match=f"expected .*{setting}.* of 1 or more"):
        replace(tiny, **{setting: 0})
