"""A real server around a fake engine, and small videos made on the spot."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from functools import cache
from http.client import HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import factories
import httpx
import numpy as np
import pytest
import structlog
import uvicorn
from fastapi import FastAPI

from pipeline.bundle import Bundle, Card
from pipeline.engine import Engine, Options
from pipeline.features import FeatureSpec
from pipeline.layouts import LAYOUTS
from pipeline.recognise import Recogniser
from pipeline.values import (
    Frame,
    LabelScore,
    Poses,
    Prediction,
    Recognition,
    Segment,
    SkeletonClip,
    Track,
    Trajectory,
    VideoInfo,
)
from service.app import create_app
from service.settings import Settings
from service.streams.transport import websocket_options

LABELS = ("idle", "wave", "squat")


class FakePose:
    """Finds one person in each picture, further to the right the lighter it is; waits at ``gate``, then ``look_s``."""

    name = "movenet"
    layout = LAYOUTS["coco17"]
    max_side = 64
    needs_boxes = False
    detect_every = 1

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.look_s = 0.0
        self.fault: Exception | None = None

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        self.entered.set()
        self.gate.wait()
        time.sleep(self.look_s * len(frames))
        if self.fault:
            raise self.fault
        return [_standing_at(16 + frame.image.mean() / 64) for frame in frames]


def _standing_at(x: float) -> Poses:
    keypoints = np.array([[x + place % 3, 5 + 2 * place] for place in range(17)], np.float32)
    box = np.array([[x - 1, 4, x + 4, 40]], np.float32)
    return Poses(keypoints[None], np.full((1, 17), 0.9, np.float32), box, np.full(1, 0.9, np.float32), np.full(1, -1))


class FakeRecogniser:
    """Takes everybody for waving who stands to the right, as in light pictures."""

    def __init__(self, folder: Path, *, name: str = "everyday", provider: str = "cpu") -> None:
        (folder / "model.onnx").write_bytes(b"not really a model")
        features = FeatureSpec(layout="coco17", num_frames=8, window_s=1.0)
        self.card = Card(
            name=name,
            version="1.2.3",
            architecture="stgcn",
            description="A fake.",
            features=features,
            labels=LABELS,
            silent_labels=("idle",),
        )
        self.bundle = Bundle(folder, self.card)
        self.provider = provider

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        return [self._prediction(clip, clip.keypoints[:, 0, 0, 0].mean() > 18) for clip in clips]

    def _prediction(self, clip: SkeletonClip, waves: bool) -> Prediction:
        probabilities = np.array([0.08, 0.9, 0.02] if waves else [0.9, 0.08, 0.02], np.float32)
        frames, joints = np.full(8, 1 / 8, np.float32), np.full(17, 1 / 17, np.float32)
        return Prediction(clip.start_s, clip.end_s, clip.track_ids, probabilities, frames, joints)


class FakeEngine:
    """Answers every video with one person who waves; waits at ``gate`` and says ``entered`` when it gets there."""

    def __init__(self, folder: Path, *, name: str = "everyday", provider: str = "cpu") -> None:
        self.pose = FakePose()
        self.recogniser = FakeRecogniser(folder, name=name, provider=provider)
        self.reset()

    def reset(self) -> None:
        self.pose.reset()
        self.gate, self.entered, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.gate.set()
        self.options: list[Options] = []
        self.clips = []
        self.fault: Exception | None = None
        self.is_empty = False

    def recognise(self, video, options, *, on_progress=None):
        self.options.append(options)
        num_frames = sum(1 for _ in video.frames())
        self._wait(on_progress)
        assert num_frames == video.info.frames
        return self._recognition(video.info, options, video.warnings)

    def recognise_skeletons(self, clip, options):
        self.options.append(options)
        self.clips.append(clip)
        self._wait(None)
        info = VideoInfo(clip.end_s - clip.start_s, 10.0, clip.num_frames, *(clip.size_wh or (0, 0)))
        return self._recognition(info, options, ())

    def warm_up(self):
        self.gate.wait()
        if self.fault:
            raise self.fault

    def _wait(self, on_progress: Callable[[float], None] | None) -> None:
        self.entered.set()
        try:
            while not self.gate.wait(0.002):
                if on_progress:
                    on_progress(0.5)
        except Exception:
            self.stopped.set()
            raise
        if self.fault:
            raise self.fault

    def _recognition(self, info: VideoInfo, options: Options, warnings: tuple[str, ...]) -> Recognition:
        timings_ms = {"decode": 1.0, "pose": 2.00049, "recognise": 3.0}
        if self.is_empty:
            return Recognition(info, (), timings_ms, (*warnings, "nobody was found in this video"))
        return Recognition(info, (_waving_person(options.keypoints),), timings_ms, warnings)


def _waving_person(with_keypoints: bool) -> Track:
    segment = Segment(
        label="wave",
        label_id=1,
        score=0.912345,
        start_s=0.1,
        end_s=0.80001,
        top_k=(LabelScore("wave", 0.912345), LabelScore("idle", 0.05)),
        key_frames_s=(0.3,),
        key_joints=("left_wrist",),
    )
    trajectory = Trajectory(
        np.array([0.0, 0.1]),
        np.full((2, 17, 2), 7.126, np.float32),
        np.full((2, 17), 0.5, np.float32),
        np.array([[1, 2, 3, 4]] * 2, np.float32),
    )
    return Track(1, 0.0, 0.9, (segment,), trajectory if with_keypoints else None)


@pytest.fixture(autouse=True)
def log() -> Iterator[list[dict[str, object]]]:
    """What the service logs."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def spool_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, of which none may be left after a test, open or on the disk."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())
    given_up_s = time.monotonic() + 2
    while _open_files(folder) and time.monotonic() < given_up_s:
        time.sleep(0.002)
    assert not _open_files(folder)


