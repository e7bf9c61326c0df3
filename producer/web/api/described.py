"""The OpenAPI document: what FastAPI writes, made valid for version 3.1, with the problems and an example of each body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from producer.web.problem_types import PROBLEMS, uri_of
from producer.web.problems import ERRORS

#: Operation → an example of its body.
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "POST /api/v1/imports": {
        "name": "office",
        "manifest": "login,password\nanna@old.example,s3cret\n",
        "source": {"server": "imaps://imap.old.example"},
        "destination": {"server": "imaps://imap.new.example"},
    },
    "POST /api/v1/manifests": {"manifest": "login,password\nanna@old.example,s3cret\n"},
    "POST /api/v1/imports/{import_id}/rehearsals": {"kind": "check"},
    "POST /api/v1/imports/{import_id}/credentials": {"manifest": "login,password\nanna@old.example,the-new-one\n"},
    "POST /api/v1/imports/{import_id}/retry": {"login": "anna@old.example"},
    "PUT /api/v1/imports/{import_id}/window": {"window": "20:00-06:00 Europe/Berlin"},
    "PUT /api/v1/limits/{scope}": {"most": "2GB"},
    "POST /api/v1/tokens": {"name": "cron", "role": "operator", "expires": "90d"},
    "POST /api/v1/detect": {"address": "anna@old.example"},
}


def describe(app: FastAPI) -> None:
    """Has the application serve its document with these changes."""
    usual = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _mended(usual())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def _mended(document: dict[str, Any]) -> dict[str, Any]:
    document["servers"] = [{"url": "/", "description": "where this document is"}]
    document["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
    for at, operation in operations(document):
        for answer in operation["responses"].values():
            for media, content in answer.get("content", {}).items():
                if content.pop("itemSchema", None) is not None:  # a keyword of OpenAPI 3.2
                    content["schema"] = {"type": "string", "description": "Server-sent events (HTML, 9.2)."}
                if media == "application/problem+json":
                    content["schema"] = {"$ref": "#/components/schemas/Problem"}
        if at in _EXAMPLES:
            operation["requestBody"]["content"]["application/json"]["example"] = _EXAMPLES[at]
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each operation of the document with its name, as in "GET /api/v1/imports"."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "put", "delete", "patch"):
                yield f"{method.upper()} {path}", operation


_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457). `type` is stable: programs compare it, and people read `detail`.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "enum": [uri_of(name) for name in PROBLEMS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": ERRORS,
    },
    "example": {
        "type": uri_of("not-found"),
        "title": "Not Found",
        "status": 404,
        "detail": "there is no import with this id",
    },
}
