"""docs/api.md against the code: every error, option and route that it names is real, and none is missing."""

import json
import re
from pathlib import Path

from service.errors import KINDS
from service.requests import RecognizeOptions
from service.schemas import Answer

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_error_is_in_the_table_with_its_status():
    rows = {(int(status), slug) for status, slug in re.findall(r"^\| (\d{3}) \| `([a-z-]+)`", PAGE, re.MULTILINE)}
    assert rows == {(kind.status, kind.slug) for kind in KINDS.values()}


def test_every_option_is_in_the_table():
    section = PAGE.split("### Options")[1].split("###")[0]
    assert re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE) == list(RecognizeOptions.model_fields)


def test_the_answer_shown_is_one():
    answers = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"tracks"' in block]
    for answer in answers:
        assert Answer.model_validate(answer).model_dump(mode="json") == answer


def test_every_route_is_named(client):
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"{path}`" in PAGE
