"""Open what a video may come from, and nothing else: files, uploads, file objects, cameras and camera URLs.

Nothing of an upload is trusted. It is read through an object without a name, so that no name reaches FFmpeg, which
would read protocols and patterns from it; demuxers come from a list that holds no playlist; and whatever else a file
asks to have opened is refused. A camera URL is opened as it stands: without redirects, over network protocols only.
"""

import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import NoReturn, Protocol, runtime_checkable
from urllib.parse import urlsplit, urlunsplit

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import LimitExceeded, NotAVideo, SourceLost, Undecodable, VideoError

EXPECTED = "expected a video such as MP4, MOV, MKV, WebM, AVI or MPEG-TS"
VIDEO_FORMATS = "mov matroska webm avi mpegts mpeg mpegvideo flv asf ogg mxf nut h264 hevc m4v mjpeg ivf yuv4mpegpipe"
STILL_FORMATS = "jpeg_pipe png_pipe gif apng webp_pipe bmp_pipe tiff_pipe jpegxl_pipe j2k_pipe ico"
STILL_BRANDS = ("avif", "heic", "heix", "mif1")  # pictures in an MP4 container
AUDIO_FORMATS = "mp3 wav flac aac aiff amr w64 ac3"
CONTAINER_SIGNS = ((4, b"ftyp", "MP4"), (4, b"moov", "MP4"), (0, b"\x1aE\xdf\xa3", "Matroska"), (8, b"AVI ", "AVI"))
COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
HEAD_BYTES = 512
READ_BYTES = 256 * 1024

CAMERA_URL = re.compile(r"(rtsps?|https?)://\S+", re.IGNORECASE)
CAMERA_DEVICE = re.compile(r"\d+|/dev/video\d+")
CAMERA_FORMATS = "rtsp sdp rtp mpjpeg mjpeg mpegts mov matroska webm flv h264 hevc"
CAMERA_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https"
CAMERA_TIMEOUT_S = 10.0
UNTIMED_FORMATS = ("mpjpeg", "mjpeg")  # pictures without times, which a live stream gets on arrival


@runtime_checkable
class BinaryFile(Protocol):
    """What is asked of a file object: uploads, pipes and open files all have it."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...

    def seekable(self) -> bool:
        """Whether ``seek`` works."""
        ...

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Move, and return the new place."""
        ...

    def tell(self) -> int:
        """Return the place."""
        ...


class _Upload:
    """A file without a name that knows how it began and stops at ``max_bytes``."""

    def __init__(self, file: BinaryFile, *, max_bytes: int) -> None:
        self.head = b""
        self._file = file
        self._max_bytes = max_bytes
        self._num_read = 0
        if self.seekable():
            self._check(file.seek(0, 2))
            file.seek(0)

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self.head = self.head or chunk[:HEAD_BYTES]
        self._num_read += len(chunk)
        if not self.seekable():  # else the demuxer may read a part twice, and the size is known anyway
            self._check(self._num_read)
        return chunk

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, num_bytes: int) -> None:
        if num_bytes > self._max_bytes:
            raise LimitExceeded(
                f"the video has {num_bytes} bytes, {self._max_bytes} are allowed; send a shorter or smaller one",
                limit="bytes",
            )


def open_file(
    source: bytes | BinaryFile | Path, resources: ExitStack, *, max_bytes: int, max_pixels: int
) -> InputContainer:
    """Open a file, its content or a file object, and refuse what is no video.

    What must be closed is put on ``resources``; a file object that the caller passed in is not.

    Raises:
        NotAVideo: nothing is there, or it is empty, a still picture, text, or of a kind that is not accepted.
        Undecodable: a video container that cannot be read.
        LimitExceeded: more bytes than allowed.
    """
    upload = _Upload(_binary_file(source, resources), max_bytes=max_bytes)
    name = source.name if isinstance(source, Path) else "the file"
    options = {
        "format_whitelist": ",".join(f"{VIDEO_FORMATS} {STILL_FORMATS} {AUDIO_FORMATS}".split()),
        "max_pixels": str(max_pixels),
    }
    try:
        container = av.open(
            upload, "r", options=options, metadata_errors="replace", buffer_size=READ_BYTES, io_open=_refuse_to_open
        )
    except av.FFmpegError as error:
        raise _diagnose(name, upload.head, error) from error
    resources.enter_context(container)
    _refuse_pictures(name, container)
    return container


