"""Tensors that are several of theirs."""

import pytest
import torch

from pipeline.errors import DataError
from training.importers.backbones import join_parts, subsets_in_columns


def test_marked_parts_are_joined_in_their_order() -> None:
    parts = {
        "norm.weight@1": torch.tensor([3.0]),
        "alone": torch.tensor([4.0]),
        "norm.weight@0": torch.tensor([1.0, 2]),
    }
    joined = join_parts(parts)
    assert {key: value.tolist() for key, value in joined.items()} == {
        "backbones.0.norm.weight": [1, 2, 3],
        "backbones.0.alone": [4],
    }


def test_parts_that_cannot_be_joined_are_named() -> None:
    with pytest.raises(DataError, match=r"mix: cannot join \[2, 3\], \[2, 4\]"):
        join_parts({"mix@0": torch.zeros(2, 3), "mix@1": torch.zeros(2, 4)})


def test_subsets_that_lay_in_rows_lie_in_columns() -> None:
    rows = torch.randn(6, 4, 1, 1)  # 3 subsets of 2 channels
    columns = subsets_in_columns(rows)
    assert columns.shape == (2, 12, 1, 1)
    x = torch.randn(3, 4)
    theirs = sum(rows[2 * subset : 2 * subset + 2, :, 0, 0] @ x[subset] for subset in range(3))
    torch.testing.assert_close(columns[:, :, 0, 0] @ x.flatten(), theirs)


def test_a_weight_of_no_whole_number_of_subsets_stays_as_it_is() -> None:
    assert subsets_in_columns(torch.zeros(7, 4, 1, 1)).shape == (7, 4, 1, 1)
