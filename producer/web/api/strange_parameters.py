"""The check that a request has no query parameter that its operation does not know: a misspelt filter is no filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Request

from producer.web.problems import Refused


def no_strange_parameters(request: Request) -> None:
    """Raises `Refused` (422) that names the parameters that the operation does not have."""
    known = set(_known(request.scope["route"].dependant))
    if strange := sorted(set(request.query_params) - known):
        errors = [
            {"where": f"query.{name[:100]}", "what": "is no parameter of this operation"} for name in strange[:20]
        ]
        some = ", ".join(sorted(known)) or "none"
        raise Refused(
            422,
            f"there is no query parameter {strange[0][:100]!r}; this operation has {some}",
            code="unknown-parameter",
            errors=errors,
        )


def _known(dependant: Any) -> Iterator[str]:
    """Yields the names of the query parameters of an operation, and of what it depends on."""
    for field in dependant.query_params:
        yield field.alias
    for one in dependant.dependencies:
        yield from _known(one)
