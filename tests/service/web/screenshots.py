"""Take the pictures of docs/page.md: `python tests/service/web/screenshots.py CLIP [ADDRESS OF A RUNNING SERVICE]`."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, Playwright, expect, sync_playwright

FOLDER = Path(__file__).parents[3] / "docs" / "images"
ADDRESS = "http://127.0.0.1:8000"
WORK_MS = 120_000
DESKTOP = {"viewport": {"width": 1240, "height": 930}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "color_scheme": "dark"}


def main(clip: Path, address: str = ADDRESS) -> None:
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        with _page(playwright, **DESKTOP) as page:
            page.goto(address)
            _review(page, clip)
            page.screenshot(path=FOLDER / "page.png", full_page=True)
        with _page(playwright, **PHONE) as page:
            page.goto(address)
            _review(page, clip)
            page.screenshot(path=FOLDER / "page-phone.jpg", quality=80)
        with _page(playwright, *_camera_flags(clip, Path(folder)), **DESKTOP) as page:
            page.goto(address)
            _stream(page)
            page.screenshot(path=FOLDER / "page-live.jpg", quality=85)


@contextmanager
def _page(playwright: Playwright, *flags: str, **options: object) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *flags])
    yield browser.new_page(**options)
    browser.close()


def _review(page: Page, clip: Path) -> None:
    """Send the clip, choose its first action, and go to the second moment that decided."""
    page.set_input_files("#file", clip)
    page.locator(".segment").first.click(timeout=WORK_MS)
    expect(page.locator("#play")).to_be_enabled()
    moment = page.locator(".moment").nth(1)
    page.wait_for_function("() => [...document.querySelectorAll('.moment canvas')].every((one) => one.width > 1)")
    moment.click()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("() => !document.getElementById('video').seeking")


def _stream(page: Page) -> None:
    """Open the camera and wait until somebody does something."""
    page.get_by_role("button", name="Open camera").click()
    expect(page.locator("#log")).to_contain_text("ended", timeout=WORK_MS)
    expect(page.locator("#now")).to_contain_text("squat", timeout=WORK_MS)


def _camera_flags(clip: Path, folder: Path) -> list[str]:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from footage import cut_film  # beside the tests, which are no package

    film = cut_film(clip, folder / "camera.mjpeg", start_s=5, end_s=15, side_px=640, codec="mjpeg")
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
