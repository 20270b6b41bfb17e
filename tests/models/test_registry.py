"""Recognisers by name."""

import pytest

from models.registry import Recogniser, build, names, register
from models.stfnet import StfNetConfig
from pipeline.layouts import LAYOUTS


def test_the_recognisers_find_themselves() -> None:
    assert "stfnet" in names()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'st-net': expected one of .*stfnet"):
        build("st-net", layout=LAYOUTS["coco17"], num_classes=3)


def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no option width: expected some of .*base_channels"):
        build("stfnet", layout=LAYOUTS["coco17"], num_classes=3, options={"width": 2})


def test_a_name_is_given_once() -> None:
    names()
    with pytest.raises(ValueError, match="'stfnet' is registered already"):
        register("stfnet", config=StfNetConfig)(Recogniser)
