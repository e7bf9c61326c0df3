"""The result of an act on the page, shown once by the page that follows.

In between, it is a cookie of the browser that holds only names and numbers. Anything else in the cookie is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from producer.web.pages.sign_in_page import is_secure
from shared.nouns import dataclass

_COOKIE: Final = "changed"
#: The field of a request's scope that holds something where an act may not be on the store's disk (`producer.web.unsure`).
UNSURE: Final = "mailhaul.unsure"
#: Seconds until the cookie expires.
_KEPT_SECONDS: Final = 60
#: Act → its word where what is wanted changed, and no mailbox was under way.
AT_REST: Final = {"pause": "pause_at_rest", "resume": "resume_at_rest", "cancel": "cancel_at_rest"}
#: Acts on the page; their sentences are in `changed.html`.
ACTS: Final = (
    "start",
    "pause",
    "resume",
    "cancel",
    *AT_REST.values(),
    "retry",
    "verify",
    "window",
    "passwords",
    "add",
    "wave",
    "move",
    "cutover",
    "standing",
    "forget",
    "archive",
    "unarchive",
    "edit",
    "none",
)
#: Maximum number of rows that are named.
MOST_ROWS: Final = 20
_DIGITS: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """The result of an act."""

    #: One of `ACTS`.
    act: str
    #: Mailboxes that it changed; for "passwords", those that got a new one.
    mailboxes: int = 0
    #: For "retry": messages that were refused or failed, and are tried again.
    messages: int = 0
    #: For "passwords": mailboxes that waited for it and are queued again.
    queued: int = 0
    #: For "passwords": sides for which all mailboxes have a new one.
    shared: int = 0
    #: For "passwords": rows that fit no mailbox.
    strange: int = 0
    #: Whether the disk of the state store may not have it.
    unsure: bool = False
    #: The first of these rows, numbered as in the list that was given.
    rows: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The value of the cookie. `read` is the inverse."""
        numbers = (self.mailboxes, self.messages, self.queued, self.shared, self.strange, int(self.unsure))
        return ".".join((self.act, *map(str, (*numbers, *self.rows[:MOST_ROWS]))))


def steered(act: str, *answers: Mapping[str, Any]) -> Changed:
    """Returns the result of a pause, a resumption or a cancellation of as many things as the API answered for."""
    mailboxes = sum(answer["mailboxes"] for answer in answers)
    at_rest = not mailboxes and any(answer["changed"] for answer in answers)
    return Changed(act=AT_REST[act] if at_rest else act, mailboxes=mailboxes)


def read(text: str) -> Changed | None:
    """Reads the cookie; None for a text that `Changed.text` does not write."""
    act, *numbers = text.split(".")
    whole = all(one.isascii() and one.isdecimal() and len(one) <= _DIGITS for one in numbers)
    if act not in ACTS or not whole or not 6 <= len(numbers) <= 6 + MOST_ROWS:
        return None
    mailboxes, messages, queued, shared, strange, unsure, *rows = map(int, numbers)
    return Changed(
        act=act,
        mailboxes=mailboxes,
        messages=messages,
        queued=queued,
        shared=shared,
        strange=strange,
        unsure=bool(unsure),
        rows=tuple(rows),
    )


def back(request: Request, to: str, import_id: str, changed: Changed) -> Response:
    """Redirects to the page that shows the change, with the cookie."""
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        _COOKIE,
        replace(changed, unsure=bool(request.scope.get(UNSURE))).text,
        max_age=_KEPT_SECONDS,
        path=f"/imports/{import_id}",
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return answer


def changed_by(request: Request) -> Changed | None:
    """Returns the result of the act before this page; None if there was none."""
    return read(request.cookies.get(_COOKIE, ""))


def told(answer: Response, import_id: str) -> Response:
    """Deletes the cookie in the answer, so that the result is shown only once."""
    answer.delete_cookie(_COOKIE, path=f"/imports/{import_id}")
    return answer
