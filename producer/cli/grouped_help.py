"""The help of the command line.

Commands stand in groups, in the order in which an operator needs them, each with its whole summary. Usage lines have
the usual form, and the source stands before the destination.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from producer.cli.as_given import leave_as_given

#: Heading → commands. A test holds that every command stands in exactly one group.
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Prepare": ("template", "providers", "detect", "doctor", "demo", "check", "plan"),
    "Move": ("import", "edit", "verify", "retry", "credentials"),
    "Look": ("list", "where", "status", "watch", "errors", "forecast", "report", "spool", "audit", "notify"),
    "Steer": ("pause", "resume", "cancel", "limits", "window", "waves", "move", "standing", "cutover"),
    "Finish": ("archive", "forget", "close", "erase", "keys"),
    "Run": ("up", "down", "worker", "coordinator", "web"),
    "Page": ("link", "token", "user", "session", "reach", "service"),
}

#: Heading → options, of a command that has more than `_FEW`. A test holds that every option of `import` stands in exactly one. What
#: stands in none is the first section, which a first import needs.
OPTION_GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "Which messages": ("since", "before", "larger", "smaller", "unseen", "flagged", "not-deleted"),
    "Which folders, and where they go": (
        "include",
        "exclude",
        "skip-special",
        "shared-folders",
        "into",
        "folder-map",
        "gmail-labels",
    ),
    "Later passes": ("moves", "deletions", "deletions-cap", "verify"),
    "When, and in which order": ("window", "wave", "wave-rule", "newest-first", "workers", "threads"),
    "Signing in": (
        "source-auth",
        "source-admin",
        "source-password-file",
        "destination-auth",
        "destination-admin",
        "destination-password-file",
    ),
    "Connections and certificates": (
        "source-ca",
        "source-fingerprint",
        "destination-ca",
        "destination-fingerprint",
        "allow-plaintext",
    ),
    "Accounts that are made": ("accounts", "accounts-secret-file", "generate-passwords"),
    "How the manifest is read": (
        "encoding",
        "separator",
        "ignore-column",
        "no-header",
        "share-destination",
        "case-sensitive-logins",
        "same-mailbox",
    ),
    "What is printed and kept": ("quiet", "verbose", "json", "spool-refused"),
}
#: The number of options up to which they stand together.
_FEW: Final = 25

#: Maximum number of characters of a summary; all are shorter.
_UNCUT: Final = 500


class GroupedHelp(TyperGroup):
    """A group of commands that prints them under headings."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters, those of typer's own among them."""
        return leave_as_given(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each group."""
        for heading, names in GROUPS.items():
            rows = [
                (name, self.commands[name].get_short_help_str(limit=_UNCUT)) for name in names if name in self.commands
            ]
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=14)


class PlainHelp(TyperCommand):
    """A command whose usage line has no braces around required arguments, and --source before --destination."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the pieces of the usage line: "[OPTIONS]", "ACCOUNTS.csv", "[IMPORT]"."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters in the order of the help."""
        params = leave_as_given(super().get_params(ctx))
        names = [param.name for param in params]
        if {"source", "destination"} <= set(names) and names.index("destination") < names.index("source"):
            params.insert(names.index("destination"), params.pop(names.index("source")))
        return params

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the options: of a command with many, those of a first use, then a section for each heading."""
        options = [param for param in self.get_params(ctx) if param.param_type_name == "option" and not param.hidden]
        if len(options) <= _FEW:
            super().format_options(ctx, formatter)
            return
        headed = {name: heading for heading, names in OPTION_GROUPS.items() for name in names}
        sections: dict[str, list[Any]] = {"Arguments": [], "Options": []} | {heading: [] for heading in OPTION_GROUPS}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                argument = param.param_type_name == "argument"
                sections["Arguments" if argument else headed.get(named(param), "Options")].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def named(param: Any) -> str:
    """Returns the long name of an option, without its dashes."""
    return str(next(iter(one for one in param.opts if one.startswith("--")), "--")[2:])


class App(typer.Typer):
    """An application whose commands have plain help."""

    def command(self, name: str | None = None, **how: Any) -> Any:
        """See `typer.Typer.command`."""
        return super().command(name, cls=PlainHelp, **how)

    def only(self, word: str) -> App:
        """Returns the application with this one command, or group of commands; itself where there is none of this name.

        Typer reads the parameters of all commands before it runs one, which takes as long as to load a verb.
        """
        commands = [one for one in self.registered_commands if one.name == word]
        groups = [one for one in self.registered_groups if one.name == word]
        if not commands and not groups:
            return self
        small = copy.copy(self)
        small.registered_commands, small.registered_groups = commands, groups
        return small
