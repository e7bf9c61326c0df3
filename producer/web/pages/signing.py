"""The form's fields on how to sign in to accounts whose row gives no password.

Their secret is kept on the server between two steps, sealed (`drafts`): none goes back to a browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from producer.web.pages import drafts
from producer.web.web_context import WebContext
from shared.model.sides import Side
from shared.model.sign_in import Way
from shared.nouns import dataclass
from shared.store.records.principals import Principal

#: Ways that may be chosen: all but programs, which are for the command line.
CHOICES: Final = tuple(way for way in Way if way is not Way.COMMAND)
#: Ways whose secret is a file.
BY_KEY: Final = (Way.GOOGLE, Way.MICROSOFT)
#: Maximum number of bytes of such a file.
MOST_KEY: Final = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The fields of one side, as filled in."""

    #: One of `CHOICES`; "" for each row's own password.
    way: str = ""
    #: The administrator's login.
    admin: str = ""
    #: The template of a master user's login; "" for the default.
    template: str = ""
    #: The tenant of Microsoft 365.
    tenant: str = ""
    #: The id of the draft that holds its secret; "" for none.
    kept: str = ""

    @property
    def by_rows(self) -> bool:
        """Tells whether every row must give its own password or token."""
        return self.way in ("", Way.TOKEN)

    @property
    def wanted(self) -> str:
        """The way to sign in with its detail, as the command line takes it; "" for each row's own password."""
        detail = {Way.MASTER: self.template, Way.MICROSOFT: self.tenant}.get(Way(self.way or "password"), "")
        return f"{self.way}:{detail}" if self.way else ""


def entry_of(given: Mapping[str, Any], side: Side) -> Entry:
    """Reads the fields of one side from a request."""

    def text(name: str, most: int) -> str:
        found = given.get(f"{side}_{name}", "")
        return found.strip()[:most] if isinstance(found, str) else ""

    way = text("way", 20)
    return Entry(
        way=way if way in CHOICES else "",
        admin=text("admin", 1000),
        template=text("template", 200),
        tenant=text("tenant", 200),
        kept=text("kept", 40),
    )


def kept(known: WebContext, who: Principal, entry: Entry, fresh: str, *, stays: bool) -> tuple[Entry, str]:
    """Returns the fields and their secret. A new secret replaces the stored one; an emptied field deletes it.

    `stays`: an empty field means the stored password. A stored key always stays, since no browser sends a file twice.
    A stored key is not taken for a password, nor a password for a key.
    """
    kind = f"{entry.way if entry.way in BY_KEY else ''}\n"
    if (stays or entry.way in BY_KEY) and not (fresh or entry.by_rows):
        held = drafts.find(known, who, entry.kept).decode("utf-8", "surrogatepass")
        if held.startswith(kind):
            return entry, held.removeprefix(kind)
    drafts.drop(known, entry.kept)
    if entry.by_rows or not fresh:
        return replace(entry, kept=""), ""
    return replace(entry, kept=drafts.keep(known, who, (kind + fresh).encode("utf-8", "surrogatepass"))), fresh
