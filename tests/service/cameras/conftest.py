"""A camera and a receiver of webhooks on loopback that can be switched off and on."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from pipeline.values import Poses

GREY = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()


class _Server:
    """A web server that keeps its port when it is switched off and on."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._handler, self._port = handler, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self.is_off = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.owner = self
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        if not self.is_off.is_set():
            self.is_off.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class MjpegCamera(_Server):
    """Sends pictures over and over at a rate; ``stall`` makes it hold the line and send nothing."""

    def __init__(self, pictures: Sequence[bytes] = (GREY,), *, fps: float = 50.0) -> None:
        self.pictures, self.fps = pictures, fps
        self.num_connections = 0
        self.stall = threading.Event()
        super().__init__(_CameraHandler)

    @property
    def address(self) -> str:
        return self.url.replace("://", "://me:hunter2@") + "/video?token=hunter2"


class _CameraHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        camera: MjpegCamera = self.server.owner
        camera.num_connections += 1
        is_off = camera.is_off
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        began_s = time.monotonic()
        for index in range(1_000_000):
            if is_off.wait(max(0.0, began_s + index / camera.fps - time.monotonic())):
                return
            while camera.stall.is_set():
                if is_off.wait(0.01):
                    return
            picture = camera.pictures[index % len(camera.pictures)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(_Server):
    """Keeps what is posted; answers ``statuses`` first and 200 from then on; ``stall`` makes it answer nothing."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.posted: list[Posted] = []
        self.stall = threading.Event()
        super().__init__(_ReceiverHandler)

    @property
    def bodies(self) -> list[bytes]:
        return [post.body for post in self.posted]


class _ReceiverHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.posted.append(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        while receiver.stall.is_set():
            if receiver.is_off.wait(0.01):
                return
        self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def make_camera() -> Iterator[Callable[..., MjpegCamera]]:
    with ExitStack() as cameras:

        def make(*args, **options) -> MjpegCamera:
            camera = MjpegCamera(*args, **options)
            cameras.callback(camera.stop)
            return camera

        yield make


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def engine(engine, monkeypatch):
    """The engine of all tests, which here sees nobody."""
    monkeypatch.setattr(
        engine.pose, "find", lambda frames: [Poses.empty(len(engine.pose.layout)) for _ in frames], raising=False
    )
    return engine
