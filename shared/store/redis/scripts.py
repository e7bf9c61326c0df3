"""Loads the Lua scripts from `lua/`: one file for each script, which opens with its signature.

Before each script's text come the definitions that it uses, directly or through others: the key prefix, the state tables of
`shared.model.lifecycle` as Lua literals, and the definitions of the files that begin with an underscore (`SHARED`). A server
runs all of a script's text at each call, so definitions that no line uses would cost more than many a script itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from shared.model import lifecycle
from shared.model.search import TROUBLE_OF
from shared.store.redis.keys import PREFIX

NAMES = (
    "open",
    "submit",
    "sweep",
    "decide",
    "claim",
    "attend",
    "progress",
    "finish",
    "release",
    "split",
    "leave",
    "plan_folder",
    "audit",
    "compared",
    "note_left_out",
    "control",
    "retry",
    "accept",
    "seal",
    "find",
    "rank",
    "gather",
    "set_flags",
    "lead",
    "reap",
    "overview",
    "recheck",
    "account_turn",
    "account_hold",
    "account",
    "bury",
    "stranded",
    "maildrop",
    "maildrop_said",
    "share",
    "stand",
    "login_turn",
    "login_told",
    "forgive",
    "token",
    "keep_token",
    "hold",
    "restarted",
    "hours",
    "waits",
    "behind",
    "close",
    "archive",
    "erase",
    "forget",
    "reseal",
    "wave",
    "move",
    "moving",
    "standing",
    "looked",
    "note_unplanned",
    "cutover",
    "mark",
    "deleted_too",
    "mixed",
    "tell",
    "spread",
    "take_delivery",
    "settle_delivery",
    "keep_forecast",
    "in_doubt",
    "widen",
    "writing",
    "lanes",
    "steer",
)

#: The files of definitions that scripts share, in the order in which they stand before a script.
SHARED: Final = (
    "_common",
    "_queues",
    "_units",
    "_looks",
    "_mailboxes",
    "_sweeps",
    "_folders",
    "_leases",
    "_ledger",
    "_logins",
    "_rates",
    "_lanes",
    "_notices",
    "_finding",
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
#: The beginning of a definition: of a function, or of one or several values.
_DEFINED: Final = re.compile(r"local (?:function )?(\w+(?:, \w+)*)")


@dataclass(frozen=True, slots=True)
class _Definition:
    """A definition that scripts share: the names that it gives, its text, and every word in that."""

    #: The names that it defines.
    names: frozenset[str]
    #: The Lua text, without comments before it.
    text: str
    #: All words of the text, which hold the names that it uses.
    words: frozenset[str]


def _literal(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f'["{key}"]={_literal(inner)}' for key, inner in value.items()) + "}"
    return f'"{value}"'


def _definitions(text: str) -> Iterator[_Definition]:
    """Cuts a file of definitions: each begins at the left margin with `local`, and ends before the next or a comment there."""
    lines: list[str] = []
    for line in [*text.splitlines(), "--"]:
        if line.startswith(("local ", "--")):
            if lines:
                whole = "\n".join(lines).rstrip() + "\n"
                found = _DEFINED.match(whole)
                assert found is not None, "only definitions stand there"
                yield _Definition(frozenset(found[1].split(", ")), whole, frozenset(_WORD.findall(whole)))
            lines = []
        if not line.startswith("--") and (line or lines):
            lines.append(line)


def _needed(shared: list[_Definition], text: str) -> str:
    """Returns the definitions that `text` uses, directly or through others, in their order.

    A definition whose name stands in a text in another sense (in words, as a field) is taken too, which does no harm.
    """
    words, taken = set(_WORD.findall(text)), []
    for one in reversed(shared):  # a definition uses only what stands before it
        if one.names & words:
            words |= one.words
            taken.append(one.text)
    return "".join(reversed(taken))


@cache
def sources() -> Mapping[str, str]:
    """Returns each script's name → its whole text."""
    folder = resources.files("shared.store") / "lua"
    head = f'local P = "{PREFIX}"\nlocal MACHINES = {_literal(lifecycle.MACHINES)}\n'
    head += f"local TROUBLE_OF = {_literal(TROUBLE_OF)}\n"
    files = [head, *((folder / f"{name}.lua").read_text() for name in SHARED)]
    shared = [one for text in files for one in _definitions(text)]
    own = {name: (folder / f"{name}.lua").read_text() for name in NAMES}
    return {name: _needed(shared, text) + text for name, text in own.items()}
