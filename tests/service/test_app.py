import asyncio
import subprocess
import sys

import pytest

from pipeline.errors import BrokenBundle
from service.app import create_app
from service.settings import Settings

CHECK = """
import sys
import service.app, service.serve
print([name for name in ("torch", "models", "training", "matplotlib", "mmpose") if name in sys.modules])
"""


def test_the_service_never_loads_torch():
    ended = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("path", ["/nonesuch", "/v1/nonesuch", "/web/nonesuch.js", "/web/../app.py", "/v1/models/none"])
def test_what_is_not_there_is_a_problem(client, path):
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["status"] == 404


def test_a_wrong_method_is_a_problem_that_names_the_right_one(client):
    reply = client.get("/v1/recognize")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert reply.json()["title"] == "Method Not Allowed"


def test_every_route_documents_its_problems_and_none_the_framework_s_own(client):
    described = client.get("/openapi.json").json()
    assert "/recognize" not in described["paths"]
    assert "/v1/recognize" in described["paths"]
    for operations in described["paths"].values():
        for operation in operations.values():
            problems = {status: reply for status, reply in operation["responses"].items() if status[0] != "2"}
            assert "default" in problems
            for reply in problems.values():
                assert list(reply["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_every_reference_in_the_description_leads_somewhere(client):
    described = client.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) <= known


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_the_options_are_described_with_their_ranges(client):
    operation = client.get("/openapi.json").json()["paths"]["/v1/recognize"]["post"]
    options = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert options["top_k"] | {"title": ""} == {
        "default": 5,
        "maximum": 100,
        "minimum": 1,
        "type": "integer",
        "title": "",
    }
    assert set(operation["requestBody"]["content"]) == {
        *("multipart/form-data", "application/octet-stream", "video/*", "application/json")
    }


def test_a_model_that_cannot_be_loaded_keeps_the_service_from_starting():
    def load(model, pose):
        raise BrokenBundle("altered")

    async def start():
        async with (app := create_app(Settings(), load=load)).router.lifespan_context(app):
            pass

    with pytest.raises(BrokenBundle, match="altered"):
        asyncio.run(start())


def test_two_applications_know_nothing_of_each_other(serve, engine, make_engine, video):
    clients = [serve(create_app(Settings(), engine=other)) for other in (engine, make_engine("second"))]
    headers = {"Content-Type": "video/mp4"}
    replies = [client.post("/v1/recognize", content=video, headers=headers).json() for client in clients]
    assert [reply["model"]["name"] for reply in replies] == ["everyday", "second"]


def test_a_full_queue_says_when_to_come_back(serve, engine, video):
    app = create_app(Settings(max_concurrent=1, max_queue=0), engine=engine)
    client = serve(app)
    app.state.service.queue.admit = full_after(app.state.service.queue.admit)
    reply = client.post("/v1/recognize", content=video, headers={"Content-Type": "video/mp4"})
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.json()["type"] == "urn:marey:problem:queue-full"


def full_after(admit):
    def admit_second():
        admit()
        return admit()

    return admit_second
