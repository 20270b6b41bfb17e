"""Recognisers by name."""

import pytest
import torch

from models.registry import Recogniser, build, default_options, names, option_names, register
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


@pytest.mark.parametrize("name", names())
def test_default_options_build_what_no_options_build(name: str) -> None:
    given = default_options(name)
    assert set(given) == set(option_names(name))
    layout = LAYOUTS["ntu25"]
    with torch.device("meta"):
        with_none = build(name, layout=layout, num_classes=3)
        with_all = build(name, layout=layout, num_classes=3, options=given)
    assert [value.shape for value in with_none.state_dict().values()] == [
        value.shape for value in with_all.state_dict().values()
    ]
