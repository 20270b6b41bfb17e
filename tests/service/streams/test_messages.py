import pytest
from pydantic import ValidationError

from service.streams.messages import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    Config,
    Dropped,
    SentFrame,
    key_offered,
    key_protocol,
    pack_frame,
    unpack_frame,
)


def test_all_of_a_config_but_its_type_may_be_left_out():
    config = CLIENT_MESSAGES.validate_json('{"type": "config"}')
    assert config == Config()
    assert config.for_engine().pose_fps == 15


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"type": "other"}', '{"type": "config", "fps": 0}', '{"type": "end", "now": true}', "\x00"]
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(ValidationError):
        CLIENT_MESSAGES.validate_json(text)


def test_a_server_s_message_is_told_by_its_type():
    message = Dropped(seqs=[3], reason="late")
    assert SERVER_MESSAGES.validate_json(message.model_dump_json()) == message


def test_a_frame_has_twelve_little_endian_bytes_before_its_picture():
    assert pack_frame(SentFrame(1, 2, b"picture")) == b"\x01\0\0\0\x02\0\0\0\0\0\0\0picture"


def test_a_frame_comes_through_as_it_was():
    frame = unpack_frame(pack_frame(SentFrame(2**32 - 1, 2**64 - 1, b"")))
    assert (frame.seq, frame.capture_us, frame.picture) == (2**32 - 1, 2**64 - 1, b"")


def test_a_frame_that_is_shorter_than_its_header_is_refused():
    with pytest.raises(ValueError, match="got 11 bytes"):
        unpack_frame(b"x" * 11)


@pytest.mark.parametrize("key", ["key-of-the-deployment", "???>>>~~~", "a" * 16])
def test_a_key_comes_through_as_a_subprotocol(key):
    protocol = key_protocol(key)
    assert protocol.removeprefix("marey.key.").replace("-", "").replace("_", "").isalnum()
    assert key_offered(["marey.v1", protocol]) == key


@pytest.mark.parametrize("offered", [[], ["marey.v1"], ["marey.key.!"], ["marey.key.a"], ["marey.key._____w"]])
def test_what_is_no_key_is_none(offered):
    assert key_offered(offered) is None
