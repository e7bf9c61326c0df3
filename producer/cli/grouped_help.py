"""The command's own help: commands in groups, in the order in which an operator needs them, each with its whole summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from typer.core import TyperGroup

#: Heading → commands. A test holds that every command stands in exactly one group.
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Prepare": ("template", "providers", "detect", "doctor", "demo", "check", "plan"),
    "Move": ("import", "verify", "retry", "credentials"),
    "Look": ("list", "status", "watch", "errors", "report", "spool", "audit"),
    "Steer": ("pause", "resume", "cancel", "limits", "window"),
    "Finish": ("forget", "close", "keys"),
    "Run": ("up", "down", "worker", "coordinator", "web"),
    "Page": ("link", "token", "user", "session"),
}

#: Characters of a summary: more than any has.
_UNCUT: Final = 500


class GroupedHelp(TyperGroup):
    """Prints the commands by group."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section a group."""
        for heading, names in GROUPS.items():
            rows = [
                (name, self.commands[name].get_short_help_str(limit=_UNCUT)) for name in names if name in self.commands
            ]
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=14)
