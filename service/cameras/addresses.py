"""Where cameras are read and where their events go, as settings; what is wrong is said without repeating a secret."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from pipeline.sources import is_camera

CAMERA_NAME = re.compile(r"[a-z0-9_-]{1,32}")
WEB_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
NAME_RULE = "1 to 32 of a-z, 0-9, - and _"


def parse_cameras(text: str) -> Mapping[str, str]:
    """Read ``name=address`` pairs with spaces between them.

    >>> parse_cameras("door=rtsp://hall/1 desk=0")
    {'door': 'rtsp://hall/1', 'desk': '0'}

    Raises:
        ValueError: a pair is malformed, or two have one name.

    """
    cameras: dict[str, str] = {}
    for place, pair in enumerate(text.split(), start=1):
        name, _, address = pair.partition("=")
        if not (CAMERA_NAME.fullmatch(name) and address):
            raise ValueError(
                f"camera {place}: expected name=address with a name of {NAME_RULE}; write a space in an address as %20"
            )
        if name in cameras:
            raise ValueError(f"two cameras are called {name}: expected a different name for each")
        cameras[name] = address
    return cameras


def _read_cameras(cameras: object) -> object:
    return parse_cameras(cameras) if isinstance(cameras, str) else cameras


def _check_cameras(cameras: Mapping[str, str]) -> Mapping[str, str]:
    for place, (name, address) in enumerate(cameras.items(), start=1):
        if not CAMERA_NAME.fullmatch(name):
            raise ValueError(f"camera {place}: expected a name of {NAME_RULE}")
        if not is_camera(address) or ("://" in address and not _names_a_host(address)):
            raise ValueError(
                f"{name}: expected rtsp://, rtsps://, http:// or https:// with a host, or a device such as 0 or "
                "/dev/video0; characters that an address may not hold, in a password say, are written like %40"
            )
    return cameras


def _check_webhooks(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for place, address in enumerate(addresses, start=1):
        if not WEB_ADDRESS.fullmatch(address) or not _can_be_posted_to(address):
            raise ValueError(
                f"webhook {place}: expected http:// or https:// with a host; a comma in an address is written %2C"
            )
    return addresses


def _check_file(path: Path) -> Path:
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"expected a file that can be written to, in a folder that is there, got {path}")
    return path


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _can_be_posted_to(url: str) -> bool:
    try:
        return bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        return False


Cameras = Annotated[Mapping[str, str], NoDecode, BeforeValidator(_read_cameras), AfterValidator(_check_cameras)]
Webhooks = Annotated[tuple[str, ...], NoDecode, AfterValidator(_check_webhooks)]
EventsFile = Annotated[Path, AfterValidator(_check_file)]
