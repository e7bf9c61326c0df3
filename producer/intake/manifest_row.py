"""A mailbox as the manifest gives it, the manifest as it was read, and how large it may be."""

from __future__ import annotations

from shared.model import Endpoint
from shared.nouns import dataclass
from shared.runtime.secret import Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The largest manifest that is accepted."""

    #: Most bytes of the file.
    file_bytes: int = 50 * 1024 * 1024
    #: Most mailboxes.
    rows: int = 200_000
    #: Most characters of one value.
    value_characters: int = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A mailbox to move."""

    #: Line in the file, counted from 1.
    line: int
    #: Login at the source.
    login: str
    #: Password at the source.
    password: Secret
    #: Login at the destination; the source's where the row gives none.
    new_login: str
    #: Password at the destination; the source's where the row gives none.
    new_password: Secret
    #: Whether the row gives a password for the destination alone.
    own_new_password: bool = False
    #: Whether the row gives the login at the destination; otherwise the source's is assumed.
    own_new_login: bool = False
    #: First name for the account at the destination; "" when not given.
    first_name: str = ""
    #: Last name for the account at the destination; "" when not given.
    last_name: str = ""
    #: Quota of the account at the destination, in bytes; None when not given.
    quota_bytes: int | None = None
    #: The mailbox's own source server; None for the import's source.
    server: Endpoint | None = None
    #: The wave that it moves with; "" when not given.
    wave: str = ""
    #: Whether a rule, or the wave of the rest, gave the wave, and not the row itself.
    wave_by_rule: bool = False
    #: Within the wave the higher goes first.
    priority: int = 0
    #: The people whom it is counted with; "" when not given.
    group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The content of the file."""

    #: Rows in the order of the file.
    rows: tuple[Row, ...]
    #: Warnings for the operator.
    warnings: tuple[str, ...] = ()
    #: Encoding in which the bytes were read.
    encoding: str = "utf-8"
    #: Character between values.
    separator: str = ","
    #: Meaning of each column; "" for an ignored one.
    columns: tuple[str, ...] = ()
