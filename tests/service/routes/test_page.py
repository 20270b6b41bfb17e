import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "service" / "web"
PAGES = ["index.html", "docs.html"]


@pytest.mark.parametrize(("path", "words"), [("/", "Drop a video"), ("/docs", "openapi.json")])
def test_the_pages_are_shown(client, path, words):
    reply = client.get(path)
    assert reply.headers["content-type"].startswith("text/html")
    assert words in reply.text


@pytest.mark.parametrize("page", PAGES)
def test_everything_a_page_names_is_there(client, page):
    addresses = re.findall(r'(?:src|href)="([^"]+)"', (FOLDER / page).read_text())
    assert addresses
    for address in addresses:
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.js")))
def test_scripts_are_served_as_scripts_and_import_what_is_there(client, script):
    reply = client.get(f"/web/{script}")
    assert "javascript" in reply.headers["content-type"]
    for module in re.findall(r'from "\./([^"]+)"', reply.text):
        assert (FOLDER / module).is_file()


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_is_asked_of_anybody_else_and_nothing_is_inline(path):
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=\"|\sstyle=\"|innerHTML|\beval\(", text)


def test_every_element_that_a_script_looks_for_is_on_its_page():
    ids = set(re.findall(r'\bid="([^"]+)"', (FOLDER / "index.html").read_text()))
    scripts = "".join(path.read_text() for path in FOLDER.glob("*.js") if path.name != "docs.js")
    wanted = set(re.findall(r'\b(?:find|show)\("([^"]+)"', scripts))
    assert wanted
    assert wanted <= ids
