"""What the framework cannot see by itself for the API's description: problems, and bodies that are read by hand."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.errors import KINDS, PROBLEM_JSON, Problem
from service.requests import RecognizeOptions, Skeletons
from service.uploads import BYTES, FORM, JSON

Description = dict[str, Any]


class DescribedAPI(FastAPI):
    """An application whose description holds the problem that every route may answer with."""

    def openapi(self) -> Description:
        """Return the description."""
        described = super().openapi()
        _, shared = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
        described["components"]["schemas"] |= shared["$defs"]
        return described


def problems(*statuses: int) -> dict[int | str, Description]:
    """Describe a route's problems by status, with what each may stand for."""
    content = {PROBLEM_JSON: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    described: dict[int | str, Description] = {
        status: {"description": _titles(status), "content": content} for status in statuses
    }
    return {**described, "default": {"description": "Any other problem.", "content": content}}


def option_parameters() -> list[Description]:
    """Describe the options as parameters of the address."""
    properties = RecognizeOptions.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
        for name, schema in properties.items()
    ]


def video_body() -> Description:
    """Describe the two bodies that hold a video."""
    video = {"type": "string", "format": "binary"}
    return {
        "required": True,
        "content": {
            FORM: {
                "schema": _thing(file=video, options=RecognizeOptions.model_json_schema(), required=("file",)),
                "encoding": {"options": {"contentType": JSON}},
            },
            BYTES: {"schema": video},
            "video/*": {"schema": video},
        },
    }


def recognize_body() -> Description:
    """Describe the three bodies of a recognition: those with a video, and skeletons."""
    skeletons, options = Skeletons.model_json_schema(), RecognizeOptions.model_json_schema()
    body = video_body()
    body["content"][JSON] = {"schema": _thing(skeletons=skeletons, options=options, required=("skeletons",))}
    return body


def _thing(*, required: Sequence[str], **properties: Description) -> Description:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _titles(status: int) -> str:
    return "; ".join(dict.fromkeys(kind.title for kind in KINDS.values() if kind.status == status))
