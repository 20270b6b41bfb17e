"""The wire of a stream, protocol ``marey.v1``: what client and server say to each other, and why a stream closes.

A client says ``Config`` as text, then sends binary frames (``pack_frame``), and may say ``End``. All else comes from
the server, as JSON text with a ``type``. Times ``*_s`` count from the capture of the first frame.
"""

import base64
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.errors import Problem
from service.requests import ActionOptions, Finite
from service.schemas import ModelName, SegmentAnswer

if TYPE_CHECKING:
    from pipeline.actions import Options

PROTOCOL = "marey.v1"
# Browsers cannot set headers: they offer their key as a second subprotocol.
KEY_PREFIX = "marey.key."
# uint32 number of the frame, uint64 capture time in microseconds, both rising; little endian.
HEADER = struct.Struct("<IQ")
MAX_SEQ = 2**32 - 1
MAX_FPS = 120.0

DropPolicy = Literal["oldest", "never"]


class CloseCode(IntEnum):
    """Why the server closes."""

    DONE = 1000
    UNSUPPORTED = 1003
    NOT_ALLOWED = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    STOPPING = 1012
    TRY_LATER = 1013


class Config(ActionOptions):
    """The client's first message. ``fps`` frames a second are looked at; ``poses`` asks for people in each of them.

    ``drop`` says what becomes of frames that come quicker than they are looked at: the oldest waiting one is left out,
    or the server stops reading until there is room.
    """

    type: Literal["config"] = "config"
    fps: Finite = Field(default=15.0, ge=1, le=MAX_FPS)
    poses: bool = True
    drop: DropPolicy = "oldest"

    def for_engine(self) -> "Options":
        """Return what the engine understands of it."""
        from pipeline.actions import Options  # clients know these classes without loading an engine

        wire_only = {"type", "model", "pose", "fps", "poses", "drop"}
        return Options(**self.model_dump(exclude=wire_only), pose_fps=self.fps)


class End(BaseModel):
    """The client's last message: finish, answer what is left, and close."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["end"] = "end"


class Limits(BaseModel):
    """What a stream may send: bytes of one message's picture, its pixels, frames a second, seconds of silence."""

    frame_bytes: int
    pixels: int
    fps: float
    idle_s: float


class Ready(BaseModel):
    """Frames may come now, ``credit`` of them unanswered. ``limbs`` are pairs of places in ``joints``.

    Pictures with a side longer than ``max_side`` px are made smaller before they are looked at, if it is not null.
    """

    type: Literal["ready"] = "ready"
    stream_id: str
    protocol: str = PROTOCOL
    model: ModelName
    labels: list[str]
    layout: str
    joints: list[str]
    limbs: list[tuple[int, int]]
    window_s: float
    stride_s: float
    credit: int
    max_side: int | None
    limits: Limits


class OpenAction(BaseModel):
    """What somebody is doing at the moment."""

    action_id: int
    label: str
    score: float
    provisional: bool


class Person(BaseModel):
    """Somebody in a frame, px of the picture that was sent: ``box`` is x1 y1 x2 y2, ``points`` are x y score."""

    track_id: int
    box: tuple[float, float, float, float]
    points: list[tuple[float, float, float]]
    action: OpenAction | None = None


class FramePoses(BaseModel):
    """The answer to a frame that was looked at; ``people`` is null where the config asked for no poses."""

    type: Literal["poses"] = "poses"
    seq: int
    time_s: float
    lag_ms: float
    width: int
    height: int
    people: list[Person] | None


class Dropped(BaseModel):
    """The answer to frames that were not looked at: newer ones had come, or they exceed the config's fps."""

    type: Literal["dropped"] = "dropped"
    seqs: list[int]
    reason: Literal["late", "rate"]


class Action(SegmentAnswer):
    """Somebody began, goes on with, or ended an action; ``action_id`` is the same from start to end.

    One that ends when it started is taken back: it turned out to be something else.
    """

    type: Literal["action.start", "action.update", "action.end"]
    action_id: int
    track_id: int
    provisional: bool
    decided_s: float


class Stats(BaseModel):
    """Once a second: frames so far, and of the last seconds the lag and how many a second were looked at."""

    type: Literal["stats"] = "stats"
    received: int
    processed: int
    dropped: int
    lag_ms: float
    lag_p95_ms: float
    fps: float


class ErrorMessage(BaseModel):
    """Why the server is about to close, as the problem that HTTP would answer with."""

    type: Literal["error"] = "error"
    problem: Problem


ClientMessage = Annotated[Config | End, Field(discriminator="type")]
ServerMessage = Annotated[Ready | FramePoses | Dropped | Action | Stats | ErrorMessage, Field(discriminator="type")]
CLIENT_MESSAGES: TypeAdapter[Config | End] = TypeAdapter(ClientMessage)
SERVER_MESSAGES: TypeAdapter[Ready | FramePoses | Dropped | Action | Stats | ErrorMessage] = TypeAdapter(ServerMessage)


@dataclass(frozen=True, slots=True, eq=False)
class SentFrame:
    """One binary message: a frame's number, when it was captured on the client's clock, and its JPEG or WebP."""

    seq: int
    capture_us: int
    picture: bytes


def pack_frame(frame: SentFrame) -> bytes:
    """Return a frame as the bytes of a binary message."""
    return HEADER.pack(frame.seq, frame.capture_us) + frame.picture


def unpack_frame(message: bytes) -> SentFrame:
    """Read a binary message; ``ValueError`` if it is shorter than its header."""
    if len(message) < HEADER.size:
        raise ValueError(f"expected {HEADER.size} bytes of header and a picture, got {len(message)} bytes")
    seq, capture_us = HEADER.unpack_from(message)
    return SentFrame(seq, capture_us, message[HEADER.size :])


def key_protocol(key: str) -> str:
    """Return a key as a subprotocol that a browser may offer."""
    return KEY_PREFIX + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_offered(subprotocols: list[str]) -> str | None:
    """Return the key among the subprotocols that a client offers, if there is one that can be read."""
    offered = next((name for name in subprotocols if name.startswith(KEY_PREFIX)), None)
    if offered is None:
        return None
    coded = offered.removeprefix(KEY_PREFIX)
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:  # neither base64 nor UTF-8
        return None
