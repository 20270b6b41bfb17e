from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings, describe_faults, is_loopback

KEY = "k" * 32


def test_everything_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MAREY_HOST", "0.0.0.0")
    monkeypatch.setenv("MAREY_API_KEYS", f"{KEY}, {KEY}2")
    monkeypatch.setenv("MAREY_MODEL_FOLDERS", f"{tmp_path}:{tmp_path}")
    monkeypatch.setenv("MAREY_MAX_SECONDS", "12.5")
    monkeypatch.setenv("MAREY_THREADS", "")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.api_keys] == [KEY, f"{KEY}2"]
    assert settings.model_folders == (tmp_path, tmp_path)
    assert settings.max_seconds == 12.5
    assert settings.threads is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "0.0.0.0"}, "MAREY_ALLOW_ANONYMOUS=true"),
        ({"host": "192.168.1.2"}, "MAREY_API_KEYS"),
        ({"host": "::"}, "MAREY_API_KEYS"),
        ({"host": "example.org"}, "MAREY_API_KEYS"),
        ({"api_keys": (KEY,), "allow_anonymous": True}, "contradict"),
        ({"api_keys": ("short",)}, "16"),
        ({"api_keys": ("with a space in the middle",)}, "without spaces"),
        ({"model_folders": (Path("/nonesuch"),)}, "not a folder"),
        ({"provider": "abacus"}, "MAREY_PROVIDER: Input should be 'auto', 'cpu', 'cuda' or 'tensorrt'"),
        ({"max_concurrent": 0}, "MAREY_MAX_CONCURRENT"),
        ({"max_seconds": float("inf")}, "MAREY_MAX_SECONDS"),
        ({"deadline_s": 0}, "MAREY_DEADLINE_S"),
        ({"port": 70000}, "MAREY_PORT"),
        ({"max_bytes": 2048}, "never reached"),
        ({"colour": "red"}, "MAREY_COLOUR"),
        ({"cameras": "door"}, "MAREY_CAMERAS: camera 1: expected name=address"),
        ({"cameras": "a=0 a=1"}, "two cameras are called a"),
        ({"cameras": {"Front Door": "0"}}, "1 to 32 of a-z"),
        ({"cameras": "door=clip.mp4"}, "door: expected rtsp://"),
        ({"cameras": "door=file:///clip.mp4"}, "door: expected rtsp://"),
        ({"cameras": "door=rtsp://"}, "door: expected rtsp://"),
        ({"cameras": "door=http://[half"}, "door: expected rtsp://"),
        ({"cameras": "door=0", "camera_events": Path("/nonesuch/log")}, "MAREY_CAMERA_EVENTS: expected a file"),
        ({"camera_events": Path("events.jsonl")}, "set MAREY_CAMERAS too"),
        (
            {"cameras": "door=0", "webhooks": "https://a.org/x, ftp://b.org"},
            "MAREY_WEBHOOKS: webhook 2: expected http://",
        ),
        ({"cameras": "door=0", "webhooks": "http://"}, "webhook 1"),
        ({"cameras": "door=0", "webhook_secret": KEY}, "set MAREY_WEBHOOKS too"),
        ({"cameras": "door=0", "webhooks": "http://a", "webhook_secret": "short"}, "the secret is unsafe"),
    ],
    ids=str,
)
def test_what_is_unsafe_or_contradictory_is_refused_in_plain_words(fields, words):
    with pytest.raises(ValidationError) as caught:
        Settings(**fields)
    assert words in describe_faults(caught.value)


def test_cameras_and_webhooks_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MAREY_CAMERAS", " door=rtsp://me:p=w@host:554/path?x=1  hall-2=http://host/video\ndesk=0")
    monkeypatch.setenv("MAREY_CAMERA_EVENTS", str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("MAREY_WEBHOOKS", "https://a.org/hook?key=b , http://10.0.0.1:9000/")
    monkeypatch.setenv("MAREY_WEBHOOK_SECRET", KEY)
    settings = Settings()
    assert dict(settings.cameras) == {
        "door": "rtsp://me:p=w@host:554/path?x=1",
        "hall-2": "http://host/video",
        "desk": "0",
    }
    assert settings.webhooks == ("https://a.org/hook?key=b", "http://10.0.0.1:9000/")
    assert settings.webhook_secret.get_secret_value() == KEY


@pytest.mark.parametrize(
    "fields",
    [
        {"cameras": "rtsp://me:hunter2@host"},
        {"cameras": "door=rtsp://me:hunter2 x@host"},
        {"cameras": "door=rtsp://me:hunter2#@host"},
        {"cameras": {"hunter2?": "0"}},
        {"cameras": "door=0", "webhooks": "hunter2"},
        {"cameras": "door=0", "webhooks": "http://a", "webhook_secret": "hunter2"},
    ],
    ids=str,
)
def test_a_fault_of_a_camera_or_webhook_never_shows_what_may_be_secret(fields):
    with pytest.raises(ValidationError) as caught:
        Settings(**fields)
    assert "hunter2" not in describe_faults(caught.value)
    assert "hunter2" not in str(caught.value)


def test_addresses_are_not_shown_with_the_settings():
    settings = Settings(
        cameras="door=rtsp://me:hunter2@host", webhooks="http://a/hunter2", webhook_secret="hunter2" * 3
    )
    assert "hunter2" not in repr(settings)


def test_a_misspelt_variable_is_refused(monkeypatch):
    monkeypatch.setenv("MAREY_API_KEY", KEY)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "MAREY_API_KEY:" in describe_faults(caught.value).replace("variable MAREY_API_KEY:", "MAREY_API_KEY:")
    assert "MAREY_API_KEYS" in describe_faults(caught.value)


def test_a_fault_never_shows_a_key(monkeypatch):
    monkeypatch.setenv("MAREY_API_KEYS", "secret but bad key")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "secret" not in describe_faults(caught.value).replace("import secrets", "").replace("secrets.", "")
    assert KEY not in repr(Settings.model_construct(api_keys=()))


@pytest.mark.parametrize("fields", [{"allow_anonymous": True}, {"api_keys": (KEY,)}], ids=str)
def test_other_machines_may_come_in_with_keys_or_on_purpose(fields):
    assert not Settings(host="0.0.0.0", **fields).is_local


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("x", False)],
)
def test_loopback_is_told_from_the_rest(host, expected):
    assert is_loopback(host) is expected


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().port = 1
