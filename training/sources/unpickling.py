"""Reading pickles of arrays and plain values without running what is in them, for a pickle can run anything.

What a pickle may name is a short list, and none of it is numpy's own, which does as it is told and crashes the process
if the pickle is broken.
"""

import pickle
import re
import struct
from collections.abc import Callable, Mapping
from typing import IO, Literal

import numpy as np

from pipeline.errors import DataError

# What becomes of a pickle that is broken, beside what is refused.
BROKEN = (
    *(pickle.UnpicklingError, ValueError, TypeError, LookupError, AttributeError),
    *(MemoryError, OverflowError, ImportError, AssertionError, struct.error),
)


class PickledType:
    """What a pickle says of the type of an array's numbers."""

    def __init__(self, kind: str, *_: object) -> None:
        if not re.fullmatch(r"[biuf][1248]|U\d{1,4}", kind):
            raise pickle.UnpicklingError(f"expected arrays of numbers, got {kind!r}")
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take the order of the bytes in a number."""
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"expected the order of bytes in a number, got {state[1]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """What a pickle says of an array. numpy itself would do as told, and crash if the pickle is broken."""

    def __init__(self, *_: object) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], PickledType, bool, bytes | str]) -> None:
        """Take shape, numbers and their order."""
        _, shape, kind, is_fortran, content = state
        order: Literal["F", "C"] = "F" if is_fortran else "C"
        self.array = np.frombuffer(_encode(content), kind.dtype).reshape(shape, order=order)


def _frombuffer(content: bytes, kind: PickledType, shape: tuple[int, ...], order: str, *_: object) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


def _scalar(kind: PickledType, content: bytes | str) -> object:
    return np.frombuffer(_encode(content), kind.dtype)[0].item()


def _encode(content: bytes | str, encoding: str = "latin1") -> bytes:
    """Make the bytes that old pickles spell as text, in the one way in which they do."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected bytes spelled in latin1, got {encoding}")
    return content.encode("latin1") if isinstance(content, str) else content


class Call:
    """A function that a pickle may call, and to which it can do nothing else."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        """Call it."""
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        """Refuse to be changed."""
        raise pickle.UnpicklingError(f"expected to call {self._function.__name__}, not to change it")


_NUMPY_INSIDES = ("numpy.core", "numpy._core")
# All that a pickle may name, and what it gets for it. It only ever names ``ndarray``, and must not call it.
_ALLOWED: Mapping[tuple[str, str], Call | str] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): Call(PickledType),
    ("_codecs", "encode"): Call(_encode),
    **{(f"{inside}.multiarray", "_reconstruct"): Call(PickledArray) for inside in _NUMPY_INSIDES},
    **{(f"{inside}.multiarray", "scalar"): Call(_scalar) for inside in _NUMPY_INSIDES},
    **{(f"{inside}.numeric", "_frombuffer"): Call(_frombuffer) for inside in _NUMPY_INSIDES},
    **{(module, kind.__name__): Call(kind) for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}


class SafeUnpickler(pickle._Unpickler):
    """Unpickles arrays, numbers and containers, and refuses to look up anything else, so that nothing is run.

    It is Python's own reader in Python, for the one in C takes as much memory as a broken pickle asks for.
    """

    def find_class(self, module: str, name: str) -> Call | str:
        """Return what stands for a global; ``DataError`` names one that is not allowed."""
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"the pickle asks for {module}.{name}: expected arrays and plain values only, nothing is run"
            )
        return _ALLOWED[module, name]


def unpickle(file: IO[bytes]) -> object:
    """Read a pickle; its arrays are ``PickledArray`` in it.

    Raises:
        DataError: it asks for anything else than arrays and plain values.
        Exception: any of ``BROKEN``, or what reading the file raises.

    """
    return SafeUnpickler(file, encoding="latin1").load()
