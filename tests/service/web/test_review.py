"""A real video on the page: sent, recognised, looked through, taken away."""

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from footage import cut_film
from playwright.sync_api import Page, expect

WORK_MS = 60_000
DENSITY = 1.5  # not a whole number, so that rounding shows
MARGIN_S = 0.3
# The relative luminance (WCAG 2.2) of an element's words and of what they stand on.
SHADES = """(element) => {
    const pen = document.createElement("canvas").getContext("2d");
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data].map((part) => linear(part / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const { color } = getComputedStyle(element);
    let under = element;
    while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
    return [luminance(color), luminance(getComputedStyle(under).backgroundColor)];
}"""


@pytest.fixture(scope="module")
def page(open_page, service, squat) -> Iterator[Page]:
    """The page with a recognised video."""
    page = open_page(service, device_scale_factor=DENSITY, accept_downloads=True)
    page.set_input_files("#file", squat)
    expect(page.locator("#review")).to_be_visible(timeout=WORK_MS)
    expect(page.locator("#play")).to_be_enabled()
    yield page
    page.close()


@pytest.fixture(scope="module")
def answer(page: Page, service: httpx.Client) -> dict:
    """What the service keeps of it."""
    (job,) = service.get("/v1/jobs").json()["jobs"]
    return service.get(f"/v1/jobs/{job['job_id']}").json()["result"]


def time_of(page: Page) -> float:
    return page.evaluate("document.getElementById('video').currentTime")


def expect_time(page: Page, time_s: float, margin_s: float = MARGIN_S) -> None:
    page.wait_for_function(
        """([at, margin]) => {
            const video = document.getElementById("video");
            return !video.seeking && Math.abs(video.currentTime - at) < margin;
        }""",
        arg=[time_s, margin_s],
    )


def test_everybody_has_a_lane_and_the_squat_is_in_it(page, answer):
    expect(page.locator("#lanes .row")).to_have_count(len(answer["tracks"]))
    expect(page.get_by_role("button", name="Person 1: squat")).to_be_visible()
    expect(page.locator("#unplayable")).to_be_hidden()
    expect(page.locator("#kept")).to_contain_text("until")


def test_a_click_on_a_segment_seeks_there_and_explains_it(page, answer):
    segment = answer["tracks"][0]["segments"][0]
    page.get_by_role("button", name="Person 1: squat").click()
    expect_time(page, segment["start_s"])
    expect(page.locator("#segment")).to_contain_text(f"{math.floor(100 * segment['score'] + 0.5)} %")
    for joint in segment["explanation"]["key_joints"]:
        expect(page.locator("#segment")).to_contain_text(joint.replace("_", " "))


def test_key_moments_are_pictures_of_the_video_and_seek(page, answer):
    page.get_by_role("button", name="Person 1: squat").click()
    moments = answer["tracks"][0]["segments"][0]["explanation"]["key_frames_s"]
    pictures = page.locator("#segment .moment canvas")
    expect(pictures).to_have_count(len(moments))
    page.wait_for_function("() => [...document.querySelectorAll('.moment canvas')].every((one) => one.width > 1)")
    assert pictures.last.evaluate(
        "(one) => new Set(one.getContext('2d').getImageData(0, 0, one.width, one.height).data).size > 100"
    )
    page.locator("#segment .moment").last.click()
    expect_time(page, moments[-1])


# The left, top, right and bottom edge of what is painted on a canvas, in the page's px.
PAINTED = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const edges = [Infinity, Infinity, 0, 0];
    for (let place = 0; place < canvas.width * canvas.height; place += 1) {
        if (!data[4 * place + 3]) continue;
        const [x, y] = [place % canvas.width, Math.floor(place / canvas.width)];
        edges.splice(0, 4, Math.min(edges[0], x), Math.min(edges[1], y), Math.max(edges[2], x), Math.max(edges[3], y));
    }
    return edges.map((edge) => (edge * canvas.clientWidth) / canvas.width);
}"""


# Go to a time and wait until the page has heard of it: `seeking` ends before anybody is told.
SEEK = """(video, at) => new Promise((done) => {
    video.addEventListener("seeked", () => requestAnimationFrame(() => requestAnimationFrame(done)), { once: true });
    video.currentTime = at;
})"""


def joints_at(answer: dict, time_s: float) -> list[tuple[float, float]]:
    """Return everybody's joints at a sample's time; he has a mirror behind him, and may be found in it too."""
    points = []
    for keypoints in (track["keypoints"] for track in answer["tracks"]):
        nearest = min(range(len(keypoints["times_s"])), key=lambda place: abs(keypoints["times_s"][place] - time_s))
        if abs(keypoints["times_s"][nearest] - time_s) <= 0.1:
            points += [(x, y) for x, y, score in keypoints["points"][nearest] if score >= 0.2]
    return points


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_skeleton_lies_where_the_video_shows_the_person(page, answer, share):
    """What is painted ends where the outermost joints are, letterboxed, but for a joint's own radius."""
    times_s = answer["tracks"][0]["keypoints"]["times_s"]
    time_s = times_s[round(share * len(times_s))]
    page.locator("#labels").uncheck()
    page.locator("#video").evaluate(SEEK, time_s + 0.004)
    painted = page.locator("#overlay").evaluate(PAINTED)
    page.locator("#labels").check()
    stage, (width, height) = (
        page.locator("#stage").bounding_box(),
        (answer["video"]["width"], answer["video"]["height"]),
    )
    scale = min(stage["width"] / width, stage["height"] / height)
    left, top = (stage["width"] - width * scale) / 2, (stage["height"] - height * scale) / 2
    seen = [(left + x * scale, top + y * scale) for x, y in joints_at(answer, time_s)]
    (first_x, last_x), (first_y, last_y) = [(min(axis), max(axis)) for axis in zip(*seen, strict=True)]
    assert painted == pytest.approx([first_x, first_y, last_x, last_y], abs=8)
    assert left > 100  # or this would show nothing of the letterboxing


