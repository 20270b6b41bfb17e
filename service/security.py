"""Who may come in, and what browsers are told to refuse."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import KeyMissing, KeyRefused
from service.state import CurrentService

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}

_key_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Where the deployment has keys.")
_bearer = HTTPBearer(auto_error=False, description="The same key as a bearer token.")


def require_key(
    service: CurrentService,
    key: Annotated[str | None, Depends(_key_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Let a request pass if it has a key, or if no keys are configured.

    Raises:
        KeyMissing: there is no key.
        KeyRefused: it is none of the deployment's.

    """
    check_key(key or (bearer.credentials if bearer else None), service.settings.api_keys)


def check_key(given: str | None, keys: Sequence[SecretStr]) -> None:
    """Let a key pass that is among ``keys``, and everybody where there are none; raises as ``require_key``."""
    if not keys:
        return
    if not given:
        raise KeyMissing("expected an API key in the header X-API-Key or as a bearer token, got none")
    if not is_known_key(given, keys):
        raise KeyRefused("expected an API key of this deployment; the one given is not")


def key_in_headers(headers: Headers) -> str | None:
    """Return the key that a request carries, as ``require_key`` finds it."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token if scheme.lower() == "bearer" else None)


def is_known_key(given: str, keys: Sequence[SecretStr]) -> bool:
    """Tell whether a key is among those known, in a time that tells nothing about them."""
    digest = hashlib.sha256(given.encode()).digest()
    known = [hashlib.sha256(key.get_secret_value().encode()).digest() for key in keys]
    return sum(hmac.compare_digest(digest, other) for other in known) > 0


class SecurityHeaders:
    """Add the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, text in SECURITY_HEADERS.items():
                    headers.setdefault(name, text)
            await send(message)

        await self._app(scope, receive, send_secured)
