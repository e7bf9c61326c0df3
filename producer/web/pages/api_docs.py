"""The page that shows the API: its operations with their fields, and the kinds of problems. Nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from producer.web.api.described import operations
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Who
from producer.web.problem_types import PROBLEMS, uri_of

routes = page_routes()


@routes.get("/api/v1/docs")
def docs(request: Request, who: Who) -> Response:
    """Shows the OpenAPI document for people."""
    document = request.app.openapi()
    tags: dict[str, list[dict[str, Any]]] = {}
    for at, operation in operations(document):
        shown = {
            "at": at.replace("/api/v1", "", 1),
            "anchor": operation["operationId"],
            "says": operation.get("description", ""),
            "fields": [*_parameters(operation), *_fields(document, operation)],
            "example": _example(operation),
        }
        tags.setdefault((operation.get("tags") or ["other"])[0], []).append(shown)
    return draw(
        request,
        "api_docs.html",
        who,
        base=str(request.base_url).rstrip("/"),
        tags=tags,
        problems=[(uri_of(name), text) for name, text in PROBLEMS.items()],
    )


def _parameters(operation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the parameters of the path, the query and the head."""
    return [
        {"where": one["in"], "name": one["name"], "kind": _kind(one["schema"]), "says": one.get("description", "")}
        for one in operation.get("parameters", ())
    ]


def _fields(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the fields of the body."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return [
        {"where": "body", "name": name, "kind": _kind(field), "says": field.get("description", "")}
        for name, field in schema.get("properties", {}).items()
    ]


def _kind(schema: Mapping[str, Any]) -> str:
    """Returns the type of a value, as short as it can be said."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    return str(schema.get("type", "any"))


def _example(operation: Mapping[str, Any]) -> str:
    example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    return json.dumps(example, ensure_ascii=False, indent=2) if example else ""
