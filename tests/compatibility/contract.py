"""Plays the contract between two servers and lists what does not hold.

A trial fills the source, kills the import in the middle, lets it go on, runs it a second time, and once more with a
new state folder. After each run both accounts are read by `mailbox` and compared by `judge`.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imapclient.imap_utf7 import decode

from tests.compatibility import mailbox
from tests.compatibility.command import Command
from tests.compatibility.judge import Verdict, compare, same
from tests.compatibility.mail_to_move import mail_to_move
from tests.compatibility.mailbox import Account, Message
from tests.servers.real.registry import PASSWORD, Kind

#: Exit codes of an import that came to its end: everything copied, or something is in the report.
ENDED = (0, 3)
#: What the report says of a message that the source shows no more.
DELETED = "deleted_at_source"


@dataclass
class Result:
    """The outcome of one trial; it becomes a row of the table."""

    #: Name of the server that is tried.
    server: str
    #: Its version.
    version: str
    #: "source", "destination", "pop3" or "quota".
    direction: str
    #: Messages that the source holds.
    messages: int = 0
    #: Messages that arrived with the same bytes.
    exact: int = 0
    #: Messages that arrived with other bytes, by kind of alteration.
    altered: dict[str, int] = field(default_factory=dict)
    #: Messages that the report says were refused.
    refused: int = 0
    #: Flags and keywords that did not arrive, by name.
    flags_lost: dict[str, int] = field(default_factory=dict)
    #: Messages with another date.
    redated: int = 0
    #: Folders with another name: "source → destination".
    renamed: list[str] = field(default_factory=list)
    #: What this server refused when the trial filled it, by form.
    not_taken: dict[str, int] = field(default_factory=dict)
    #: Messages at the destination when the import was killed; -1 where it had ended before.
    killed_at: int = -1
    #: Seconds of the whole trial.
    seconds: float = 0.0
    #: The day on which it was played.
    day: str = ""
    #: What the server makes impossible, and mailhaul's report tells message by message.
    told: list[str] = field(default_factory=list)
    #: What does not hold.
    faults: list[str] = field(default_factory=list)


def account_of(kind: Kind, server: Any) -> Account:
    """Creates the account of this kind of server, and returns it."""
    server.add_user(kind.login, PASSWORD)
    return Account(server.host, server.port, kind.login, PASSWORD, getattr(server, "pop3_port", 0))


def play(kind: Kind, peer: Kind, direction: str, *, version: str = "", limit: int = 0, killed: bool = True) -> Result:
    """Plays a trial of `kind` with `peer` at the other end, with the whole corpus or `limit` messages."""
    began = time.monotonic()
    result = Result(kind.name, version, direction, day=str(datetime.now(UTC).date()))
    ends = (peer, kind) if direction in ("destination", "quota") else (kind, peer)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="contract-", ignore_cleanup_errors=True)))
        servers = [stack.enter_context(end.make()) for end in ends]
        source, destination = (account_of(end, server) for end, server in zip(ends, servers, strict=True))
        not_taken = mailbox.fill(source, mail_to_move(limit))
        if kind is ends[0]:
            result.not_taken = dict(not_taken)
        ways = [
            part
            for end, option in zip(ends, ("--source-auth", "--destination-auth"), strict=True)
            for part in ([option, end.way] if end.way and direction != "pop3" else [])
        ]
        command = Command(home, source, destination, pop3=direction == "pop3", ways=ways)
        if direction == "quota":
            _fill_up(kind, servers[1], command, source, destination, result)
        _trial(command, source, destination, result, killed=killed and direction != "quota")
    result.seconds = time.monotonic() - began
    return result


def _fill_up(kind: Kind, server: Any, command: Command, source: Account, destination: Account, result: Result) -> None:
    """Runs the import into a destination with room for a third of the mail, then makes room."""
    assert kind.limit is not None
    size = sum(len(message.body) for message in mailbox.read(source))
    kind.limit(server, destination.login, size // 3)
    code, said = command.run()
    held = mailbox.count(destination)
    result.killed_at = held
    if code != 3:
        result.faults.append(f"an import into a full mailbox ended with {code}: {said[-300:]}")
    kind.limit(server, destination.login, size * 10)


def _trial(command: Command, source: Account, destination: Account, result: Result, *, killed: bool) -> None:
    pop3 = result.direction == "pop3"
    before = mailbox.read(source)
    if killed and command.run_killed(lambda: mailbox.count(destination) > len(before) // 4):
        result.killed_at = mailbox.count(destination)
    _ended(command, result, "the import")
    first, reported = mailbox.read(destination), command.reported()
    _ended(command, result, "the second pass")
    second, reported_then = mailbox.read(destination), command.reported()
    _check(result, same(first, second), "the second pass changed the destination")
    command.forget_everything()
    _ended(command, result, "the import without its state")
    last, after, reported_last = mailbox.read(destination), mailbox.read(source), command.reported()
    # Reading by POP3 may mark messages as read, and what a maildrop holds does not change: so it is read at the end.
    given = mailbox.maildrop(source) if pop3 else before
    verdict, third = (compare(given, reading, dated=not pop3) for reading in (first, last))
    _judged(result, verdict, reported, mailbox.naming(source), pop3)
    # Over POP3 a message that the server itself altered is another one: the report says that the one before is gone.
    gone = _reported(reported_then, DELETED) if pop3 else 0
    _tell(
        result,
        verdict.extra,
        gone or _reported(reported, "doubled"),
        f"{len(verdict.extra)} messages are twice at the destination, such as {_some(verdict.extra)}",
    )
    _tell(
        result,
        third.extra,
        gone or _reported(reported_last, "doubled"),
        f"without its state the import doubled {len(third.extra)} messages, such as {_some(third.extra)}",
    )
    _check(result, third.lost == verdict.lost or pop3, "without its state the import lost or found messages")
    changed = _marks(after) - _marks(before)
    _check(result, (not changed or pop3) and len(after) == len(before), f"the source changed: {list(changed)[:3]}")


def _judged(
    result: Result,
    verdict: Verdict,
    reported: dict[tuple[str, int], set[str]],
    naming: tuple[str, str],
    pop3: bool,
) -> None:
    result.messages, result.exact = verdict.messages, verdict.exact
    result.altered = dict(verdict.alterations)
    result.refused = len(verdict.lost)
    result.flags_lost = {} if pop3 else dict(verdict.flags_lost)
    result.redated = len(verdict.redated)
    result.renamed = [f"{decode(old)} → {decode(new)}" for old, new in sorted(verdict.folders.items()) if old != new]
    _check(result, len(verdict.lost) < verdict.messages, "nothing arrived")
    places = set(verdict.folders.values())
    _check(result, len(places) == len(verdict.folders), "two folders became one")
    if pop3:  # messages of a maildrop have no UID that the report could name: numbers must do
        counts = Counter(what for whats in reported.values() for what in whats)
        said = sum(counts.values())
        wrong = len(verdict.lost) + len(verdict.altered)
        _check(result, wrong <= said, f"{wrong} messages lost or altered, {said} reported: {dict(counts)}")
        return
    for what, found in (("lost", verdict.lost), ("altered", verdict.altered), ("redated", verdict.redated)):
        shown = {(_shown(folder, *naming), uid) for folder, uid in found}
        silent = sorted(shown - reported.keys())
        _check(result, not silent, f"{len(silent)} messages {what} and not in the report, such as {silent[:3]}")


def _ended(command: Command, result: Result, what: str) -> None:
    code, said = command.run()
    _check(result, code in ENDED, f"{what} ended with {code}: {said[-400:]}")


def _check(result: Result, holds: bool, otherwise: str) -> None:
    if not holds:
        result.faults.append(otherwise)


def _tell(result: Result, extra: frozenset[tuple[bytes, int]], reported: int, what: str) -> None:
    """Notes second copies: as told where the report names as many, else as a fault."""
    if extra:
        (result.told if len(extra) <= reported else result.faults).append(what)


def _reported(reported: dict[tuple[str, int], set[str]], what: str) -> int:
    return sum(what in whats for whats in reported.values())


def _shown(folder: bytes, separator: str, prefix: str) -> str:
    """Returns the name as reports show it: without the prefix of the server, with "/" between levels."""
    name: str = decode(folder)
    return name.removeprefix(prefix).replace(separator, "/") if separator else name


def _some(messages: frozenset[tuple[bytes, int]]) -> list[tuple[str, int]]:
    return [(decode(folder), uid) for folder, uid in sorted(messages)[:5]]


def _marks(messages: Sequence[Message]) -> Counter[tuple[bytes, int, frozenset[str], int | None]]:
    return Counter((message.folder, message.uid, message.flags, message.instant) for message in messages)
