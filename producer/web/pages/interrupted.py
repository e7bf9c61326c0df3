"""Forms that were sent after the session had ended: kept for an hour, sealed, for whoever was signed in at this browser.

A cookie says who that was; its text is sealed, so nobody can make one up. Whoever signs in again as the same person is
led back to the form, or asked whether to send it now.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import asdict
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Message, Receive

from producer.web.web_context import WebContext
from shared.content.json_text import read_json
from shared.model.errors import CredentialsError, StoreError
from shared.nouns import dataclass
from shared.runtime.credentials import Credentials
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal

#: The cookie that says who was signed in at this browser last, before its prefix (`sign_in_page.was`), and for how many
#: seconds it is kept.
COOKIE: Final = "was"
COOKIE_SECONDS: Final = 7 * 86_400
_SECONDS: Final = 3600
#: The largest form that is kept, in octets; no larger one is read of a stranger (`producer.web.gate`).
MOST_OCTETS: Final = 65_536
_MOST: Final = 5
_PLACE: Final = "browser"
#: Forms of the administration, which are not kept: somebody else may have sent them at this browser. The group is the page
#: that has the form.
_FOR_ALL: Final = re.compile(r"(/admin(?:/(?:accounts|erase|limits|reach)(?![^/]))?|/targets)(?:/.*)?")
_FORM: Final = "application/x-www-form-urlencoded"
#: The fields that are shown before a form is sent. No other is, for it may hold a secret.
_SHOWN: Final = (
    *(
        "accept_missing",
        "act",
        "code",
        "copy_missing",
        "front",
        "kind",
        "least",
        "login",
        "most",
        "name",
        "off",
        "order",
    ),
    *("starts_at", "switch_at", "wave", "weight", "window"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SentForm:
    """A form as the browser sent it."""

    #: The path that it was sent to.
    path: str
    #: The header Content-Type.
    kind: str
    #: The body, as base64.
    body: str
    #: The time at which it was sent, in seconds since the epoch.
    at: float = 0.0

    def fields(self) -> list[tuple[str, str]]:
        """Returns the (name, text) pairs that are filled in and hold no secret."""
        return [(name, value[:200]) for name, value in self._pairs() if name in _SHOWN]

    def field(self, name: str) -> str:
        """Returns the text of a field; "" for none."""
        return dict(self._pairs()).get(name, "")

    def _pairs(self) -> list[tuple[str, str]]:
        text = base64.b64decode(self.body).decode("utf-8", "replace") if self.kind.startswith(_FORM) else ""
        return parse_qsl(text)


def empty(path: str) -> str:
    """Returns the page with the empty form, of a form that is not kept; "" for one that is."""
    found = _FOR_ALL.fullmatch(path)
    return found[1] if found else ""


def named(known: WebContext, who: Principal) -> str:
    """Returns the text of the cookie."""
    held = Credentials(login=who.principal_id, password=Secret(secrets.token_hex(4)))
    return base64.urlsafe_b64encode(known.vault.seal(_PLACE, "source", held)).decode()


def keep(known: WebContext, request: Request, body: bytes | None, was: str) -> str:
    """Keeps what was sent for the person whom `was`, the cookie's text, names.

    Returns its id; "" where nobody is named, or it is large (None).
    """
    owner = _owner(known, was)
    if not owner or body is None or len(body) > MOST_OCTETS:
        return ""
    form = SentForm(
        path=request.url.path,
        kind=request.headers.get("content-type", ""),
        body=base64.b64encode(body).decode(),
        at=time.time(),
    )
    form_id = secrets.token_hex(12)
    held = Credentials(login=owner, password=Secret(json.dumps(asdict(form))))
    try:
        known.page_state.keep_draft(form_id, known.vault.seal(form_id, "source", held), _SECONDS)
        for old in known.page_state.note_form("sent:" + owner, form_id, time.time(), _MOST, _SECONDS):
            known.page_state.drop_draft(old)
    except StoreError:
        return ""
    return form_id


def find(known: WebContext, who: Principal, form_id: str) -> SentForm | None:
    """Returns a form that this person sent; None where it is over, or somebody else's."""
    sealed = known.page_state.draft(form_id)
    try:
        held = None if sealed is None else known.vault.open(form_id, "source", sealed)
        return SentForm(**read_json(held.password.reveal())) if held and held.login == who.principal_id else None
    except (CredentialsError, ValueError, TypeError):
        return None


def take(known: WebContext, who: Principal, form_id: str) -> SentForm | None:
    """Returns a form that this person sent, and forgets it: of two clicks, one gets it."""
    form = find(known, who, form_id)
    return form if form and known.page_state.take_draft(form_id) is not None else None


async def sent_again(request: Request, form: SentForm, path: str = "") -> Response:
    """Sends the form, to another path if one is given, as the person who asks now. Returns the answer."""
    body, there = base64.b64decode(form.body), path or form.path
    kept = {b"content-type", b"content-length", b"transfer-encoding", b"hx-request"}
    headers = [(name, value) for name, value in request.scope["headers"] if name.lower() not in kept]
    headers += [(b"content-type", form.kind.encode("latin-1")), (b"content-length", str(len(body)).encode())]
    bare = {
        name: request.scope[name]
        for name in ("type", "asgi", "http_version", "scheme", "server", "client", "app", "state", "root_path")
        if name in request.scope
    }
    bare |= {
        name: value for name, value in request.scope.items() if name.startswith(("starlette.", "fastapi_middleware"))
    }
    scope = {
        **bare,
        "method": "POST",
        "path": there,
        "raw_path": there.encode(),
        "query_string": b"",
        "headers": headers,
    }
    said: list[Message] = []

    async def tell(message: Message) -> None:
        said.append(message)

    await request.app.router(scope, _once(body), tell)
    start = next(one for one in said if one["type"] == "http.response.start")
    content = b"".join(one.get("body", b"") for one in said if one["type"] == "http.response.body")
    answer = Response(content, start["status"])
    answer.raw_headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
    answer.raw_headers.append((b"content-length", str(len(content)).encode()))
    return answer


def _once(body: bytes) -> Receive:
    left = [body]

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop() if left else b"", "more_body": False}

    return receive


def _owner(known: WebContext, text: str) -> str:
    try:
        return known.vault.open(_PLACE, "source", base64.urlsafe_b64decode(text)).login if text else ""
    except (CredentialsError, binascii.Error, ValueError):
        return ""
