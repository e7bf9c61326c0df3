"""Turns a request into an import and its mailboxes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from producer.intake.manifest_row import Row
from shared.model import Account, Endpoint, Import, Mailbox, Options, Profile, import_id, mailbox_id
from shared.wording.phrases import Phrase

_NAME_LENGTH = 120
NAME = Phrase("import_name", "must be 1 to {num} printable characters")


def import_name(given: str, manifest: str) -> str:
    """Returns the import's name: the given one, else the file's name without its extension. Raises `UsageError`."""
    name = (given or PurePath(manifest).stem).strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise NAME.error("name", num=_NAME_LENGTH)
    return name


def prepare_import(
    rows: Sequence[Row], source: Endpoint, destination: Endpoint, options: Options, name: str
) -> tuple[Import, tuple[Mailbox, ...]]:
    """Turns the request into an import and its mailboxes.

    The same name and servers give the same ids, so that a second run continues the first.
    """
    import_ = Import(
        import_id=import_id(name, source, destination),
        name=name,
        source=source,
        destination=destination,
        options=options,
    )
    return import_, tuple(_mailbox(import_, row) for row in rows)


def _mailbox(import_: Import, row: Row) -> Mailbox:
    # A row that repeats the URL of the import's source uses that source, with its CA file or fingerprint.
    elsewhere = row.server is not None and row.server.url != import_.source.url
    source = row.server if row.server and elsewhere else import_.source
    return Mailbox(
        mailbox_id=mailbox_id(import_.import_id, row.login, row.new_login, source.url if elsewhere else ""),
        import_id=import_.import_id,
        row=row.line,
        source=Account(endpoint=source, login=row.login),
        destination=Account(endpoint=import_.destination, login=row.new_login),
        wave=row.wave,
        wave_by_rule=row.wave_by_rule,
        priority=row.priority,
        group=row.group,
        profile=Profile(first_name=row.first_name, last_name=row.last_name, quota_bytes=row.quota_bytes),
    )
