"""What a client asks for, apart from how it is sent: an order can be sent again."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypedDict, cast

CHUNK_BYTES = 1024 * 1024

VideoSource = str | Path | bytes | BinaryIO


class Options(TypedDict, total=False):
    """What a request may choose, as in ``service/requests.py``; None leaves it to the service."""

    model: str | None
    pose: str | None
    top_k: int
    threshold: float | None
    window_s: float | None
    stride_s: float
    max_people: int
    keypoints: bool
    explain: bool


class SkeletonsJson(TypedDict):
    """Keypoints that are known already: `keypoints[frame][person][joint]` is `[x, y]` or `[x, y, score]` in px."""

    layout: str
    times_s: list[float]
    keypoints: list[list[list[list[float]]]]
    size_wh: NotRequired[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Order:
    """One request; ``video`` is streamed, ``json`` is sent as it is."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    video: "Upload | None" = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be sent a second time."""
        return self.video is None or self.video.is_repeatable


class Upload:
    """A video to be sent, from memory, from a path, or from where an open file stands."""

    def __init__(self, source: VideoSource) -> None:
        self._source = Path(source) if isinstance(source, str) else source
        is_file = not isinstance(self._source, bytes | Path)
        self.is_repeatable = not is_file or cast(BinaryIO, self._source).seekable()
        self._start = cast(BinaryIO, self._source).tell() if is_file and self.is_repeatable else 0

    def headers(self) -> dict[str, str]:
        """Return what is known before the first byte; the service refuses what is too long unread."""
        known = {"Content-Type": "application/octet-stream"}
        if isinstance(self._source, Path):
            known["Content-Length"] = str(self._source.stat().st_size)
        return known

    def content(self) -> bytes | AsyncIterator[bytes]:
        """Return the bytes, in pieces if they come from a file."""
        return self._source if isinstance(self._source, bytes) else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        with ExitStack() as opened:
            source = self._source
            file = opened.enter_context(source.open("rb")) if isinstance(source, Path) else cast(BinaryIO, source)
            if self.is_repeatable:
                file.seek(self._start, os.SEEK_SET)
            while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield piece


def recognition(path: str, video: VideoSource, options: Options, *, idempotency_key: str | None = None) -> Order:
    """Order a video to be recognised."""
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return Order("POST", path, params=chosen(options), headers=headers, video=Upload(video))


def skeleton_recognition(skeletons: SkeletonsJson, options: Options) -> Order:
    """Order skeletons to be recognised."""
    return Order("POST", "/v1/recognize", json={"skeletons": skeletons, "options": chosen(options)})


def chosen(options: Options) -> dict[str, Any]:
    """Return the options that say something."""
    return {name: choice for name, choice in options.items() if choice is not None}
