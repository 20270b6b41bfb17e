"""Reading MATLAB's arrays, and naming what is broken in a file of them."""

import io
from contextlib import suppress

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from training.sources.matlab import read_arrays


def write_matlab(*, compressed: bool = False, **arrays: object) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays, do_compression=compressed)
    return stream.getvalue()


PACKED = write_matlab(v=np.arange(150.0).reshape(2, 75), compressed=True)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u2", "i8"])
def test_numbers_of_every_type_and_shape_are_read(dtype: str, compressed: bool) -> None:
    first, second = np.arange(24).reshape(2, 3, 4).astype(dtype), np.array([[7]], dtype)
    found = read_arrays(write_matlab(first=first, b=second, text="text", cell={"a": 1}, compressed=compressed))
    assert found.keys() == {"first", "b"}
    assert np.array_equal(found["first"], first)
    assert np.array_equal(found["b"], second)


def test_complex_numbers_are_passed_over() -> None:
    assert read_arrays(write_matlab(a=np.ones((2, 2)) * 1j, b=np.ones((2, 2)))).keys() == {"b"}


@pytest.mark.parametrize("content", [b"", b"MATLAB 7.3 MAT-file" * 20], ids=["empty", "another version"])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"expected a MATLAB file of version 5 to 7\.2"):
        read_arrays(content)


@given(st.integers(128, len(PACKED) - 1))
def test_a_file_that_is_cut_off_is_refused_or_empty(length: int) -> None:
    if length == 128:
        assert read_arrays(PACKED[:length]) == {}
        return
    with pytest.raises(DataError, match="MATLAB"):
        read_arrays(PACKED[:length])


@given(st.integers(128, 400), st.integers(0, 255), st.booleans())
def test_a_broken_byte_does_no_harm(place: int, value: int, compressed: bool) -> None:
    content = bytearray(write_matlab(v=np.arange(150.0).reshape(2, 75), compressed=compressed))
    content[min(place, len(content) - 1)] = value
    with suppress(DataError):
        assert all(array.dtype == np.float64 for array in read_arrays(bytes(content)).values())
