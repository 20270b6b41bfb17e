"""Keys that fit, and those that do not."""

import pytest
import torch
from torch import nn

from pipeline.errors import DataError
from training.importers.keys import load, misfits, rename

RULES = ((r"theirs\.(\d)\.weight", r"ours.\1"), (r"optimiser\..*", ""))


def test_keys_are_renamed_by_the_first_rule_that_matches_all_of_them() -> None:
    weight = torch.ones(2)
    assert rename({"theirs.3.weight": weight}, RULES) == {"ours.3": weight}


def test_counters_and_what_a_rule_drops_are_left_out() -> None:
    assert rename({"norm.num_batches_tracked": torch.tensor(3), "optimiser.step": torch.tensor(4)}, RULES) == {}


def test_every_unexpected_key_is_named_with_its_shape() -> None:
    with pytest.raises(DataError, match=r"2 of its keys:\nunexpected head.bias \[4\]\nunexpected head.weight \[4, 2\]"):
        rename({"head.bias": torch.ones(4), "theirs.0.weight": torch.ones(2), "head.weight": torch.ones(4, 2)}, RULES)


def test_two_keys_for_one_place_are_refused() -> None:
    rules = ((r"(new|old)\.weight", "weight"),)
    with pytest.raises(DataError, match=r"unexpected old.weight \[2\]"):
        rename({"new.weight": torch.ones(2), "old.weight": torch.ones(2)}, rules)


def test_what_is_missing_unknown_or_of_another_shape_is_listed() -> None:
    assert misfits({"weight": torch.ones(3, 5), "scale": torch.ones(1)}, nn.Linear(5, 4)) == [
        "missing bias [4]",
        "unexpected scale [1]",
        "weight: expected [4, 5], got [3, 5]",
    ]


def test_weights_that_fit_are_loaded_without_counters() -> None:
    norm = nn.BatchNorm1d(2)
    statistics = {key: torch.full((2,), 5.0) for key in ("weight", "bias", "running_mean", "running_var")}
    load(statistics, norm)
    assert norm.running_mean.tolist() == [5, 5]


def test_weights_that_do_not_fit_are_not_loaded() -> None:
    linear = nn.Linear(2, 1)
    before = linear.weight.clone()
    with pytest.raises(DataError, match="missing bias"):
        load({"weight": torch.ones(1, 2)}, linear)
    assert torch.equal(linear.weight, before)