def test_the_keyboard_does_it_all(page, answer):
    start_s = answer["tracks"][0]["segments"][0]["start_s"]
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("Home")
    expect_time(page, 0)
    page.keyboard.press("n")
    expect_time(page, start_s)
    expect(page.get_by_role("button", name="Person 1: squat")).to_be_focused()
    expect(page.get_by_role("button", name="Person 1: squat")).to_have_attribute("aria-pressed", "true")
    before_s = time_of(page)
    page.keyboard.press("ArrowRight")
    expect_time(page, before_s + 1 / answer["video"]["fps"], 0.03)
    page.keyboard.press("Shift+ArrowRight")
    expect_time(page, before_s + 1.03, 0.05)
    page.keyboard.press("k")
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press("k")
    expect(page.locator("#play")).to_have_text("Play")
    page.keyboard.press("p")
    expect_time(page, start_s)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_ruler_and_the_lanes_seek(page, answer):
    page.locator("#seek").fill("3")
    expect_time(page, 3)
    lane = page.locator("#lanes .lane").first
    box = lane.bounding_box()
    lane.click(position={"x": box["width"] * 0.95, "y": box["height"] / 2})
    expect_time(page, 0.95 * answer["video"]["duration_s"])


def test_a_phone_scrolls_in_one_direction_only(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1200, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_readable_in_light_and_dark(page, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    words = ["#summary", "#kept", "#play", "#lanes .name small", ".segment", "#title"]
    shades = [page.locator(one).first.evaluate(SHADES) for one in words]
    assert min((max(pair) + 0.05) / (min(pair) + 0.05) for pair in shades) >= 4.5
    _, ground = page.locator("body").evaluate(SHADES)
    assert ground < 0.05 if scheme == "dark" else ground > 0.9


def test_the_answer_can_be_taken_away_as_json_table_and_video(page, answer, service):
    assert json.loads(download(page, "JSON").read_text()) == answer
    (job,) = service.get("/v1/jobs").json()["jobs"]
    table = service.get(f"/v1/jobs/{job['job_id']}/segments.csv").text
    assert rows(download(page, "CSV").read_text()) == rows(table)
    film = download(page, "Annotated MP4").read_bytes()
    assert b"ftyp" in film[:16]


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def download(page: Page, name: str) -> Path:
    with page.expect_download(timeout=WORK_MS) as started:
        page.get_by_role("button", name=name, exact=True).click()
    return started.value.path()


def test_a_video_that_the_browser_cannot_play_is_shown_as_a_copy(page, service, shared, tmp_path):
    """It is the other video, too: what was kept of the first is forgotten."""
    (first,) = service.get("/v1/jobs").json()["jobs"]
    clip = shared / "videos" / "web_squat_rohan.mp4"
    page.set_input_files("#another", cut_film(clip, tmp_path / "old.avi", start_s=8, end_s=11, codec="mpeg4"))
    expect(page.locator("#unplayable")).to_be_visible(timeout=WORK_MS)
    expect(page.locator("#play")).to_be_disabled()
    page.get_by_role("button", name="Make a playable copy").click()
    expect(page.locator("#unplayable")).to_be_hidden(timeout=WORK_MS)
    page.locator("#seek").fill("1.5")
    expect_time(page, 1.5)
    assert service.get(f"/v1/jobs/{first['job_id']}").status_code == 404


def test_remove_has_the_service_forget_it(page, service):
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Drop a video here")).to_be_visible()
    page.wait_for_function("async () => (await (await fetch('/v1/jobs')).json()).jobs.length === 0")
