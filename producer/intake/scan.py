"""Asks both servers what there is, for `check` and `plan`. Writes nothing anywhere: not to a server, not to the store.

Every account is signed in to once and never again, whatever it answers: a refused login that is tried twice may lock
it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from producer.intake.accounts import AccountsSeen
from producer.intake.foresee import foresee
from producer.intake.manifest import Row
from producer.intake.plan import DryRun, MailboxLine
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from producer.intake.visiting import admission, visitor_of
from producer.intake.wanted import unmatched
from shared.config import Settings
from shared.errors import AuthenticationRefused, FolderRefused, MailError, Unreachable
from shared.folders import readable
from shared.mail import FolderListing, KnownStatus, MailDestination, MailSource
from shared.mail.imap import ImapSession
from shared.mail.limits import append_limit
from shared.mail.numbers import known_statuses
from shared.mail.pop3_reading import Readings
from shared.mail.quota import storage_of
from shared.mail.sasl import Proof
from shared.mail.ways import Ways
from shared.maildrop import Glance
from shared.model import Endpoint, Options

#: What an account shows that is not there yet.
_EMPTY: Final = FolderListing(prefix=b"", separator="/", folders=())
#: Mailboxes looked into at the same time, at most; no provider allows less to one host.
MOST_AT_ONCE: Final = 16
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
        """Whether both ends work."""
        return self.source.ok and self.destination.ok

    @property
    def warning(self) -> str:
        """What to look at although both ends work; "" for nothing."""
        return "; ".join(filter(None, (self._room, self.source.caution if self.ok else "")))

    @property
    def _room(self) -> str:
        quota, used = self.destination.quota_bytes, self.destination.quota_used_bytes or 0
        if (
            self.ok
            and quota is not None
            and self.source.size_bytes is not None
            and used + self.source.size_bytes > quota
        ):
            return "the source's mail may not fit into the destination's quota"
        return ""


#: Told how many rows are done, of how many.
Told = Callable[[int, int], None]
_T = TypeVar("_T")


class Scan:
    """Looks into the rows' accounts, several at a time within the limits of the settings."""

    def __init__(self, source: Endpoint, destination: Endpoint, settings: Settings, told: Told | None = None,
        accounts: AccountsSeen | None = None, sign_ins: Mapping[str, SignInAsked] | None = None,
    ) -> None:  # fmt: skip
        self._sign_ins = sign_ins or {}
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

    def check(self, rows: Sequence[Row], options: Options) -> list[Checked]:
        """Every row, in the manifest's order."""
        return self._each(rows, lambda row: self._check(row, shared=options.shared_folders == "copy"))

    def plan(self, rows: Sequence[Row], options: Options, warnings: Sequence[str] = ()) -> DryRun:
        """What an import of these rows would do."""
        lines = self._each(rows, lambda row: self._plan(row, options))
        strange = unmatched(options.folder_map, [folder.source for line in lines for folder in line.folders])
        return DryRun(
            source=self._source.url,
            destination=self._destination.url,
            mailboxes=tuple(lines),
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

    def _check(self, row: Row, *, shared: bool) -> Checked:
        return Checked(
            row=row.line,
            login=row.login,
            destination_login=row.new_login,
            server=row.server.url if row.server else "",
            source=self._look("source", row.server or self._source, row, shared=shared),
            destination=self._new_account(row) or self._look("destination", self._destination, row, shared=False),
        )

    def _new_account(self, row: Row) -> Side | None:
        """What is to be said of the destination without signing in: the account would be created, or would not."""
        seen = self._accounts.of(row) if self._accounts else None
        if seen is None or (seen.state == "there" and not seen.failure):
            return None
        if seen.state == "missing":
            return Side(ok=True, would_create=True)
        return Side(failure=f"destination: {seen.failure}", advice=seen.advice)

    def _look(self, side: str, endpoint: Endpoint, row: Row, *, shared: bool) -> Side:
        try:
            with self._session(side, endpoint, row) as mail:
                names, apart = readable(mail.listing(), shared=shared)
                statuses = dict(zip(names, known_statuses(mail, names), strict=True))
                known = {name: status for name, status in statuses.items() if not isinstance(status, Exception)}
                size = sum(_size(mail, name, status) for name, status in known.items()) if side == "source" else None
                quota = storage_of(mail.session) if isinstance(mail, ImapSession) else None
                return Side(
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
                )
        except MailError as error:
            return _refused(error, endpoint, row.login if side == "source" else row.new_login)

    def _plan(self, row: Row, options: Options) -> MailboxLine:
        line = MailboxLine(row=row.line, login=row.login, destination_login=row.new_login)
        if (new := self._new_account(row)) and not new.ok:
            return replace(line, problem=f"{new.failure}; {new.advice}")
        line = replace(line, would_create=new is not None)
        try:
            with contextlib.ExitStack() as stack:
                source = stack.enter_context(self._session("source", row.server or self._source, row))
                here, most = _EMPTY, None
                if not line.would_create:
                    opened = self._session("destination", self._destination, row)
                    destination = stack.enter_context(opened)
                    here, most = destination.listing(), append_limit(destination.capabilities)
                return replace(line, folders=foresee(cast(MailSource, source), here, options, most))
        except MailError as error:
            ours = error.side == "source"
            place = row.server or self._source if ours else self._destination
            side = _refused(error, place, row.login if ours else row.new_login)
            return replace(line, problem=f"{error}; {side.advice}")

    @contextlib.contextmanager
    def _session(self, side: str, endpoint: Endpoint, row: Row) -> Iterator[Looking]:
        ways = self._ways

        def connect(proof: Proof) -> Looking:
            return ways.source(endpoint, proof, Glance()) if side == "source" else ways.destination(endpoint, proof)

        visitor = visitor_of(side, endpoint, row, self._sign_ins.get(side, SignInAsked()))
        mail = self._admission.enter(visitor, connect)
        try:
            yield mail
        except BaseException:
            mail.abort()
            raise
        mail.close()


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