def _open_files(folder: Path) -> list[str]:
    """Files in a folder that this process has open, those without a name included."""
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it may have been closed meanwhile
            files.append(str(descriptor.readlink()))
    return [file for file in files if file.startswith(str(folder))]


@pytest.fixture(scope="session")
def lasting_engine(tmp_path_factory: pytest.TempPathFactory) -> FakeEngine:
    return FakeEngine(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def engine(lasting_engine: FakeEngine) -> FakeEngine:
    """The engine behind ``client``, as good as new."""
    lasting_engine.reset()
    return lasting_engine


@pytest.fixture
def watchful_engine(tmp_path: Path) -> Engine:
    """A real engine but for its eyes: it sees somebody who holds both arms up from 2 s to 4 s."""
    pose = factories.FakePose(lambda time_s: [factories.make_figure(arms_up=float(2 <= time_s < 4))])
    return Engine(pose, Recogniser(factories.write_bundle(tmp_path / "wrists")))


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[..., FakeEngine]:
    def make(name: str, **options) -> FakeEngine:
        (folder := tmp_path / f"bundle-{name}").mkdir()
        return FakeEngine(folder, name=name, **options)

    return make


@contextmanager
def _serve(app: FastAPI) -> Iterator[httpx.Client]:
    options = websocket_options(app.state.service.settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.002)
        assert server.started, "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def unused_address() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """Start a server for an application and return a client of it."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(_serve(app))


def _talk(client: httpx.Client, request: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes as they are, and no more; return the answer's status and JSON."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=5) as connection:
        connection.sendall(request)
        reply = HTTPResponse(connection)
        reply.begin()
        content = reply.read()
    is_json = "json" in reply.getheader("content-type", "")
    return reply.status, json.loads(content) if is_json else {}


@pytest.fixture
def talk() -> Callable[[httpx.Client, bytes], tuple[int, dict[str, object]]]:
    return _talk


@pytest.fixture(scope="session")
def lasting_client(lasting_engine: FakeEngine) -> Iterator[httpx.Client]:
    with _serve(create_app(Settings(), engine=lasting_engine)) as client:
        yield client


@pytest.fixture
def client(lasting_client: httpx.Client, engine: FakeEngine) -> httpx.Client:
    """A client of a service with the default settings, shared by all tests."""
    return lasting_client


@cache
def _film(*, num_frames=20, fps=20, size_wh=(64, 48), last_s=None, audio=False) -> bytes:
    """Film grey frames that grow lighter; the last one may come late."""
    pictures = [_grey(index, fps, size_wh) for index in range(num_frames)]
    if last_s is not None:
        pictures[-1].pts = last_s * fps
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        with av.open(path, "w") as output:
            if audio:
                _add_sound(output)
            else:
                _add_pictures(output, pictures, fps)
        return path.read_bytes()


def _grey(index: int, fps: int, size_wh: tuple[int, int]) -> av.VideoFrame:
    image = np.full((size_wh[1], size_wh[0], 3), 5 * index % 256, np.uint8)
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    picture.pts, picture.time_base = index, Fraction(1, fps)
    return picture


def _add_pictures(output, pictures: Sequence[av.VideoFrame], fps: int) -> None:
    stream = output.add_stream("mpeg4", rate=fps)
    stream.width, stream.height = pictures[0].width, pictures[0].height
    stream.pix_fmt = "yuv420p"
    for picture in pictures:
        output.mux(stream.encode(picture))
    output.mux(stream.encode())


def _add_sound(output) -> None:
    stream = output.add_stream("aac", rate=16000)
    stream.layout = "mono"
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate = 16000
    output.mux(stream.encode(frame))
    output.mux(stream.encode())


@pytest.fixture(scope="session")
def film() -> Callable[..., bytes]:
    """Make an MP4; the same arguments give the same bytes."""
    return _film


@pytest.fixture(scope="session")
def video() -> bytes:
    """One second of grey."""
    return _film()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Return once something holds, or fail after a while."""

    def wait(holds: Callable[[], object], within_s: float = 10.0) -> None:
        given_up_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < given_up_s, "it never came to hold"
            time.sleep(0.005)

    return wait
