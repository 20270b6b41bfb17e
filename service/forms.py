"""Read a multipart/form-data body as it arrives: the video into a spool, the options into memory.

The framework's own reader would store the whole form before anybody could refuse it, and accept any number of parts.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import BadRequest

if TYPE_CHECKING:  # it exists for type checkers only
    from python_multipart.multipart import MultipartCallbacks

MAX_OPTIONS_BYTES = 64 * 1024
PARTS = ("file", "options")


@dataclass(slots=True)
class _Part:
    """The part that is being read."""

    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    name: str = ""
    file_name: str = ""


class Form:
    """Sort the bytes of one form: ``file`` goes to the spool as it comes, ``options`` is kept.

    Raises:
        BadRequest: from every method, for a form that is malformed, or has parts that are unknown, repeated or missing.

    """

    def __init__(self, content_type: str, spool: BinaryIO) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise BadRequest("expected a boundary in the content type of multipart/form-data, got none")
        self.num_file_bytes = 0
        self.file_name = ""
        self.options = b""
        self._spool = spool
        self._part = _Part()
        self._seen: list[str] = []
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise BadRequest(f"expected multipart/form-data: {error}") from error

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadRequest(f"expected multipart/form-data, but reading it failed: {error}") from error

    def close(self) -> None:
        """Check that everything has come."""
        if not self._ended:
            raise BadRequest("expected multipart/form-data up to its last boundary; the form ends early")
        if "file" not in self._seen:
            raise BadRequest("expected a part `file` with the video; the form has none")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._enter_part,
            "on_part_data": self._add_content,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_header_name(self, chunk: bytes, start: int, end: int) -> None:
        self._part.header_name += chunk[start:end]

    def _add_header_value(self, chunk: bytes, start: int, end: int) -> None:
        self._part.header_value += chunk[start:end]

    def _end_header(self) -> None:
        if self._part.header_name.lower() == b"content-disposition":
            disposition = parse_options_header(self._part.header_value.decode("latin-1"))[1]
            self._part.name = disposition.get(b"name", b"").decode("utf-8", "replace")
            self._part.file_name = disposition.get(b"filename", b"").decode("utf-8", "replace")
        self._part.header_name.clear()
        self._part.header_value.clear()

    def _enter_part(self) -> None:
        name = self._part.name
        if name not in PARTS:
            raise BadRequest(f"expected the parts {' and '.join(PARTS)}, got a part named {name[:40]!r}")
        if name in self._seen:
            raise BadRequest(f"expected one part `{name}`, got another")
        self._seen.append(name)
        if name == "file":
            self.file_name = self._part.file_name

    def _add_content(self, chunk: bytes, start: int, end: int) -> None:
        if self._part.name == "file":
            self._spool.write(chunk[start:end])
            self.num_file_bytes += end - start
            return
        self.options += chunk[start:end]
        if len(self.options) > MAX_OPTIONS_BYTES:
            raise BadRequest(f"expected at most {MAX_OPTIONS_BYTES} bytes of options, got more")

    def _end(self) -> None:
        self._ended = True
