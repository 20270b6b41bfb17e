"""What is refused and why: each fault has its own error and a message that says what to do."""

import os
import wave
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from rtsp import RtspCamera

from pipeline.errors import LimitExceeded, NotAVideo, SourceLost, Undecodable
from pipeline.sources import is_camera, without_credentials
from pipeline.video import VideoLimits, open_video

JPEG = cv2.imencode(".jpg", np.full((64, 96, 3), 90, np.uint8))[1].tobytes()
BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(JPEG)


def sound() -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as output:
        output.setparams((1, 2, 8000, 0, "NONE", ""))
        output.writeframes(bytes(8000))
    return file.getvalue()


class Streamed(BytesIO):
    """An upload that cannot be rewound."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise OSError("not seekable")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"these are words, not pictures\n" * 50, "holds text"),
        (bytes(5000), "of no kind that is accepted"),
        (np.random.default_rng(0).bytes(20_000), "of no kind that is accepted"),
        (sound(), "no video, only audio"),
    ],
    ids=["empty", "text", "zeros", "noise", "sound"],
)
def test_what_is_no_video_is_named(content: bytes, said: str) -> None:
    with pytest.raises(NotAVideo, match=f"{said}.*expected a video such as MP4"):
        open_video(content)


@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "webp", "bmp", "tiff"])
def test_a_still_image_is_no_video(kind: str) -> None:
    content = cv2.imencode(f".{kind}", np.zeros((64, 96, 3), np.uint8))[1].tobytes()

    with pytest.raises(NotAVideo, match=r"still image \((jpeg|png|gif|webp|bmp|tiff)\)"):
        open_video(content)


@pytest.mark.parametrize("path", ["missing.mp4", "."])
def test_a_path_without_a_file_is_named(path: str, tmp_path: Path) -> None:
    with pytest.raises(NotAVideo, match="there is no file"):
        open_video(tmp_path / path)


def test_an_mp4_cut_off_before_its_index_is_undecodable_and_says_what_the_decoder_said(
    make_video: Callable[..., bytes],
) -> None:
    content = make_video(num_frames=60)

    with pytest.raises(Undecodable, match=r"index \(moov\).*the decoder said: Invalid data"):
        open_video(content[: content.index(b"moov") - 4])


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{video}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {video}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26\n",
    ],
    ids=["m3u8", "m3u8-url", "concat", "sdp"],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.ffconcat", "list.sdp"])
def test_a_playlist_never_opens_the_file_it_names(
    playlist: str, name: str, tmp_path: Path, make_video: Callable[..., bytes]
) -> None:
    video = tmp_path / "other.mp4"
    video.write_bytes(make_video(num_frames=5))
    path = tmp_path / name
    path.write_text(playlist.format(video=video))

    with pytest.raises(NotAVideo):
        open_video(path)
    with pytest.raises(NotAVideo):
        open_video(path.read_bytes())


@pytest.mark.parametrize("prefix", ["file:", "concat:", "subfile,,start,0,end,9,,:", "cache:", "pipe:0", "lavfi:"])
def test_a_name_with_a_protocol_is_only_a_path(prefix: str, tmp_path: Path, make_video: Callable[..., bytes]) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(make_video(num_frames=5))

    with pytest.raises(NotAVideo, match="there is no file"):
        open_video(f"{prefix}{video}")


def test_a_file_with_a_pattern_in_its_name_is_that_file(tmp_path: Path, make_video: Callable[..., bytes]) -> None:
    path = tmp_path / "concat:%03d|clip.jpg"
    path.write_bytes(make_video(num_frames=5))

    with open_video(path) as video:
        assert len(list(video.frames())) == 5


def test_too_many_bytes_are_refused_before_they_are_read(make_video: Callable[..., bytes]) -> None:
    content = make_video()

    with pytest.raises(LimitExceeded, match=f"{len(content)} bytes, 100 are allowed") as caught:
        open_video(content, limits=VideoLimits(max_bytes=100))
    assert caught.value.limit == "bytes"


def test_an_upload_of_unknown_size_is_counted_while_it_is_read(make_video: Callable[..., bytes]) -> None:
    content = make_video(num_frames=200, size_wh=(320, 240), options={"movflags": "faststart"})

    with (
        pytest.raises(LimitExceeded, match="bytes") as caught,
        open_video(Streamed(content), limits=VideoLimits(max_bytes=len(content) - 1)) as video,
    ):
        list(video.frames())
    assert caught.value.limit == "bytes"


def test_an_upload_that_cannot_be_rewound_is_decoded(make_video: Callable[..., bytes]) -> None:
    with open_video(Streamed(make_video(num_frames=10, options={"movflags": "faststart"}))) as video:
        assert len(list(video.frames())) == 10


def test_a_file_object_is_read_from_its_start_and_left_open(make_video: Callable[..., bytes]) -> None:
    file = BytesIO(make_video(num_frames=10))
    file.seek(100)

    with open_video(file) as video:
        assert len(list(video.frames())) == 10
    assert not file.closed


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files under /proc")
def test_no_file_stays_open_however_a_pass_ends(tmp_path: Path, make_video: Callable[..., bytes]) -> None:
    good, broken = tmp_path / "good.mp4", tmp_path / "broken.mp4"
    good.write_bytes(make_video())
    broken.write_bytes(good.read_bytes()[:600])
    num_open = len(os.listdir("/proc/self/fd"))

    for _ in range(3):
        with open_video(good) as video:
            list(video.frames())
        with open_video(good) as video:
            next(video.frames())
        with pytest.raises(Undecodable):
            open_video(broken)
        with pytest.raises(LimitExceeded):
            open_video(good, limits=VideoLimits(max_frames=2))

    assert len(os.listdir("/proc/self/fd")) == num_open


def test_bad_text_in_the_metadata_does_no_harm(make_video: Callable[..., bytes]) -> None:
    content = make_video(num_frames=3, container="matroska").replace(b"Lavf", b"\xff\xfe\xff\xff")

    with open_video(content) as video:
        assert len(list(video.frames())) == 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://hall/stream", True),
        ("RTSPS://hall/stream", True),
        ("https://hall/video.mjpg", True),
        ("0", True),
        ("/dev/video1", True),
        ("walk.mp4", False),
        ("file:///etc/passwd", False),
        ("concat:a.mp4|b.mp4", False),
    ],
)
def test_cameras_are_told_from_paths(source: str, expected: bool) -> None:
    assert is_camera(source) is expected


def test_credentials_are_not_shown() -> None:
    assert without_credentials("rtsp://me:p%40ss@hall:554/stream?x=1") == "rtsp://hall:554/stream?x=1"
    with pytest.raises(SourceLost) as caught:
        open_video("rtsp://me:secret@127.0.0.1:9/stream")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


class Camera(BaseHTTPRequestHandler):
    """Sends five pictures and hangs up, or something that is no stream."""

    def do_GET(self) -> None:
        kinds = {"/snapshot": "image/jpeg", "/list.m3u8": "application/vnd.apple.mpegurl"}
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/stream")
        self.send_header("Content-Type", kinds.get(self.path, "multipart/x-mixed-replace;boundary=frame"))
        self.end_headers()
        if self.path == "/stream":
            self.wfile.write((BOUNDARY + JPEG + b"\r\n") * 5)
        elif self.path == "/snapshot":
            self.wfile.write(JPEG)
        elif self.path == "/list.m3u8":
            self.wfile.write(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/stream\n#EXT-X-ENDLIST\n")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def camera_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_camera_that_stops_is_lost_after_the_frames_it_sent(camera_url: str) -> None:
    times_s = []
    with open_video(f"{camera_url}/stream", limits=VideoLimits(max_frames=1, max_seconds=0.0)) as video:
        assert video.is_live
        with pytest.raises(SourceLost, match="stopped after"):
            times_s.extend(frame.time_s for frame in video.frames())
    assert len(times_s) >= 4
    assert (np.diff(times_s) > 0).all()


def test_a_camera_has_no_limit_but_pixels(camera_url: str) -> None:
    frames = []
    with open_video(f"{camera_url}/stream", limits=VideoLimits(max_frames=1, max_seconds=0.0)) as video:
        stream = video.frames()
        frames += [next(stream) for _ in range(3)]
    assert [frame.size_wh for frame in frames] == [(96, 64)] * 3

    with pytest.raises(LimitExceeded, match="pixels"):
        open_video(f"{camera_url}/stream", limits=VideoLimits(max_pixels=100))


@pytest.mark.parametrize("length", ["now-", "0-40"], ids=["a camera", "a recorder that plays 40 s"])
def test_what_speaks_rtsp_is_live_whatever_length_it_announces(length: str) -> None:
    times_s = []
    with RtspCamera(num_frames=12, length=length) as camera, open_video(camera.address) as video:
        assert video.is_live
        with pytest.raises(SourceLost, match=r"stopped after 1\.2 s"):
            times_s.extend(frame.time_s for frame in video.frames())
    assert times_s == pytest.approx(np.arange(12) / 10)


@pytest.mark.parametrize("path", ["snapshot", "list.m3u8"])
def test_a_camera_url_that_sends_no_stream_is_refused(camera_url: str, path: str) -> None:
    with pytest.raises(NotAVideo, match="picture, a playlist"):
        open_video(f"{camera_url}/{path}")


def test_a_camera_url_is_not_followed_elsewhere(camera_url: str) -> None:
    with pytest.raises(SourceLost, match="cannot be opened"):
        open_video(f"{camera_url}/moved")
