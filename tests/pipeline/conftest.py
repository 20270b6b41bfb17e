"""Small videos, made on the spot."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest

VideoMaker = Callable[..., bytes]
WRITERS = {
    "mp4": "libx264",
    "mov": "libx264",
    "matroska": "libx264",
    "avi": "mpeg4",
    "webm": "libvpx",
    "h264": "libx264",
}


def make_test_video(
    *,
    num_frames: int = 30,
    fps: Fraction | int = 30,
    size_wh: tuple[int, int] = (96, 64),
    container: str = "mp4",
    rotation: int | None = None,
    flips: dict[str, bool] | None = None,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Film a white square in the top-left corner of grey frames that grow lighter; ``pts`` count frames of ``fps``."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(path, "w", format=container, options=options or {}) as output:
            stream = output.add_stream(WRITERS[container], rate=fps)
            stream.width, stream.height = size_wh
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "g": "10", "deadline": "realtime", "cpu-used": "8"}
            if rotation is not None:
                stream.set_display_rotation(rotation, **(flips or {}))
            for index in range(num_frames):
                image = np.full((size_wh[1], size_wh[0], 3), 40 + index % 100, np.uint8)
                image[: size_wh[1] // 2, : size_wh[0] // 2] = 255
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = (index if pts is None else pts[index]), 1 / Fraction(fps)
                output.mux(stream.encode(picture))
            output.mux(stream.encode())
        return path.read_bytes()


@pytest.fixture(scope="session")
def make_video() -> VideoMaker:
    return make_test_video
