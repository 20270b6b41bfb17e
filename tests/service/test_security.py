import pytest
from pydantic import SecretStr

from service.app import create_app
from service.security import SECURITY_HEADERS, is_known_key
from service.settings import Settings

KEYS = ("first-key-of-the-deployment", "second-key-of-the-deployment")
GUARDED = ["/v1/models", "/v1/models/everyday", "/v1/recognize", "/recognize"]
OPEN = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/web/app.css"]


@pytest.fixture
def guarded(serve, engine):
    return serve(create_app(Settings(api_keys=KEYS), engine=engine))


def ask(client, path, **headers):
    is_post = path.endswith("recognize")
    return client.request("POST" if is_post else "GET", path, headers=headers)


@pytest.mark.parametrize("path", GUARDED)
def test_no_key_is_told_to_bring_one_and_a_wrong_one_is_refused(guarded, path):
    missing, wrong = ask(guarded, path), ask(guarded, path, **{"X-API-Key": "third-key-of-the-deployment"})
    assert (missing.status_code, wrong.status_code) == (401, 403)
    assert missing.headers["www-authenticate"] == "Bearer"
    assert missing.json()["type"] == "urn:marey:problem:key-missing"
    assert wrong.json()["type"] == "urn:marey:problem:key-refused"
    assert "third" not in wrong.text


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens_in_either_header(guarded, key):
    assert ask(guarded, "/v1/models", **{"X-API-Key": key}).status_code == 200
    assert ask(guarded, "/v1/models", Authorization=f"Bearer {key}").status_code == 200


def test_a_key_is_asked_for_before_an_upload_is_read(guarded, talk):
    status, _ = talk(guarded, b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    assert status == 401


@pytest.mark.parametrize("path", OPEN)
def test_health_and_the_page_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", [*OPEN, "/nonesuch", "/v1/models"])
def test_every_answer_has_the_security_headers(client, path):
    for name, text in SECURITY_HEADERS.items():
        assert client.get(path).headers[name] == text


def test_pages_of_other_origins_are_not_let_in(client):
    assert (
        "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": "https://example.org"}).headers
    )


@pytest.mark.parametrize(("key", "expected"), [("a" * 20, True), ("b" * 20, True), ("a" * 19, False), ("\xe9", False)])
def test_keys_are_known_to_the_last_character(key, expected):
    assert is_known_key(key, [SecretStr("a" * 20), SecretStr("b" * 20)]) is expected
