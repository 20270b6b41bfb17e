"""Importers by format and recogniser."""

import pytest

from models.registry import names as architecture_names
from training.importers.registry import importer_for, names, register_importer, variants_of


def test_the_importers_find_themselves() -> None:
    assert ("mmaction2", "stgcn") in names()


def test_every_importer_is_for_a_recogniser_that_there_is() -> None:
    assert {architecture for _, architecture in names()} <= {*architecture_names()}


def test_an_unknown_pair_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"stgcn from onnx': expected one of .*stgcn from mmaction2"):
        importer_for("onnx", "stgcn")


def test_a_pair_is_given_once() -> None:
    importer = importer_for("mmaction2", "stgcn")
    with pytest.raises(ValueError, match="stgcn from mmaction2' is registered already"):
        register_importer("mmaction2", "stgcn")(importer)


def test_an_importer_may_name_the_variants_that_a_format_has() -> None:
    assert variants_of("mmaction2", "stgcn") == ({},)
    assert len(variants_of("mmaction2", "agcn")) == 2
