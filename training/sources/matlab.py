"""Arrays of numbers from MATLAB's ``.mat`` files of versions 5 to 7.2, and nothing else of theirs.

MathWorks, "MAT-File Format", Level 5. scipy's reader crashes the process on some broken files; this names the fault.
"""

import struct
import zlib
from collections.abc import Iterator
from math import prod

import numpy as np
from jaxtyping import Float64

from pipeline.errors import DataError
from pipeline.values import F64

HEADER_BYTES = 128
# What a compressed file may grow to.
LARGEST_BYTES = 64 * 2**20
ALIGNMENT = 8
MATRIX, COMPRESSED = 14, 15
# The format's numbers of its types of numbers, and of the classes of arrays of them.
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC_CLASSES = range(6, 16)
COMPLEX = 0x0800


def read_arrays(content: bytes) -> dict[str, Float64[F64, "..."]]:
    """Read the arrays of real numbers by name; ``DataError`` if the file is broken or of another version."""
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None:
        raise DataError("expected a MATLAB file of version 5 to 7.2")
    try:
        matrices = [_read_matrix(body, order) for body in _matrices(content[HEADER_BYTES:], order)]
    except (struct.error, zlib.error, ValueError, StopIteration) as error:
        raise DataError(f"expected a MATLAB file, but it is broken: {error}") from error
    return dict(matrix for matrix in matrices if matrix is not None)


def _matrices(content: bytes, order: str) -> Iterator[bytes]:
    for kind, body in _elements(content, order):
        if kind == MATRIX:
            yield body
        elif kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(body, LARGEST_BYTES)
            if not unpacker.eof:
                raise DataError(f"expected at most {LARGEST_BYTES} bytes in a MATLAB array, and all of them")
            yield from (inner for kind, inner in _elements(unpacked, order) if kind == MATRIX)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Go through type, size and content; up to four bytes of content share the eight of type and size."""
    place = 0
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(content):
            raise DataError("the MATLAB file ends early")
        yield kind, content[start : start + size]
        place = start + size
        if kind != COMPRESSED:
            place += -place % ALIGNMENT


def _read_matrix(body: bytes, order: str) -> tuple[str, Float64[F64, "..."]] | None:
    """Read name and numbers, or None if these are no real numbers."""
    elements = _elements(body, order)
    flags = struct.unpack(f"{order}II", next(elements)[1])[0]
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX:
        return None
    shape = np.frombuffer(next(elements)[1], f"{order}i4").tolist()
    name = next(elements)[1].decode("ascii")
    kind, numbers = next(elements)
    if kind not in NUMBERS or min(shape, default=-1) < 0 or prod(shape) * int(NUMBERS[kind][1]) != len(numbers):
        raise DataError(f"expected {shape} numbers in {name} of the MATLAB file, got {len(numbers)} bytes")
    return name, np.frombuffer(numbers, order + NUMBERS[kind]).astype(np.float64).reshape(shape, order="F")
