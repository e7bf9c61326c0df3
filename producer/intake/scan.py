"""Asks both servers what there is, for `check` and `plan`. Writes nothing anywhere: not to a server, not to the store.

Every account is signed in to once and never again, whatever it answers: a refused login that is tried twice may lock
it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar, cast

from producer.intake.accounts import AccountsSeen
from producer.intake.brake import Brake
from producer.intake.foresee import foresee
from producer.intake.manifest import Row
from producer.intake.plan import DryRun, MailboxLine
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from producer.intake.visiting import admission, visitor_of
from producer.intake.wanted import unmatched
from shared.admission import Visitor
from shared.config import Settings
from shared.errors import (
    AuthenticationRefused,
    AuthorizationRefused,
    ConnectionLost,
    FolderRefused,
    LoginsStopped,
    MailError,
    ProtocolViolation,
    SameMailbox,
    Unreachable,
)
from shared.folder_tree import is_inbox
from shared.folders import readable
from shared.mail import FolderListing, KnownStatus, MailDestination, MailSource
from shared.mail.extensions import sentence
from shared.mail.imap import ImapSession
from shared.mail.limits import append_limit
from shared.mail.numbers import known_statuses
from shared.mail.one_mailbox import may_be_one, same_folders, same_maildrop
from shared.mail.pop3_reading import Readings
from shared.mail.quota import storage_of
from shared.mail.sasl import Proof
from shared.mail.ways import Ways
from shared.maildrop import Glance
from shared.model import Account, Endpoint, Options

#: What an account shows that is not there yet.
_EMPTY: Final = FolderListing(prefix=b"", separator="/", folders=())
#: Mailboxes looked into at the same time, at most; no provider allows less to one host.
MOST_AT_ONCE: Final = 16
#: Connections that may be lost at an extension of one account's server, one after the other.
_TRIES: Final = 6
_ADVICE: Final = (
    (AuthenticationRefused, "correct login and password in the file"),
    (Unreachable, "check host, port and firewall"),
    (MailError, "see what the server says"),
)


Looking = MailSource | MailDestination


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one account at one end showed."""

    #: Whether it could be signed in to and looked into.
    ok: bool = False
    #: What went wrong; "" when nothing did.
    failure: str = ""
    #: What the server said to that.
    detail: str = ""
    #: What to do about it.
    advice: str = ""
    #: Folders that can be opened, without those of other people and public ones unless they are asked for.
    folders: int = 0
    #: Folders of other people that are left alone.
    other_folders: int = 0
    #: Public folders that are left alone.
    public_folders: int = 0
    #: The same in words; "" for none.
    left_out: str = ""
    #: Their messages.
    messages: int = 0
    #: Their bytes; None when that was not asked for.
    size_bytes: int | None = None
    #: Storage quota in bytes; None when the server has none or does not say.
    quota_bytes: int | None = None
    #: Of that, used.
    quota_used_bytes: int | None = None
    #: What the server announces and refuses, and what is done instead; "" for nothing.
    refuses: str = ""
    #: Whether the account is not there and would be created.
    would_create: bool = False
    #: What a person should know before anything is read; "" for nothing.
    caution: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One row of the manifest, looked at."""

    #: Line in the manifest.
    row: int
    #: At the source.
    login: str
    #: At the destination.
    destination_login: str
    #: URL of the row's own server; "" where that is the source of all.
    server: str = ""
    #: What the source showed.
    source: Side
    #: What the destination showed.
    destination: Side

    @property
    def ok(self) -> bool:
        """Whether both ends work and the destination can hold the mail."""
        return self.works and not self.overfull

    @property
    def works(self) -> bool:
        """Whether both ends work."""
        return self.source.ok and self.destination.ok

    @property
    def overfull(self) -> str:
        """Why the destination cannot hold the source's mail; "" where it can, or where mail that is there already may be part of
        it."""
        quota, used = self.destination.quota_bytes, self.destination.quota_used_bytes or 0
        size = self.source.size_bytes
        if not self.works or quota is None or size is None or used + size <= quota:
            return ""
        return OVERFULL if size > quota or not self.destination.messages else ""

    @property
    def warning(self) -> str:
        """What to look at although both ends work; "" for nothing."""
        return "; ".join(filter(None, (self._room, self.source.caution if self.works else "")))

    @property
    def _room(self) -> str:
        quota, used = self.destination.quota_bytes, self.destination.quota_used_bytes or 0
        if (
            self.works
            and not self.overfull
            and quota is not None
            and self.source.size_bytes is not None
            and used + self.source.size_bytes > quota
        ):
            return "the source's mail may not fit into the destination's quota"
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """An account, and what both ends are compared by."""

    #: What it showed.
    side: Side
    #: Its folders by name.
    statuses: Mapping[bytes, KnownStatus | Exception] = field(default_factory=dict)
    #: The session, which may be over; None where there was none.
    mail: Looking | None = None


def swapped(found: Sequence[Checked]) -> bool:
    """Whether every source mailbox is empty and every destination is not."""
    return bool(found) and all(one.works and not one.source.messages and one.destination.messages for one in found)


#: What is said where the mail cannot fit.
OVERFULL: Final = "destination: the quota cannot hold the source's mail"
#: Told how many rows are done, of how many.
Told = Callable[[int, int], None]
#: Told of a row that is looked into now (None), or what was found there; by several threads.
Step = Callable[[Row, Checked | None], None]
_T = TypeVar("_T")


class Scan:
    """Looks into the rows' accounts, several at a time within the limits of the settings."""

    def __init__(self, source: Endpoint, destination: Endpoint, settings: Settings, told: Told | None = None,
        accounts: AccountsSeen | None = None, sign_ins: Mapping[str, SignInAsked] | None = None,
    ) -> None:  # fmt: skip
        self._sign_ins = sign_ins or {}
        self._brake = Brake()
        self._admission = admission(settings.connect_timeout_seconds, settings.command_timeout_seconds)
        self._accounts = accounts
        self._source, self._destination = source, destination
        self._ways = Ways(
            connect_timeout_seconds=settings.connect_timeout_seconds,
            command_timeout_seconds=settings.command_timeout_seconds,
            readings=Readings(settings.pop3_read),
        )
        self._told = told or (lambda done, total: None)
        self.connections = max(
            1,
            min(settings.source_host_connections, settings.destination_host_connections, MOST_AT_ONCE),
        )

    def check(self, rows: Sequence[Row], options: Options, step: Step | None = None) -> list[Checked]:
        """Every row, in the manifest's order; `step` is told of each when it starts and when it ends."""

        def look(row: Row) -> Checked:
            if step:
                step(row, None)
            found = self._check(row, options)
            if step:
                step(row, found)
            return found

        return self._each(rows, look)

    def plan(self, rows: Sequence[Row], options: Options, warnings: Sequence[str] = ()) -> DryRun:
        """What an import of these rows would do."""
        lines = self._each(rows, lambda row: self._plan(row, options))
        strange = unmatched(options.folder_map, [folder.source for line in lines for folder in line.folders])
        return DryRun(
            source=self._source.url,
            destination=self._destination.url,
            mailboxes=tuple(lines),
            swapped=bool(lines)
            and all(line.backwards and not line.problem for line in lines)
            and not options.same_mailbox,
            warnings=(*warnings, *(f"--folder-map: no mailbox has a folder {name!r}" for name in strange)),
            connections=self.connections,
        )

    def _each(self, rows: Sequence[Row], look: Callable[[Row], _T]) -> list[_T]:
        done, lock = [0], threading.Lock()

        def looked(row: Row) -> _T:
            try:
                return look(row)
            finally:
                with lock:
                    done[0] += 1
                self._told(done[0], len(rows))

        pool = ThreadPoolExecutor(self.connections, thread_name_prefix="scan")
        try:
            return list(pool.map(looked, rows))
        finally:
            # Ctrl-C: what has not begun never does.
            pool.shutdown(wait=False, cancel_futures=True)

    # -- one row

    def _check(self, row: Row, options: Options) -> Checked:
        there = self._look("source", row.server or self._source, row, shared=options.shared_folders == "copy")
        here = _Seen(side=new) if (new := self._new_account(row)) else None
        here = here or self._look("destination", self._destination, row, shared=False)
        if not options.same_mailbox and self._one_mailbox(row, there, here):
            here = _Seen(side=Side(failure=f"destination: {SameMailbox.ONE}", advice=SameMailbox.advice))
        return Checked(
            row=row.line,
            login=row.login,
            destination_login=row.new_login,
            server=row.server.url if row.server else "",
            source=there.side,
            destination=here.side,
        )

    def _one_mailbox(self, row: Row, there: _Seen, here: _Seen) -> bool:
        """Whether both ends are one mailbox, as far as they tell."""
        source = row.server or self._source
        if there.mail is None or here.mail is None or not may_be_one(source, self._destination):
            return False
        if same_folders(there.statuses, here.statuses):
            return True
        theirs, ours = there.statuses.get(b"INBOX"), here.statuses.get(b"INBOX")
        if not isinstance(theirs, KnownStatus) or not isinstance(ours, KnownStatus):
            return False
        ends = Account(endpoint=source, login=row.login), Account(endpoint=self._destination, login=row.new_login)
        return same_maildrop(cast(MailSource, there.mail), theirs, ours, ends)

    def _new_account(self, row: Row) -> Side | None:
        """What is to be said of the destination without signing in: the account would be created, or would not."""
        seen = self._accounts.of(row) if self._accounts else None
        if seen is None or (seen.state == "there" and not seen.failure):
            return None
        if seen.state == "missing":
            return Side(ok=True, would_create=True)
        return Side(failure=f"destination: {seen.failure}", advice=seen.advice)

    def _look(self, side: str, endpoint: Endpoint, row: Row, *, shared: bool) -> _Seen:
        try:
            return self._again([endpoint], lambda: self._looked(side, endpoint, row, shared=shared))
        except MailError as error:
            return _Seen(side=_refused(error, endpoint, row.login if side == "source" else row.new_login))

    def _again(self, ends: Sequence[Endpoint], look: Callable[[], _T]) -> _T:
        """`look`, and once more each time that a connection was lost at an extension: the next one does without."""
        known = [self._ways.servers.of(end.host, end.port) for end in ends]
        for _ in range(_TRIES):
            before = sum(broken.learned for broken in known)
            try:
                return look()
            except (ConnectionLost, ProtocolViolation, Unreachable):
                if sum(broken.learned for broken in known) == before:
                    raise
        return look()

    def _looked(self, side: str, endpoint: Endpoint, row: Row, *, shared: bool) -> _Seen:
        with self._session(side, endpoint, row) as mail:
            names, apart = readable(mail.listing(), shared=shared)
            # Some servers tell the numbers of a folder that they do not open.
            mail.open(next(filter(is_inbox, names), b"INBOX"))
            statuses = dict(zip(names, known_statuses(mail, names), strict=True))
            known = {name: status for name, status in statuses.items() if not isinstance(status, Exception)}
            size = sum(_size(mail, name, status) for name, status in known.items()) if side == "source" else None
            quota = storage_of(mail.session) if isinstance(mail, ImapSession) else None
            found = Side(
                ok=True,
                folders=len(known),
                other_folders=apart.other,
                public_folders=apart.public,
                left_out=apart.note() if side == "source" else apart.untouched(),
                messages=sum(status.messages for status in known.values()),
                size_bytes=size,
                quota_bytes=quota.limit_bytes if quota else None,
                quota_used_bytes=quota.used_bytes if quota else None,
                caution=cast(MailSource, mail).caution() if side == "source" else "",
                refuses="; ".join(map(sentence, self._ways.servers.of(endpoint.host, endpoint.port).left_out)),
            )
            return _Seen(side=found, statuses=statuses, mail=mail)

    def _plan(self, row: Row, options: Options) -> MailboxLine:
        line = MailboxLine(row=row.line, login=row.login, destination_login=row.new_login)
        if (new := self._new_account(row)) and not new.ok:
            return replace(line, problem=f"{new.failure}; {new.advice}")
        line = replace(line, would_create=new is not None)
        theirs = row.server or self._source
        try:
            return self._again([theirs, self._destination], lambda: self._foreseen(row, options, line))
        except MailError as error:
            ours = error.side == "source"
            side = _refused(error, theirs if ours else self._destination, row.login if ours else row.new_login)
            return replace(line, problem=f"{error}; {side.advice}")

    def _foreseen(self, row: Row, options: Options, line: MailboxLine) -> MailboxLine:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self._session("source", row.server or self._source, row))
            here, most = _EMPTY, None
            if not line.would_create:
                opened = self._session("destination", self._destination, row)
                destination = stack.enter_context(opened)
                here, most = destination.listing(), append_limit(destination.capabilities)
                theirs, ours = (self._seen(mail) for mail in (source, destination))
                if not options.same_mailbox and self._one_mailbox(row, theirs, ours):
                    return replace(line, problem=f"{SameMailbox.ONE}; {SameMailbox.advice}")
                line = replace(line, backwards=not theirs.side.messages and ours.side.messages > 0)
            return replace(line, folders=foresee(cast(MailSource, source), here, options, most))

    @staticmethod
    def _seen(mail: Looking) -> _Seen:
        """The folders of a session that is open, for comparing both ends."""
        names, _ = readable(mail.listing(), shared=False)
        statuses = dict(zip(names, known_statuses(mail, names), strict=True))
        counted = sum(one.messages for one in statuses.values() if not isinstance(one, Exception))
        return _Seen(side=Side(ok=True, messages=counted), statuses=statuses, mail=mail)

    @contextlib.contextmanager
    def _session(self, side: str, endpoint: Endpoint, row: Row) -> Iterator[Looking]:
        ways = self._ways

        def connect(proof: Proof) -> Looking:
            return ways.source(endpoint, proof, Glance()) if side == "source" else ways.destination(endpoint, proof)

        visitor = visitor_of(side, endpoint, row, self._sign_ins.get(side, SignInAsked()))
        mail = self._entered(f"{side} {endpoint.url}", visitor, connect)
        try:
            yield mail
        except BaseException:
            mail.abort()
            raise
        mail.close()

    def _entered(self, server: str, visitor: Visitor, connect: Callable[[Proof], Looking]) -> Looking:
        """Signs in, unless the first logins of the server were all refused: then raises `LoginsStopped`."""
        if not self._brake.may_try(server):
            raise LoginsStopped(visitor.side)
        refused = False
        try:
            return self._admission.enter(visitor, connect)
        except AuthorizationRefused:
            raise
        except AuthenticationRefused:
            refused = True
            raise
        finally:
            self._brake.ended(server, refused=refused)


def _size(mail: Looking, name: bytes, status: KnownStatus) -> int:
    """Of all its messages; read message by message where the server does not offer the sum. Read only: a source is
    opened with EXAMINE."""
    if status.size_bytes is not None or not status.messages:
        return status.size_bytes or 0
    try:
        return sum(size for _, size in mail.sizes(mail.open(name)))
    except FolderRefused:
        return 0


def _refused(error: MailError, endpoint: Endpoint, login: str) -> Side:
    advice = error.advice or next(advice for kind, advice in _ADVICE if isinstance(error, kind))
    if isinstance(error, AuthenticationRefused):
        advice = "; ".join(filter(None, (advice, catalogue().first_at(login, endpoint.host))))
    return Side(failure=f"{error.side}: {error.what}", detail=error.detail, advice=advice)
