"""Video in: decode a file, an upload or a camera into upright RGB frames that carry the stream's own times.

Decoding is FFmpeg's, through PyAV, and streams: memory does not grow with the length. Every claim of a header is
checked against the limits, then counted again while decoding.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from os import cpu_count
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from numpy.typing import NDArray

from pipeline.clock import Clock, Grid
from pipeline.errors import LimitExceeded, SourceLost, Undecodable
from pipeline.sources import (
    UNTIMED_FORMATS,
    BinaryFile,
    find_stream,
    is_camera,
    open_camera,
    open_file,
    without_credentials,
)
from pipeline.values import Frame, VideoInfo

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

NUM_THREADS = min(4, cpu_count() or 1)  # each holds one more frame in memory; beyond four little is gained
DEFAULT_FPS = 25.0
MAX_PLAUSIBLE_FPS = 1000.0  # raw streams state their clock's rate where they know no frame rate
EARLY_END_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What a video may cost at most; ``max_pixels`` are those of one frame (4096 x 2304 passes, 8k does not)."""

    max_bytes: int = 512 * 2**20
    max_seconds: float = 3600.0
    max_pixels: int = 4096 * 2304
    max_frames: int = 250_000


DEFAULT_LIMITS = VideoLimits()


class Video:
    """An open video: one pass of frames, everything released on exit.

    ``open_video`` makes one. Its first frame is decoded already, so that what cannot be decoded is known at once.
    """

    def __init__(self, container: InputContainer, *, limits: VideoLimits, camera: str | None = None) -> None:
        self._container = container
        self._stream = find_stream(container)
        self._limits = limits
        self._claimed_s = _claimed_seconds(container, self._stream)
        self._camera = camera if self._claimed_s is None else None
        self._clock = _clock(container, self._stream, is_live=self.is_live)
        self._warnings: list[str] = []
        self._num_decoded = self._num_damaged = 0
        self._last_error: av.FFmpegError | None = None
        self._resources = ExitStack()
        self._check_claims()
        self._configure_decoder()
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            codec = self._stream.codec_context.name
            raise Undecodable(f"no frame of this {codec} video can be decoded{self._reason()}")
        self._orientation = _Orientation.of(self._first)
        self._info = self._claimed_info(self._first)

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def info(self) -> VideoInfo:
        """What the header claims; after the last frame, what was decoded. The size is the upright picture's."""
        return self._info

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong without ending the pass; complete after the last frame."""
        return tuple(self._warnings)

    @property
    def is_live(self) -> bool:
        """Whether this is a camera: it has no end, and of the limits only ``max_pixels`` holds."""
        return self._camera is not None

    @property
    def progress(self) -> float:
        """The share of the claimed duration that is decoded, in [0, 1]; 0 where none is claimed."""
        return min(1.0, self._clock.end_s / self._claimed_s) if self._claimed_s else 0.0

    @property
    def pixel_aspect(self) -> Fraction:
        """How wide a pixel of the upright picture is meant to be shown for its height; 1 where nothing is said."""
        aspect = self._stream.codec_context.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if self._orientation.is_transposed else aspect

    def frames(self, *, fps: float | None = None, max_side: int | None = None) -> Iterator[Frame]:
        """Decode to the end, once.

        ``fps`` thins to the frames nearest to the times k / fps; a slower source gives all it has. ``max_side`` shrinks
        a picture whose longer side exceeds it. ``Frame.index`` counts the source's frames, those left out included.

        Raises:
            LimitExceeded: more came than the header claimed and the limits allow.
            SourceLost: the camera stopped.
        """
        if fps is not None and fps <= 0:
            raise ValueError(f"expected a frame rate above 0, got {fps}")
        if max_side is not None and max_side < 1:
            raise ValueError(f"expected a longest side of 1 px or more, got {max_side}")
        if self._first is None:
            raise ValueError("the frames of this video were taken already; open it again for another pass")
        first, self._first = self._first, None
        return self._convert(first, None if fps is None else Grid(fps), max_side)

    def close(self) -> None:
        """Release the decoder and the file; a file object that the caller passed in stays open."""
        self._first = None
        self._decoded.close()
        self._resources.close()

    def keep(self, resources: ExitStack) -> None:
        """Take over what ``close`` must release."""
        self._resources = resources

    def _convert(self, first: VideoFrame, grid: Grid | None, max_side: int | None) -> Iterator[Frame]:
        converter = _Converter(first, self._orientation, max_side)
        for picture in chain([first], self._decoded):
            if grid is None or grid.wants(self._clock.now_s):
                yield Frame(converter.image(picture), self._num_decoded - 1, self._clock.now_s, converter.scale)

    def _decode(self) -> Generator[VideoFrame]:
        for picture in self._pictures():
            self._clock.advance(picture)
            self._num_decoded += 1
            self._check("pixels", picture.width * picture.height, self._limits.max_pixels)
            if not self.is_live:
                self._check("frames", self._num_decoded, self._limits.max_frames)
                self._check("seconds", self._clock.now_s, self._limits.max_seconds)
            yield picture
        if self.is_live:
            raise SourceLost(f"{self._camera} stopped after {self._clock.end_s:.1f} s{self._reason()}; open it again")
        if self._num_decoded:
            self._conclude()

    def _pictures(self) -> Iterator[VideoFrame]:
        """Decode packet by packet, so that a damaged one costs no more than itself."""
        for packet in self._packets():
            try:
                pictures = self._stream.decode(packet)
            except av.FFmpegError as error:
                self._num_damaged += 1
                self._last_error = error
                continue
            for picture in pictures:
                if picture.is_corrupt:
                    self._num_damaged += 1
                else:
                    yield picture

    def _packets(self) -> "Iterator[Packet[VideoStream] | None]":
        try:
            yield from self._container.demux(self._stream)
            return
        except av.FFmpegError as error:
            self._last_error = error
        if not self.is_live:
            self._warnings.append(f"the file cannot be read to its end{self._reason()}")
        yield None  # the decoder still holds frames

    def _conclude(self) -> None:
        """Say what was decoded, and what of the claim was not."""
        end_s = self._clock.end_s
        if self._num_damaged:
            frames = "frame was" if self._num_damaged == 1 else "frames were"
            self._warnings.append(f"{self._num_damaged} damaged {frames} skipped{self._reason()}")
        if self._clock.is_assumed:
            self._warnings.append(f"the file gives no times: its frames were counted at {self._clock.fps:g} a second")
        if self._claimed_s and self._claimed_s - end_s > max(EARLY_END_S, 3 / self._clock.fps):
            self._warnings.append(f"the file ends early: {end_s:.1f} of {self._claimed_s:.1f} s decoded")
        self._info = replace(self._info, duration_s=end_s, fps=self._num_decoded / end_s, frames=self._num_decoded)

    def _reason(self) -> str:
        return f" (the decoder said: {self._last_error.strerror})" if self._last_error else ""

    def _configure_decoder(self) -> None:
        # Threads over frames hold frames back, which a live view cannot afford.
        self._stream.thread_type = ThreadType.SLICE if self.is_live else ThreadType.AUTO
        self._stream.codec_context.thread_count = NUM_THREADS

    def _claimed_info(self, first: VideoFrame) -> VideoInfo:
        width, height = self._orientation.size_wh(first.width, first.height)
        frames = self._stream.frames or round((self._claimed_s or 0.0) * self._clock.fps)
        return VideoInfo(self._claimed_s or 0.0, self._clock.fps, frames, width, height)

    def _check_claims(self) -> None:
        self._check("pixels", self._stream.width * self._stream.height, self._limits.max_pixels)
        if not self.is_live:
            self._check("seconds", self._claimed_s or 0.0, self._limits.max_seconds)
            self._check("frames", self._stream.frames, self._limits.max_frames)

    def _check(self, limit: str, came: int | float, allowed: int | float) -> None:
        if came > allowed:
            per = " in a frame" if limit == "pixels" else ""
            raise LimitExceeded(
                f"the video has {came:.10g} {limit}{per}, {allowed:.10g} are allowed; send a shorter or smaller one",
                limit=limit,
            )


def open_video(source: bytes | BinaryFile | Path | str, *, limits: VideoLimits = DEFAULT_LIMITS) -> Video:
    """Open a file's content, a file object, a path, a camera URL (rtsp, http) or a camera device ("0", "/dev/video0").

    A string that is neither a camera URL nor a device is a path.

    Raises:
        NotAVideo: there is no video in it: no such file, empty, text, a still picture, sound alone.
        Undecodable: a video container of which no frame can be decoded.
        LimitExceeded: the header claims more than allowed.
        SourceLost: the camera cannot be reached.
    """
    with ExitStack() as resources:
        if isinstance(source, str) and is_camera(source):
            video = Video(open_camera(source, resources), limits=limits, camera=without_credentials(source))
        else:
            file = Path(source) if isinstance(source, str) else source
            container = open_file(file, resources, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels)
            video = Video(container, limits=limits)
        video.keep(resources.pop_all())
        return video


@dataclass(frozen=True, slots=True)
class _Orientation:
    """How a stored picture is brought upright: swap its axes, then mirror along each."""

    is_transposed: bool = False
    flips_x: bool = False
    flips_y: bool = False

    @classmethod
    def of(cls, picture: VideoFrame) -> "_Orientation":
        """Read the display matrix, to the nearest right angle: x' = a x + c y, y' = b x + d y."""
        matrix = cast(Buffer | None, picture.side_data.get("DISPLAYMATRIX"))
        if matrix is None:
            return cls()
        a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def size_wh(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of the upright picture."""
        return (height, width) if self.is_transposed else (width, height)

    def upright(self, image: UInt8[U8, "H W 3"]) -> UInt8[U8, "H2 W2 3"]:
        """Return the upright picture."""
        if self.is_transposed:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self.flips_x or self.flips_y:
            axis = -1 if self.flips_x and self.flips_y else int(self.flips_x)
            image = np.asarray(cv2.flip(image, axis), np.uint8)
        return image


