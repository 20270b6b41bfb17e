"""Pictures of a stream: told by their bytes, measured by their header, and decoded no larger than is of use.

An orientation that a camera noted (EXIF) is followed, as browsers do when they show the picture.
"""

import cv2
import numpy as np

from pipeline.errors import Undecodable
from pipeline.values import Frame
from service.errors import UnsupportedContent

JPEG, RIFF, WEBP = b"\xff\xd8\xff", b"RIFF", b"WEBP"
# Decoders shrink a JPEG by these while they unpack it, at a fraction of the cost.
REDUCTIONS = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
# Start of frame in all its kinds; C4, C8 and CC in between are other things.
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = b"\xff\xda"
# Real pictures have up to about ten scans and a few dozen segments; each further one is work for a few bytes.
MAX_SCANS, MAX_SEGMENTS = 64, 256


def size_in_header(picture: bytes) -> tuple[int, int]:
    """Return the width and height that a JPEG or WebP claims, px, without decoding it.

    Raises:
        UnsupportedContent: it is neither.
        Undecodable: it ends before it says so, or would take too long to decode.

    """
    if picture.startswith(JPEG):
        return _size_of_jpeg(picture)
    if picture.startswith(RIFF) and picture[8:12] == WEBP:
        return _size_of_webp(picture)
    raise UnsupportedContent(f"expected a JPEG or WebP picture, got bytes that begin with {picture[:4].hex(' ')}")


def decode_frame(picture: bytes, time_s: float, *, index: int, max_side: int | None) -> Frame:
    """Decode a picture whose header was read; ``max_side`` is the largest side that is of use, px.

    Raises:
        Undecodable: it is damaged.

    """
    longest = max(size_in_header(picture))
    fitting = (reduction for reduction in REDUCTIONS if max_side and longest >= reduction[0] * max_side)
    factor, flag = next(fitting, (1, cv2.IMREAD_COLOR))
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), flag)
    except cv2.error as error:
        raise Undecodable("the picture is damaged") from error
    if image is None:
        raise Undecodable("the picture is damaged")
    rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    return Frame(rgb, index, time_s, 1 / factor)


def upright_size(picture: bytes, frame: Frame) -> tuple[int, int]:
    """Return the width and height, px, of the picture that a frame was decoded from, turned as the frame is."""
    (width, height), (seen_width, seen_height) = size_in_header(picture), frame.size_wh
    return (width, height) if (width > height) == (seen_width > seen_height) else (height, width)


def _size_of_jpeg(picture: bytes) -> tuple[int, int]:
    """Walk from segment to segment: marker, length, content."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        marker, length = picture[place : place + 2], int.from_bytes(picture[place + 2 : place + 4])
        if len(marker) < 2 or marker[0] != 0xFF or marker == _SCAN:
            break
        if marker[1] == 0xFF:  # filling
            place += 1
        elif marker[1] in _SIZES:
            height = int.from_bytes(picture[place + 5 : place + 7])
            width = int.from_bytes(picture[place + 7 : place + 9])
            if picture.count(_SCAN) > MAX_SCANS:
                raise Undecodable(f"expected a JPEG of at most {MAX_SCANS} scans")
            return _checked(width, height)
        else:
            place += 2 + length
    raise Undecodable("expected the size of the picture in the JPEG's header")


def _size_of_webp(picture: bytes) -> tuple[int, int]:
    """Read the first chunk: a lossy picture, a lossless one, or the canvas of either with extras."""
    kind, content = picture[12:16], picture[20:30]
    little = int.from_bytes(content, "little")
    if kind == b"VP8X" and len(content) == 10:
        return _checked(1 + (little >> 32 & 0xFFFFFF), 1 + (little >> 56 & 0xFFFFFF))
    if kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        return _checked(little >> 48 & 0x3FFF, little >> 64 & 0x3FFF)
    if kind == b"VP8L" and content[:1] == b"\x2f" and len(content) >= 5:
        return _checked(1 + (little >> 8 & 0x3FFF), 1 + (little >> 22 & 0x3FFF))
    raise Undecodable("expected the size of the picture in the WebP's header")


def _checked(width: int, height: int) -> tuple[int, int]:
    if not width or not height:
        raise Undecodable(f"expected the size of the picture in its header, got {width} x {height}")
    return width, height
