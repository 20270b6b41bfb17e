from io import BytesIO

import pytest

from service.errors import BadRequest
from service.forms import MAX_OPTIONS_BYTES, Form

TYPE = "multipart/form-data; boundary=xyz"


def part(name: str, content: bytes, *, more: str = "") -> bytes:
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def read(body: bytes, *, step: int = 1 << 20, content_type: str = TYPE) -> tuple[Form, bytes]:
    spool = BytesIO()
    form = Form(content_type, spool)
    for start in range(0, len(body), step):
        form.write(body[start : start + step])
    form.close()
    return form, spool.getvalue()


FILE = part("file", b"\x00video\r\n--xy\r\n", more='; filename="../../etc/passwd"')
OPTIONS = part("options", b'{"top_k": 3}')
END = b"--xyz--\r\n"


@pytest.mark.parametrize("step", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("body", [FILE + OPTIONS + END, OPTIONS + FILE + END], ids=["file first", "options first"])
def test_parts_are_sorted_however_the_body_is_cut(body, step):
    form, content = read(body, step=step)
    assert content == b"\x00video\r\n--xy\r\n"
    assert form.options == b'{"top_k": 3}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (OPTIONS + END, "`file`"),
        (FILE + FILE + END, "one part `file`"),
        (FILE + OPTIONS + OPTIONS + END, "one part `options`"),
        (FILE + part("top_k", b"3") + END, "'top_k'"),
        (part("", b"x") + END, "file and options"),
        (FILE, "ends early"),
        (FILE[:-8], "ends early"),
        (b"hello", "failed"),
        (part("options", b"x" * (MAX_OPTIONS_BYTES + 1)) + FILE + END, "bytes of options"),
        (b"--xyz\r\n" + b"a: b\r\n" * 100 + b"\r\n", "failed"),
    ],
    ids=range(10),
)
def test_a_form_that_is_not_as_documented_is_refused(body, words):
    with pytest.raises(BadRequest, match=words):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 10_000}"])
def test_a_boundary_that_is_missing_or_endless_is_refused(content_type):
    with pytest.raises(BadRequest, match="multipart/form-data"):
        read(b"", content_type=content_type)
