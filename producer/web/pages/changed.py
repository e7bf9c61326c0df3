"""What an act on the page changed, told once by the page that comes after it. In between it is a cookie of the browser: names
and numbers only, and what is none of these is not believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from producer.web.pages.entering import is_secure

_COOKIE: Final = "changed"
#: Seconds in which the page that follows is asked for.
_KEPT_SECONDS: Final = 60
#: What a person can do; the sentences are in `changed.html`.
ACTS: Final = (
    "start", "pause", "resume", "cancel", "retry", "verify", "window", "passwords", "add",
)  # fmt: skip
#: Rows that are named.
MOST_ROWS: Final = 20
_DIGITS: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """What an act changed."""

    #: One of `ACTS`.
    act: str
    #: Mailboxes that it changed; of "passwords", those that got a new one.
    mailboxes: int = 0
    #: Of "retry": messages that were refused or failed, and are tried again.
    messages: int = 0
    #: Of "passwords": mailboxes that waited for it and are queued again.
    queued: int = 0
    #: Of "passwords": sides for which all mailboxes have a new one.
    shared: int = 0
    #: Of "passwords": rows that fit no mailbox.
    strange: int = 0
    #: The first of these, as they are numbered in what was given.
    rows: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """For the cookie; `read` is its inverse."""
        numbers = (self.mailboxes, self.messages, self.queued, self.shared, self.strange, *self.rows[:MOST_ROWS])
        return ".".join((self.act, *map(str, numbers)))


def read(text: str) -> Changed | None:
    """None for what `Changed.text` does not write."""
    act, *numbers = text.split(".")
    whole = all(one.isascii() and one.isdecimal() and len(one) <= _DIGITS for one in numbers)
    if act not in ACTS or not whole or not 5 <= len(numbers) <= 5 + MOST_ROWS:
        return None
    mailboxes, messages, queued, shared, strange, *rows = map(int, numbers)
    return Changed(
        act=act, mailboxes=mailboxes, messages=messages, queued=queued, shared=shared, strange=strange, rows=tuple(rows)
    )  # fmt: skip


def back(request: Request, to: str, import_id: str, changed: Changed) -> Response:
    """To the page on which the change is seen and told."""
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        _COOKIE, changed.text, max_age=_KEPT_SECONDS, path=f"/imports/{import_id}", httponly=True, samesite="lax",
        secure=is_secure(request),
    )  # fmt: skip
    return answer


def changed_by(request: Request) -> Changed | None:
    """What the act before this page changed; None where there was none."""
    return read(request.cookies.get(_COOKIE, ""))


def told(answer: Response, import_id: str) -> Response:
    """The answer, after which it is not told again."""
    answer.delete_cookie(_COOKIE, path=f"/imports/{import_id}")
    return answer
