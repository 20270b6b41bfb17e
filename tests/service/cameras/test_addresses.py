import pytest

from service.cameras.addresses import parse_cameras


def test_an_address_may_hold_an_equals_sign():
    assert parse_cameras("a=http://host/?x=1&y=2") == {"a": "http://host/?x=1&y=2"}


def test_no_cameras_are_none():
    assert parse_cameras(" \n") == {}


@pytest.mark.parametrize("text", ["=0", "a=", "a b=0", f"{'a' * 33}=0", "A=0"])
def test_a_pair_that_is_malformed_is_named_by_its_place(text):
    with pytest.raises(ValueError, match="camera 1: expected name=address"):
        parse_cameras(text)
