"""The page in a real browser: before a real service in a process of its own, or before one with a fake engine."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import httpx
import pytest
from footage import cut_film
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

START_S = 40
SIZE = {"width": 1200, "height": 900}
expect.set_options(timeout=20_000)  # the cores may be busy with other tests

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium on the path: this would have checked the page in a real browser")
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def launch(playwright: Playwright, chromium: str) -> Callable[..., Browser]:
    def start(*flags: str) -> Browser:
        # A container has neither user namespaces for the sandbox nor much of /dev/shm.
        flags = ("--no-sandbox", "--disable-dev-shm-usage", *flags)
        return playwright.chromium.launch(executable_path=chromium, args=flags)

    return start


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[httpx.Client]:
    """A client of `marey serve`."""
    folder = tmp_path_factory.mktemp("service")
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MAREY_JOBS_FOLDER": str(folder / "jobs"), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "marey", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            _wait_until_ready(client, process, folder / "log")
            yield client
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    given_up_s = time.monotonic() + START_S
    while time.monotonic() < given_up_s and process.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the service did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open the page of a service; if it asks anything of others, or breaks a rule of its own, the test fails."""
    with _watched() as faults:

        def open_one(service: httpx.Client, *, within: Browser = browser, **options: object) -> Page:
            page = within.new_page(**{"viewport": SIZE, **options})
            page.on("pageerror", lambda error: faults.append(f"script: {error}"))
            page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
            page.on(
                "request", lambda request: faults.append(request.url) if _is_elsewhere(request.url, service) else None
            )
            page.goto(str(service.base_url))
            return page

        yield open_one


@contextmanager
def _watched() -> Iterator[list[str]]:
    faults: list[str] = []
    yield faults
    assert faults == []


def _is_elsewhere(address: str, service: httpx.Client) -> bool:
    return not address.startswith((str(service.base_url), "blob:", "data:"))


@pytest.fixture(scope="module")
def squat(shared: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of a real clip with one squat, coded so that the browser can play it."""
    page = browser.new_page()
    plays = page.evaluate("""document.createElement("video").canPlayType('video/mp4; codecs="avc1.64001f"')""")
    page.close()
    name, codec = ("squat.mp4", "libx264") if plays else ("squat.webm", "libvpx-vp9")
    out = tmp_path_factory.mktemp("films") / name
    return cut_film(shared / "videos" / "web_squat_rohan.mp4", out, start_s=7, end_s=12.5, side_px=480, codec=codec)
