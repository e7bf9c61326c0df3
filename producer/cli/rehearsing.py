"""The verbs check and plan. They write nothing and need no Redis.

If there is a store, it is asked what an earlier import copied.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from producer.cli.command_context import CommandContext
from producer.cli.verb import COMPLETE, INCOMPLETE, is_verbose, say, show
from producer.intake.account_options import AccountsSeen
from producer.intake.checked import Checked, CheckedSide, swapped
from producer.intake.manifest_row import Row
from producer.intake.passwords import fill, passwords_path, read_passwords
from producer.intake.scan import Scan
from producer.intake.specification import ImportSpecification
from producer.show.lines import spoken_mailboxes
from shared.model import Account, import_id
from shared.model.errors import MailhaulError, SameMailbox
from shared.runtime.config import Settings, load_settings
from shared.runtime.logs import clean
from shared.store import Store
from shared.store.ports.brought import between, brought
from shared.wording.spoken import spoken_size

_TOLD_SECONDS = 5.0
#: Maximum number of mailboxes named under one kind of trouble.
_NAMED = 5


def run_check(specification: ImportSpecification, *, as_json: bool, state_dir: Path | None) -> int:
    """Prints whether every row works on both sides. Returns 3 if one does not."""
    settings = load_settings(state_dir=state_dir)
    with EarlierLedgers(settings) as ledgers:
        step = _step if is_verbose() else None
        found = _scan(specification, settings, ledgers).check(
            _rows(specification, settings), specification.options, step
        )
    broken = [one for one in found if not one.ok]
    backwards = swapped(found) and not specification.options.same_mailbox
    if as_json:
        _print(
            {
                "source": specification.source.url,
                "destination": specification.destination.url,
                "mailboxes": [_fields(one) for one in found],
                "ok": len(found) - len(broken),
                "broken": len(broken),
                "swapped": backwards,
                "messages": sum(one.source.messages for one in found),
                "bytes": sum(one.source.size_bytes or 0 for one in found),
            }
        )
    else:
        for one in found:
            _print_row(one)
        for line in _grouped(broken):
            show(line)
        total = sum(one.source.size_bytes or 0 for one in found)
        show(
            f"{sum(one.works for one in found)} of {len(found)} mailboxes work at both ends"
            f"{_beside(broken)}; "
            f"{sum(one.source.messages for one in found):,} messages, {spoken_size(total)} at the source"
        )
        if backwards:
            show(f"{SameMailbox.SWAPPED} {SameMailbox.advice}")
    return INCOMPLETE if broken or backwards else COMPLETE


def run_plan(specification: ImportSpecification, *, as_json: bool, state_dir: Path | None) -> int:
    """Prints what an import would do. Returns 3 if a mailbox could not be looked into."""
    settings = load_settings(state_dir=state_dir)
    with EarlierLedgers(settings) as ledgers:
        scan = _scan(specification, settings, ledgers)
        dry = scan.plan(
            _rows(specification, settings), specification.options, specification.manifest.warnings, ledgers.limits()
        )
    if as_json:
        _print(dry.as_json())
    else:
        said = {f"note: {warning}" for warning in specification.manifest.warnings}  # printed already, on standard error
        for line in dry.lines():
            if line not in said:
                show(clean(line))
    return INCOMPLETE if dry.totals.problems or dry.swapped else COMPLETE


def _step(row: Row, found: Checked | None) -> None:
    """Says that a row is being looked into (None), or what was found."""
    say(f"row {row.line}  {row.login}  {'started' if found is None else 'ok' if found.ok else 'BAD'}")


def _scan(specification: ImportSpecification, settings: Settings, ledgers: EarlierLedgers) -> Scan:
    return Scan(
        specification.source,
        specification.destination,
        settings,
        _Told(),
        AccountsSeen(specification.accounts),
        specification.sign_ins,
        ledgers.brought,
    )


class EarlierLedgers:
    """The ledgers of earlier imports, if there is a store. Thread-safe.

    The store is opened at the first question, and is never created.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened = contextlib.ExitStack()
        self._store: Store | None = None
        self._known: dict[tuple[Account, Account], list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def brought(self, source: Account, destination: Account, uidvalidity: int | None) -> bool:
        """See `producer.intake.scan.Brought`. A store that does not answer counts as empty."""
        with self._lock, contextlib.suppress(MailhaulError):
            store = self._found()
            if (source, destination) not in self._known:
                self._known[source, destination] = between(store, source, destination)
            return brought(store, self._known[source, destination], uidvalidity)
        return False

    def limits(self) -> dict[str, int]:
        """Returns the limits and rates that an operator set; none where no store answers."""
        with self._lock, contextlib.suppress(MailhaulError):
            return self._found().limits()
        return {}

    def _found(self) -> Store:
        if self._store is None:
            self._store = self._opened.enter_context(CommandContext(self._settings, make=False)).store
        return self._store


def _rows(specification: ImportSpecification, settings: Settings) -> Sequence[Row]:
    """Returns the rows, with the passwords that an import generated earlier, if it has."""
    if not specification.accounts.generate:
        return specification.manifest.rows
    import_ = import_id(specification.name, specification.source, specification.destination)
    return fill(
        specification.manifest.rows, read_passwords(passwords_path(settings.state_dir, specification.name, import_))
    )


class _Told:
    """A progress line every few seconds, if it takes that long."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _TOLD_SECONDS

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._due and done < total:
            self._due = time.monotonic() + _TOLD_SECONDS
            say(f"{done} of {total} mailboxes looked into")


def _fields(one: Checked) -> dict[str, Any]:
    return {**asdict(one), "ok": one.ok, "warning": one.overfull or one.warning}


def _print_row(one: Checked) -> None:
    to = "" if one.destination_login == one.login else f" → {clean(one.destination_login)}"
    show(f"{'ok ' if one.ok else 'BAD'} row {one.row}  {clean(one.login)}{to}")
    for name, side in (("source", one.source), ("destination", one.destination)):
        print(f"      {_side(name, side) if side.ok else clean(side.failure)}")
        if side.refuses:
            print(f"      note: the {name} {clean(side.refuses)}")
    if one.warning:
        print(f"      note: {one.warning}")


def _grouped(broken: Sequence[Checked]) -> Iterator[str]:
    """Yields the faults again, at the end: each once, with its mailboxes, what the server says and what to do."""
    groups: dict[tuple[str, str, str], list[Checked]] = {}
    for one in broken:
        for side in (one.source, one.destination):
            if not side.ok:
                groups.setdefault((side.failure, side.detail, side.advice), []).append(one)
        if one.overfull:
            groups.setdefault((one.overfull, "", "raise the quota, or leave something out"), []).append(one)
    for (what, detail, advice), rows in groups.items():
        named = ", ".join(f"row {one.row} {clean(one.login)}" for one in rows[:_NAMED])
        more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
        yield f"BAD {clean(what)}{': ' if detail else ''}{clean(detail)} ({spoken_mailboxes(len(rows))}: {named}{more})"
        yield f"    → {advice}"


def _beside(broken: Sequence[Checked]) -> str:
    """Returns a clause on the mailboxes that work but do not have the room for their mail."""
    number = sum(bool(one.overfull) for one in broken)
    return f", and {number:,} that do not have the room for their mail" if number else ""


def _side(name: str, side: CheckedSide) -> str:
    if side.would_create:
        return f"{name}: the account would be created"
    size = f", {spoken_size(side.size_bytes)}" if side.size_bytes is not None else ""
    quota = ""
    if side.quota_bytes is not None:
        quota = f", quota {spoken_size(side.quota_bytes)} of which {spoken_size(side.quota_used_bytes or 0)} used"
    left = f"; {side.left_out}" if side.left_out else ""
    return f"{name}: {side.folders} folder{'s' if side.folders != 1 else ''}, {side.messages:,} messages{size}{quota}{left}"


def _print(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    print(flush=True)
