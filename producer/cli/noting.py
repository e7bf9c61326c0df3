"""The entries of the command line in the audit log."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import replace

from producer.cli.command_context import CommandContext
from producer.operations.ended import NOBODY, note_end
from shared.model import Import
from shared.model.errors import UsageError
from shared.runtime.logs import clean
from shared.store.records.page_state import PageState
from shared.store.records.web_records import COMMAND_LINE, NotedEntry, WebRecords
from shared.store.redis.redis_store import connect
from shared.wording.phrases import changed, faults_of


def user_name() -> str:
    """Returns the system's name of the user, whatever the environment says; "" for a number without a name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def person() -> str:
    """Returns who runs the command, as in "command line (1000 anna)"."""
    return f"{COMMAND_LINE} ({f'{os.getuid()} {user_name()}'.strip()})"


def note(context: CommandContext, what: str, **detail: object) -> NotedEntry:
    """Writes an act into the audit log before it is done. Must never be given a secret. Raises `StoreError`.

    If the log cannot be written, the act does not happen.
    """
    # An argument may hold bytes that are no text or, by mistake, a URL with its password.
    said = {name: clean(_text(value)) if isinstance(value, str) else value for name, value in detail.items()}
    return _records(context).note(person(), what, {"from": COMMAND_LINE, **said})


@contextlib.contextmanager
def noted(context: CommandContext, what: str, **detail: object) -> Iterator[None]:
    """Notes an act before it is done; of one that is refused also that, with the reason."""
    entry = note(context, what, **detail)
    try:
        yield
    except UsageError as error:
        cleaned = (replace(fault, sentence=changed(fault.sentence, clean)) for fault in faults_of(error))
        _records(context).refused(entry, tuple(cleaned))
        raise


def _records(context: CommandContext) -> WebRecords:
    return WebRecords(connect(context.urls[1]), context.settings.audit_days)


def end_noted(context: CommandContext, import_: Import, *, by_us: bool = False) -> None:
    """Writes the end of the import's last verification into the audit log, if nobody has. Raises `StoreError`.

    `by_us`: this command waited for it.
    """
    client = connect(context.urls[1])
    by = (person(), {"from": COMMAND_LINE}) if by_us else (NOBODY, None)
    note_end(context.store, WebRecords(client, context.settings.audit_days), PageState(client), import_, *by)


def _text(argument: str) -> str:
    return argument.encode(errors="backslashreplace").decode()
