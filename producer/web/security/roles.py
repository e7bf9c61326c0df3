"""Roles of people whom an identity provider or a proxy authenticates: `MAILHAUL_WEB_ROLES`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Final

from shared.nouns import dataclass
from shared.store.records.principals import Role, role_of
from shared.wording.phrases import Phrase

NO_ROLE: Final = Phrase("web_roles", "MAILHAUL_WEB_ROLES: {text} is not NAME=role, @GROUP=role or *=role")


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """The roles by name and by group. Names are compared without regard to case, as directories do."""

    #: Roles by name.
    names: Mapping[str, Role] = field(default_factory=dict)
    #: Roles by group.
    groups: Mapping[str, Role] = field(default_factory=dict)
    #: The role of everybody else; None: they are not let in.
    others: Role | None = None

    def of(self, name: str, groups: Iterable[str] = ()) -> Role | None:
        """Returns the highest role that name and groups give; None for somebody who is not let in."""
        found = [self.names.get(name.casefold()), self.others]
        found += [self.groups.get(group.casefold()) for group in groups]
        return max((role for role in found if role), default=None)


def roles_of(text: str) -> Roles:
    """Reads "anna@corp.example=admin, @mail-ops=operator, *=viewer". Raises `UsageError`."""
    names: dict[str, Role] = {}
    groups: dict[str, Role] = {}
    others: Role | None = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        who, sign, word = (piece.strip() for piece in part.rpartition("="))
        if not sign or who in ("", "@"):
            raise NO_ROLE.error(text=f"{part[:60]!r}")
        role = role_of(word)
        if who == "*":
            others = role
        elif who.startswith("@"):
            groups[who[1:].casefold()] = role
        else:
            names[who.casefold()] = role
    return Roles(names=names, groups=groups, others=others)
