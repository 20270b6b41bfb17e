"""The camera on the page: a real clip as the camera's picture, recognised live by a real service."""

from collections.abc import Iterator

import pytest
from footage import cut_film
from playwright.sync_api import Browser, Page, expect

ACTION_MS = 45_000


@pytest.fixture(scope="module")
def camera(launch, shared, tmp_path_factory) -> Iterator[Browser]:
    """A browser whose camera shows a real squat, over and over."""
    film = cut_film(
        shared / "videos" / "web_squat_rohan.mp4",
        tmp_path_factory.mktemp("camera") / "squat.mjpeg",
        start_s=7,
        end_s=12.5,
        side_px=480,
        codec="mjpeg",
    )
    browser = launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(open_page, service, camera) -> Iterator[Page]:
    page = open_page(service, within=camera)
    page.get_by_role("button", name="Open camera").click()
    yield page
    page.close()


def test_what_somebody_does_is_seen_live(page):
    expect(page.locator("#now")).to_contain_text("squat", timeout=ACTION_MS)
    expect(page.locator("#live-lanes .segment", has_text="squat").first).to_be_visible()
    expect(page.locator("#log")).to_contain_text("started squat")


def test_people_are_drawn_over_the_picture_and_figures_say_how_well_it_keeps_up(page):
    page.wait_for_function(
        """() => {
            const canvas = document.getElementById("camera-overlay");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.some((part) => part > 0);
        }"""
    )
    expect(page.locator("#live-state")).to_have_text("Live")
    page.wait_for_function("() => parseFloat(document.getElementById('rate').textContent) > 0")
    page.wait_for_function("() => parseFloat(document.getElementById('lag').textContent) > 0")


def test_a_phone_scrolls_in_one_direction_only(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_stop_ends_it_and_lets_the_camera_go(page):
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Drop a video here")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    assert page.evaluate("document.getElementById('camera').srcObject") is None


def test_a_stream_that_the_service_ends_is_explained_and_can_be_opened_again(page):
    page.locator("summary").click()
    page.locator("#max_people").fill("500")
    page.get_by_role("button", name="Open camera").click()
    expect(page.get_by_role("alert")).to_contain_text("max_people")
    page.locator("#max_people").fill("")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#live-state")).to_have_text("Live")
