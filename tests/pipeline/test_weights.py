import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline import weights
from pipeline.errors import ModelError
from pipeline.pose.cache import WeightsFile, default_cache
from pipeline.weights import pull

CONTENT = b"the weights" * 10_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def archive(**members: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as opened:
        for name, content in members.items():
            opened.writestr(name.replace("__", "/").replace("_onnx", ".onnx"), content)
    return written.getvalue()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "published"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


Publish = Callable[..., WeightsFile]


@pytest.fixture
def publish(publisher: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Serve an archive as the only file of the profile "net"."""
    folder, address = publisher

    def put(content: bytes, *, sha256: str | None = SHA256) -> WeightsFile:
        (folder / "net.zip").write_bytes(content)
        file = WeightsFile("net.onnx", "MIT", url=f"{address}/net.zip", sha256=sha256)
        monkeypatch.setattr(weights, "weights_of_backends", lambda: {"carried": (), "net": (file,)})
        return file

    return put


def test_weights_are_downloaded_unpacked_and_checked(publish: Publish, tmp_path: Path) -> None:
    publish(archive(folder__end2end_onnx=CONTENT, folder__detail=b"{}"))
    cache = tmp_path / "cache"
    (path,) = pull("net", cache=cache)
    assert path == cache / "net.onnx"
    assert path.read_bytes() == CONTENT
    assert [one.name for one in cache.iterdir()] == ["net.onnx"]


def test_progress_ends_with_the_whole_file(publish: Publish, tmp_path: Path) -> None:
    content = archive(end2end_onnx=CONTENT)
    publish(content)
    told: list[tuple[str, int, int]] = []
    pull("net", cache=tmp_path, on_progress=lambda *now: told.append(now))
    assert told[-1] == ("net.onnx", len(content), len(content))
    assert all(done <= total for _, done, total in told)


def test_what_is_there_already_is_not_downloaded_again(publish: Publish, tmp_path: Path) -> None:
    publish(b"no archive at all")
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    assert pull("net", cache=tmp_path) == (tmp_path / "net.onnx",)


def test_a_broken_file_in_the_cache_is_replaced(publish: Publish, tmp_path: Path) -> None:
    publish(archive(end2end_onnx=CONTENT))
    (tmp_path / "net.onnx").write_bytes(CONTENT[:-1])
    assert pull("net", cache=tmp_path)[0].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(end2end_onnx=b"changed"), f"another end2end.onnx than expected.*not {SHA256}"),
        (b"no archive at all", "is no zip archive"),
        (archive(other=b""), "should hold one end2end.onnx, but holds 0"),
        (archive(a__end2end_onnx=CONTENT, b__end2end_onnx=CONTENT), "should hold one end2end.onnx, but holds 2"),
    ],
    ids=["changed", "no archive", "member missing", "member twice"],
)
def test_a_wrong_download_is_refused_and_leaves_nothing(
    publish: Publish, tmp_path: Path, content: bytes, message: str
) -> None:
    publish(content)
    cache = tmp_path / "cache"
    with pytest.raises(ModelError, match=message):
        pull("net", cache=cache)
    assert list(cache.iterdir()) == []


def test_a_file_that_is_not_served_is_named(publish: Publish, publisher: tuple[Path, str], tmp_path: Path) -> None:
    publish(b"")
    (publisher[0] / "net.zip").unlink()
    with pytest.raises(ModelError, match=r"could not download http://.*net\.zip.*404.*check the connection"):
        pull("net", cache=tmp_path)


def test_a_profile_without_downloads_lists_those_with(publish: Publish, tmp_path: Path) -> None:
    publish(b"")
    with pytest.raises(ValueError, match="no weights to pull for 'carried': expected one of net"):
        pull("carried", cache=tmp_path)


def test_the_default_cache_is_the_platform_s() -> None:
    assert default_cache().name == "marey"
    assert default_cache().is_absolute()