def open_camera(source: str, resources: ExitStack) -> InputContainer:
    """Open a camera URL or device ("0", "/dev/video0"); it goes on ``resources``.

    Raises:
        NotAVideo: it sends something else than a stream of video.
        SourceLost: it cannot be reached, or sends nothing within ``CAMERA_TIMEOUT_S``.
    """
    address, device_format, options = source, None, {}
    if CAMERA_DEVICE.fullmatch(source):
        address, device_format = _device(source)
    else:
        options = {
            "format_whitelist": ",".join(CAMERA_FORMATS.split()),
            "protocol_whitelist": CAMERA_PROTOCOLS,
            "max_redirects": "0",
            "rtsp_transport": "tcp",
        }
    try:
        container = av.open(address, "r", format=device_format, options=options, timeout=CAMERA_TIMEOUT_S)
    except av.FFmpegError as error:
        address = without_credentials(source)
        if isinstance(error, av.ArgumentError):  # the list of formats was not met
            raise NotAVideo(f"{address} sends a picture, a playlist or another kind that is not accepted") from error
        raise SourceLost(f"{address} cannot be opened: {error.strerror}; is it on, and can it be reached?") from error
    return resources.enter_context(container)


def is_camera(source: str) -> bool:
    """Tell a camera URL or device from a path.

    >>> is_camera("rtsp://hall/stream"), is_camera("0"), is_camera("walk.mp4")
    (True, True, False)
    """
    return bool(CAMERA_URL.fullmatch(source) or CAMERA_DEVICE.fullmatch(source))


def without_credentials(url: str) -> str:
    """Return a URL that can be shown: without user name and password.

    >>> without_credentials("rtsp://me:secret@hall:554/stream")
    'rtsp://hall:554/stream'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def find_stream(container: InputContainer) -> VideoStream:
    """Return the first stream of moving pictures; covers and thumbnails are none.

    Raises:
        NotAVideo: there is none.
        Undecodable: there is no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & COVERS]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no streams"
        raise NotAVideo(f"the file holds no video, only {kinds}; {EXPECTED}")
    if streams[0].codec_context is None:
        raise Undecodable("there is no decoder for this video's codec; convert it to H.264")
    return streams[0]


def _binary_file(source: bytes | BinaryFile | Path, resources: ExitStack) -> BinaryFile:
    if isinstance(source, bytes):
        return BytesIO(source)
    if not isinstance(source, Path):
        return source
    if not source.is_file():
        raise NotAVideo(f"there is no file {source}; check the path")
    return resources.enter_context(source.open("rb"))


def _device(source: str) -> tuple[str, str]:
    """Return what FFmpeg calls a camera of this system, and the format that reads it."""
    if sys.platform == "darwin":
        return source, "avfoundation"
    if sys.platform.startswith("linux"):
        return (f"/dev/video{source}" if source.isdecimal() else source), "v4l2"
    raise ValueError(f"cameras by number are not known on {sys.platform}; use the camera's rtsp:// or http:// URL")


def _refuse_to_open(url: str, flags: int, options: Mapping[str, str]) -> NoReturn:
    """Stand in for FFmpeg's own opening of whatever a file refers to."""
    raise NotAVideo(f"the file refers to others, which are not opened; {EXPECTED}")


def _refuse_pictures(name: str, container: InputContainer) -> None:
    kind = container.format.name
    brand = container.metadata.get("major_brand", "")
    if kind in STILL_FORMATS.split() or brand in STILL_BRANDS:
        picture = brand if brand in STILL_BRANDS else kind.removesuffix("_pipe")
        raise NotAVideo(f"{name} is a still image ({picture}); {EXPECTED}")


def _diagnose(name: str, head: bytes, error: av.FFmpegError) -> VideoError:
    """Say why a file could not be opened, from how it begins and what the decoder said."""
    if not head:
        return NotAVideo(f"{name} is empty; {EXPECTED}")
    container = next((kind for place, sign, kind in CONTAINER_SIGNS if head[place:].startswith(sign)), None)
    if container == "MP4":
        return Undecodable(
            f"{name} is an MP4 whose index (moov) cannot be read: it is damaged, or was cut off before its end "
            f"(the decoder said: {error.strerror})"
        )
    if container:
        return Undecodable(f"{name} is a damaged {container} file (the decoder said: {error.strerror})")
    if head.isascii() and b"\0" not in head:
        return NotAVideo(f"{name} holds text; {EXPECTED}")
    return NotAVideo(f"{name} is of no kind that is accepted ({error.strerror}); {EXPECTED}")
