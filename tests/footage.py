"""Small films that tests make: of nothing, or cut out of a real one."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def write_film(path: Path, *, seconds: float = 2.0, fps: int = 15, shade: int = 60) -> Path:
    """Film an empty grey room; another shade makes another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((240, 320, 3), shade, np.uint8)
    with av.open(path, "w") as output:
        stream = _add_stream(output, "mpeg4", Fraction(fps), (320, 240))
        for index in range(round(seconds * fps)):
            picture = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return path


def cut_film(
    source: Path, out: Path, *, start_s: float, end_s: float, side_px: int = 256, codec: str = "libx264"
) -> Path:
    """Cut a piece out of a video, made smaller."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(source) as reader, av.open(out, "w") as output:
        taken = reader.streams.video[0]
        scale = min(1.0, side_px / max(taken.width, taken.height))
        size_wh = int(taken.width * scale) // 2 * 2, int(taken.height * scale) // 2 * 2
        rate = Fraction(taken.average_rate or 30)
        stream = _add_stream(output, codec, rate, size_wh)
        pictures = (picture for picture in reader.decode(taken) if start_s <= (picture.time or 0.0) < end_s)
        for index, picture in enumerate(pictures):
            small = picture.reformat(*size_wh, format=stream.pix_fmt)
            small.pts, small.time_base = index, 1 / rate
            output.mux(stream.encode(small))
        output.mux(stream.encode())
    return out


def _add_stream(
    output: av.container.OutputContainer, codec: str, rate: Fraction, size_wh: tuple[int, int]
) -> VideoStream:
    stream = output.add_stream(codec, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size_wh
    stream.pix_fmt = "yuv420p"
    if codec == "mjpeg":
        stream.pix_fmt, stream.bit_rate = "yuvj420p", 16_000_000  # it spends little by itself
    return stream
