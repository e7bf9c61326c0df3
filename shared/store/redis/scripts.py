"""Loads the Lua scripts from `lua/`: one file for each script, which opens with its signature.

Before each script's text come the key prefix, the state tables of `shared.model.lifecycle` as Lua literals, and
`_common.lua`; before those that know of rates also `_rates.lua`, and before those of notices `_notices.lua`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from shared.model import lifecycle
from shared.store.redis.keys import PREFIX

NAMES = (
    "open",
    "submit",
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
    "hours",
    "waits",
    "close",
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
)

#: The scripts that charge rates, or ask what is owed.
WITH_RATES = frozenset({"claim", "progress"})
#: The scripts that put notices into the outbox, or take them from there.
WITH_NOTICES = frozenset({"tell", "spread", "take_delivery", "settle_delivery"})


def _literal(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f'["{key}"]={_literal(inner)}' for key, inner in value.items()) + "}"
    return f'"{value}"'


def sources() -> dict[str, str]:
    """Returns each script's name → its whole text."""
    folder = resources.files("shared.store") / "lua"
    common, rates, notices = ((folder / f"_{name}.lua").read_text() for name in ("common", "rates", "notices"))
    head = f'local P = "{PREFIX}"\nlocal MACHINES = {_literal(lifecycle.MACHINES)}\n'
    return {
        name: "".join(
            (
                head,
                common,
                rates if name in WITH_RATES else "",
                notices if name in WITH_NOTICES else "",
                (folder / f"{name}.lua").read_text(),
            )
        )
        for name in NAMES
    }
