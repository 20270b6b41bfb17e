"""What the page shows before a video, while it waits, and when something goes wrong; the engine is a fake."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.app import create_app
from service.settings import Settings

KEY = "a-key-of-this-deployment"


@pytest.fixture
def page(open_page, client) -> Iterator[Page]:
    page = open_page(client)
    yield page
    page.close()


@pytest.fixture
def film_file(video) -> dict[str, object]:
    return {"name": "film.mp4", "mimeType": "video/mp4", "buffer": video}


def test_an_empty_page_says_what_is_recognised(page):
    expect(page.locator("#service")).to_have_text("Ready")
    expect(page.locator("#known-labels")).to_contain_text("squat")
    page.get_by_text("Settings").click()
    expect(page.get_by_label("What finds poses")).to_have_value("movenet")
    expect(page.locator("#pose-about")).to_contain_text("six people")


def test_the_settings_are_sent_along(page, engine, film_file):
    page.get_by_text("Settings").click()
    page.get_by_label("How sure it must be").fill("0.35")
    page.get_by_label("People to follow at once").fill("3")
    page.set_input_files("#file", film_file)
    expect(page.locator("#review")).to_be_visible()
    assert (engine.options[0].threshold, engine.options[0].max_people) == (0.35, 3)


def test_progress_is_shown_and_a_cancelled_job_is_forgotten(page, client, engine, film_file):
    engine.gate.clear()
    page.set_input_files("#file", film_file)
    expect(page.locator("#progress")).to_contain_text("Looking for people")
    expect(page.locator("#share")).to_have_text("50 %")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Drop a video here")).to_be_visible()
    assert engine.stopped.wait(10)
    page.wait_for_function("async () => (await (await fetch('/v1/jobs')).json()).jobs.length === 0")


def test_a_broken_file_is_explained(page):
    page.set_input_files("#file", {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"shopping list\n" * 9})
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("Not a video")
    expect(problem).to_contain_text("Choose a video file")
    expect(problem).to_contain_text("Request ")


def test_a_failure_while_working_is_explained_and_can_be_tried_again(page, engine, film_file):
    engine.fault = RuntimeError("the engine broke")
    page.set_input_files("#file", film_file)
    expect(page.get_by_role("alert")).to_contain_text("fault of the service")
    engine.reset()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#review")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_lost_connection_is_said_and_can_be_tried_again(page, film_file):
    expect(page.locator("#known")).to_be_visible()
    page.context.set_offline(True)
    page.set_input_files("#file", film_file)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#review")).to_be_visible()


def test_a_job_is_followed_by_asking_where_events_do_not_get_through(page, film_file):
    page.route("**/events", lambda route: route.abort())
    page.set_input_files("#file", film_file)
    expect(page.locator("#review")).to_be_visible()


def test_a_dropped_file_is_taken(page, video):
    page.evaluate(
        """(bytes) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp4"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        list(video),
    )
    expect(page.locator("#title")).to_have_text("dropped.mp4")


def test_nobody_in_a_video_is_no_error(page, engine, film_file):
    engine.is_empty = True
    page.set_input_files("#file", film_file)
    expect(page.locator("#nobody")).to_be_visible()
    expect(page.locator("#warnings")).to_contain_text("nobody was found")


def test_without_jobs_a_video_is_answered_at_once(open_page, serve, engine, film_file):
    page = open_page(serve(create_app(Settings(max_jobs=0), engine=engine)))
    page.set_input_files("#file", film_file)
    expect(page.locator("#review")).to_be_visible()
    expect(page.get_by_role("button", name="Person 1: wave")).to_be_visible()
    expect(page.locator("#kept")).to_contain_text("kept nothing")
    expect(page.get_by_role("button", name="Annotated MP4")).to_be_hidden()
    page.close()


@pytest.fixture
def guarded(serve, engine) -> httpx.Client:
    return serve(create_app(Settings(api_keys=(KEY,)), engine=engine))


def test_a_key_is_asked_for_and_goes_with_everything(open_page, guarded, film_file):
    page = open_page(guarded)
    page.get_by_label("API key").fill("not-a-key-of-this-deployment")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_contain_text("another API key")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_label("API key")).to_be_hidden()
    page.set_input_files("#file", film_file)
    expect(page.locator("#review")).to_be_visible()
    page.reload()
    expect(page.locator("#known")).to_be_visible()
    page.close()


def test_a_service_that_is_not_ready_says_so_until_it_is(open_page, serve, make_engine):
    engine = make_engine("slow")
    engine.gate.clear()
    try:
        page = open_page(serve(create_app(Settings(), engine=engine)))
        expect(page.locator("#service")).to_contain_text("not answered yet")
    finally:
        engine.gate.set()
    expect(page.locator("#service")).to_have_text("Ready")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_only(open_page, client, scheme):
    page = open_page(client, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    expect(page.locator("#known")).to_be_visible()
    page.get_by_text("Settings").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.mark.parametrize(
    ("reason", "words"),
    [("NotAllowedError", "Allow the camera"), ("NotFoundError", "no camera"), ("NotReadableError", "busy")],
)
def test_a_camera_that_cannot_be_had_is_explained(page, reason, words):
    page.evaluate(
        """(reason) => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", reason));
        }""",
        reason,
    )
    page.get_by_role("button", name="Open camera").click()
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_text("Drop a video here")).to_be_visible()
