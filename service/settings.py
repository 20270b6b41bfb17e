"""How this deployment runs: everything that can be set from outside, checked once at the start.

Each field is an environment variable of the same name in capitals with ``MAREY_`` before it. Values that are unsafe,
contradict each other or are misspelt stop the service from starting, with a message that says what to set instead.
"""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.cameras.addresses import Cameras, EventsFile, Webhooks

ENV_PREFIX = "MAREY_"
MEBIBYTE = 1024 * 1024
# 16 random characters hold more than 64 bits: out of reach for guessing over a network.
MIN_KEY_LENGTH = 16

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
LogLevel = Literal["debug", "info", "warning", "error"]
Bytes = Annotated[int, Field(ge=1024)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """What a deployment may choose; ``pydantic.ValidationError`` says what is wrong with a choice.

    ``max_queue`` requests may wait or still be uploading beside the ``max_concurrent`` that are worked on; whatever
    lies past that is refused. ``deadline_s`` runs from a request's first byte. Uploads above ``spool_bytes`` leave
    memory for a nameless temporary file. Bytes count the whole request, pixels one picture. Beside the engine of
    ``model`` and ``pose``, up to ``max_other_engines`` are loaded when first asked for; 0 refuses requests for others.

    A stream may have ``stream_credit`` frames unanswered. Jobs, ``max_jobs`` unfinished ones at most, lie in
    ``jobs_folder`` (by default among the user's own data) until they were finished for ``job_keep_hours``. ``cameras``
    are addresses by name that the service reads by itself; what happens before them goes to ``camera_events``, a file
    of JSON lines, and to each of ``webhooks``, signed with ``webhook_secret``.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    model: str = "everyday"
    model_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    pose: str = "movenet"
    pose_size: Count | None = None
    provider: Provider = "cpu"
    threads: Count | None = None
    cache: Path | None = None
    max_other_engines: int = Field(default=2, ge=0)

    max_bytes: Bytes = 256 * MEBIBYTE
    max_json_bytes: Bytes = 32 * MEBIBYTE
    max_seconds: Seconds = 600.0
    max_pixels: Count = 4096 * 2304
    max_frames: Count = 36_000
    spool_bytes: Bytes = 8 * MEBIBYTE

    max_concurrent: Count = 1
    max_queue: int = Field(default=8, ge=0)
    deadline_s: Seconds = 300.0

    max_streams: Count = 16
    stream_credit: Count = 4
    stream_frame_bytes: Bytes = 4 * MEBIBYTE
    stream_max_fps: Seconds = 120.0
    stream_idle_s: Seconds = 30.0

    jobs_folder: Path | None = None
    max_jobs: int = Field(default=100, ge=0)
    job_max_bytes: Bytes = 4096 * MEBIBYTE
    job_max_seconds: Seconds = 4 * 3600.0
    job_keep_hours: Seconds = 24.0

    cameras: Cameras = Field(default={}, repr=False)
    camera_events: EventsFile | None = None
    webhooks: Webhooks = Field(default=(), repr=False)
    webhook_secret: SecretStr | None = None

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    allow_anonymous: bool = False

    log_level: LogLevel = "info"
    log_json: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @field_validator("model_folders", mode="before")
    @classmethod
    def _split_folders(cls, folders: object) -> object:
        return tuple(filter(None, folders.split(os.pathsep))) if isinstance(folders, str) else folders

    @field_validator("model_folders")
    @classmethod
    def _check_folders(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        for folder in folders:
            if not folder.is_dir():
                raise ValueError(f"expected folders with models, separated by {os.pathsep!r}; {folder} is not a folder")
        return folders

    @field_validator("api_keys", "webhooks", mode="before")
    @classmethod
    def _split_at_commas(cls, listed: object) -> object:
        return tuple(filter(None, map(str.strip, listed.split(",")))) if isinstance(listed, str) else listed

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for place, key in enumerate(keys, start=1):
            _check_secret(key, f"key {place}")
        return keys

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            _check_secret(secret, "the secret")
        return secret

    @model_validator(mode="before")
    @classmethod
    def _refuse_misspelt(cls, fields: object) -> object:
        known = {f"{ENV_PREFIX}{name}".upper() for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name.upper() not in known)
        if unknown:
            raise ValueError(f"unknown environment variable {', '.join(unknown)}: expected {', '.join(sorted(known))}")
        return fields

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.api_keys and self.allow_anonymous:
            raise ValueError("MAREY_API_KEYS and MAREY_ALLOW_ANONYMOUS=true contradict each other: set one of them")
        if not (self.is_local or self.api_keys or self.allow_anonymous):
            raise ValueError(
                f"MAREY_HOST={self.host} lets other machines in: set MAREY_API_KEYS, or MAREY_ALLOW_ANONYMOUS=true if "
                "everybody who can reach this address may use the service"
            )
        if self.max_json_bytes > self.max_bytes:
            raise ValueError(
                f"MAREY_MAX_JSON_BYTES={self.max_json_bytes} is never reached: expected at most "
                f"MAREY_MAX_BYTES={self.max_bytes}"
            )
        if (self.camera_events or self.webhooks) and not self.cameras:
            raise ValueError("MAREY_CAMERA_EVENTS and MAREY_WEBHOOKS tell of cameras: set MAREY_CAMERAS too")
        if self.webhook_secret and not self.webhooks:
            raise ValueError("MAREY_WEBHOOK_SECRET signs what is sent to webhooks: set MAREY_WEBHOOKS too")
        return self


def _check_secret(secret: SecretStr, what: str) -> None:
    shown = secret.get_secret_value()
    if len(shown) < MIN_KEY_LENGTH or not all("!" <= character <= "~" for character in shown):
        raise ValueError(
            f"{what} is unsafe: expected at least {MIN_KEY_LENGTH} printable ASCII characters without "
            "spaces; make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def describe_faults(error: ValidationError) -> str:
    """Say in plain lines what is wrong with the settings; no value is repeated, for it may be a secret."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        name = "".join(str(part) for part in fault["loc"][:1])
        message = str(fault["msg"]).removeprefix("Value error, ")
        lines.append(f"{ENV_PREFIX}{name.upper()}: {message}" if name else message)
    return "\n".join(lines)