class _Converter:
    """Makes upright RGB pictures of one size, whatever size the stream changes to."""

    def __init__(self, first: VideoFrame, orientation: _Orientation, max_side: int | None) -> None:
        longest = max(first.width, first.height)
        self.scale = min(1.0, (max_side or longest) / longest)
        self._size_wh = max(1, round(first.width * self.scale)), max(1, round(first.height * self.scale))
        self._interpolation = Interpolation.AREA if self.scale < 1 else Interpolation.BILINEAR
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    def image(self, picture: VideoFrame) -> UInt8[U8, "H W 3"]:
        """Scale and convert in one pass of swscale."""
        width, height = self._size_wh
        rgb = self._reformatter.reformat(
            picture, width, height, "rgb24", interpolation=self._interpolation, threads=NUM_THREADS
        )
        return self._orientation.upright(np.asarray(rgb.to_ndarray(), np.uint8))


def _clock(container: InputContainer, stream: VideoStream, *, is_live: bool) -> Clock:
    """Make the clock of a stream; pictures of a camera that come without times count from when they arrive."""
    is_untimed = is_live and container.format.name in UNTIMED_FORMATS
    return Clock(_nominal_fps(stream), arrival_s=time.monotonic if is_untimed else None)


def _nominal_fps(stream: VideoStream) -> float:
    rates = (float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate)
    return next((rate for rate in rates if 0 < rate <= MAX_PLAUSIBLE_FPS), DEFAULT_FPS)


def _claimed_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration the header gives the video, or the container where it gives the video none."""
    if container.format.name == "rtsp":  # a recorder says how much it holds, and plays it at the clock's pace
        return None
    if container.format.name == "avi" and stream.frames:  # its duration is FFmpeg's guess from the size of the file
        return stream.frames / _nominal_fps(stream)
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return float(Fraction(container.duration, av.time_base))
    return None
