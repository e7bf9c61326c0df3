"""Idempotent creation (`Idempotency-Key`): a repeated request gets the first answer, and nothing is done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel, SecretStr

from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.store.records.principals import Principal

Key = Annotated[
    str,
    Header(alias="Idempotency-Key", max_length=200, description="The same key again gets the same answer for a day."),
]


def once(
    known: WebContext, who: Principal, key: str, what: str, body: BaseModel, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Returns `make`'s answer, or the stored answer if the same request came before. Raises `Refused`."""
    if not key:
        return make()
    # The key is hashed with the principal, since clients choose it. The body is kept as a digest, since it holds
    # passwords.
    place = hashlib.sha256(f"{who.principal_id}\0{what}\0{key}".encode()).hexdigest()
    whole = json.dumps(body.model_dump(), default=SecretStr.get_secret_value)  # another secret makes it another request
    digest = hashlib.sha256(f"{place}\0{whole}".encode("utf-8", "surrogatepass")).hexdigest()
    before = known.records.begin(place, digest)
    if before is None:
        try:
            answer = make()
        except BaseException:
            known.records.drop(place)
            raise
        known.records.answer(place, digest, answer)
        return answer
    if before["digest"] != digest:
        raise Refused(422, "this Idempotency-Key was used for another request")
    if "answer" not in before:
        raise Refused(409, "the same request is being worked on")
    found: dict[str, Any] = before["answer"]
    return found
