"""Asks both servers what they hold, for `check` and `plan`. Writes nothing: neither to a server nor to the store.

The scan never repeats a refused login, since a second refusal may lock the account. It signs in again only when a
connection was lost at an extension that the server announces.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from typing import Final, TypeVar, cast

from producer.forecast.gathering import load_of
from producer.forecast.loads import ForecastLimits, Load
from producer.intake.account_options import AccountsSeen
from producer.intake.brake import Brake
from producer.intake.checked import Checked, CheckedSide
from producer.intake.dry_run import DryRun, MailboxLine, totals
from producer.intake.foresee import foresee
from producer.intake.manifest_row import Row
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from producer.intake.visiting import ConnectionPlaces, admission, visitor_of
from producer.intake.wanted import unmatched
from shared.content.maildrop import ListingIdentities
from shared.folders.mapping import readable
from shared.folders.tree import is_inbox
from shared.mail import FolderListing, KnownStatus, MailDestination, MailSource
from shared.mail.answers.extensions import sentence
from shared.mail.answers.limits import append_limit
from shared.mail.answers.numbers import known_statuses
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_mailbox import ImapSession
from shared.mail.imap.quota import storage_of
from shared.mail.one_mailbox import may_be_one, same_folders, same_maildrop
from shared.mail.pop3.pop3_reading import Readings
from shared.mail.ways import Ways
from shared.model import Account, Endpoint, Options
from shared.model.choices import SharedFolders
from shared.model.errors import (
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
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.runtime.config import Settings
from shared.sign_in.admission import Visitor
from shared.wording.often_said import CHECK_HOST_PORT_AND_FIREWALL, OF_SIDE
from shared.wording.phrases import Phrase, several, text_of

CORRECT_LOGIN_AND_PASSWORD_IN_FILE: Final = Phrase(
    "correct_login_and_password_in_file", "correct login and password in the file"
)
SEE_WHAT_SERVER_SAYS: Final = Phrase("see_what_server_says", "see what the server says")
FOLDER_MAP_NO_MAILBOX: Final = Phrase("folder_map_no_mailbox", "--folder-map: no mailbox has a folder {folder}")

#: Listing of an account that does not exist yet.
_EMPTY: Final = FolderListing(prefix=b"", separator="/", folders=())
#: Most connections that one account's server may drop at an extension, one after the other.
_TRIES: Final = 6
_ADVICE: Final = (
    (AuthenticationRefused, CORRECT_LOGIN_AND_PASSWORD_IN_FILE.says()),
    (Unreachable, CHECK_HOST_PORT_AND_FIREWALL.says()),
    (MailError, SEE_WHAT_SERVER_SAYS.says()),
)


Looking = MailSource | MailDestination


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """An account, and the data by which both sides are compared."""

    #: The account as it was seen.
    side: CheckedSide
    #: Status of its folders, by name.
    statuses: Mapping[bytes, KnownStatus | Exception] = field(default_factory=dict)
    #: The session, which may be closed; None where there was none.
    mail: Looking | None = None


#: Callback: tells whether an earlier import copied from the first account into the folder of this UIDVALIDITY of the
#: second. Then it is no proof of one mailbox that both show the same mail. Asked only where they do, from any thread.
Brought = Callable[[Account, Account, int | None], bool]
#: Callback with the number of rows done, and of all rows.
Told = Callable[[int, int], None]
#: Told of a row that is looked into now (None), or what was found there; by several threads.
Step = Callable[[Row, Checked | None], None]
_T = TypeVar("_T")


class Scan:
    """Reads the rows' accounts, several at a time within the limits of the settings."""

    def __init__(
        self,
        source: Endpoint,
        destination: Endpoint,
        settings: Settings,
        told: Told | None = None,
        accounts: AccountsSeen | None = None,
        sign_ins: Mapping[Side, SignInAsked] | None = None,
        brought: Brought | None = None,
        places: ConnectionPlaces | None = None,
    ) -> None:
        """`brought`: see `Brought`; without it nothing is known of earlier imports. `places`: those of all scans."""
        self._brought = brought or (lambda source, destination, uidvalidity: False)
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
        self._lanes = settings.workers * settings.worker_threads
        self._default = settings.limits
        self._places = places or ConnectionPlaces(
            settings.source_host_connections, settings.destination_host_connections
        )
        #: Most mailboxes that are read at the same time.
        self.connections = min(self._places.most.values())

    def check(self, rows: Sequence[Row], options: Options, step: Step | None = None) -> list[Checked]:
        """Checks every row; returns the results in the manifest's order. Calls `step` when a row starts and ends."""

        def look(row: Row) -> Checked:
            if step:
                step(row, None)
            found = self._check(row, options)
            if step:
                step(row, found)
            return found

        return self._each(rows, look)

    def plan(
        self,
        rows: Sequence[Row],
        options: Options,
        warnings: Sequence[str] = (),
        given: Mapping[str, int] | None = None,
    ) -> DryRun:
        """Returns what an import of these rows would do. `given` are limits and rates that an operator set."""
        lines = self._each(rows, lambda row: self._plan(row, options))
        loads = tuple(self._load(row, line) for row, line in zip(rows, lines, strict=True) if not line.problem)
        strange = unmatched(options.folder_map, [folder.source for line in lines for folder in line.folders])
        return DryRun(
            source=self._source.url,
            destination=self._destination.url,
            mailboxes=tuple(lines),
            swapped=bool(lines)
            and all(line.backwards and not line.problem for line in lines)
            and not options.same_mailbox,
            warnings=(*warnings, *(FOLDER_MAP_NO_MAILBOX.says(folder=repr(name)) for name in strange)),
            connections=self.connections,
            loads=loads,
            limits=self._limits(rows, given or {}),
        )

    def _load(self, row: Row, line: MailboxLine) -> Load:
        sums = totals([line])
        source = Account(endpoint=row.server or self._source, login=row.login)
        destination = Account(endpoint=self._destination, login=row.new_login)
        return load_of(
            str(row.line), sums.messages, sums.size_bytes, source, destination, line=row.wave, priority=row.priority
        )

    def _limits(self, rows: Sequence[Row], given: Mapping[str, int]) -> ForecastLimits:
        sources = {row.server or self._source for row in rows}
        return ForecastLimits(
            lanes=self._lanes,
            given=given,
            usual=catalogue().usual_limits(sources, self._destination, {}),
            default=self._default,
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
            # After Ctrl-C, rows that have not begun are dropped.
            pool.shutdown(wait=False, cancel_futures=True)

    # -- a row

    def _check(self, row: Row, options: Options) -> Checked:
        there = self._look(
            Side.SOURCE, row.server or self._source, row, shared=options.shared_folders == SharedFolders.COPY
        )
        here = _Seen(side=new) if (new := self._new_account(row)) else None
        here = here or self._look(Side.DESTINATION, self._destination, row, shared=False)
        if not options.same_mailbox and self._one_mailbox(row, there, here):
            here = _Seen(
                side=CheckedSide(
                    failure=OF_SIDE.says(side_word="destination", what=SameMailbox.ONE), advice=SameMailbox.advice
                )
            )
        return Checked(
            row=row.line,
            login=row.login,
            destination_login=row.new_login,
            server=row.server.url if row.server else "",
            source=there.side,
            destination=here.side,
        )

    def _one_mailbox(self, row: Row, there: _Seen, here: _Seen) -> bool:
        """Tells whether both sides are one mailbox, as far as the servers show it."""
        source = row.server or self._source
        if there.mail is None or here.mail is None or not may_be_one(source, self._destination):
            return False
        theirs, ours = there.statuses.get(b"INBOX"), here.statuses.get(b"INBOX")
        ends = Account(endpoint=source, login=row.login), Account(endpoint=self._destination, login=row.new_login)
        same = same_folders(there.statuses, here.statuses)
        if not same and isinstance(theirs, KnownStatus) and isinstance(ours, KnownStatus):
            same = same_maildrop(cast(MailSource, there.mail), theirs, ours, ends)
        if not same:
            return False
        filled = [one.uidvalidity for one in here.statuses.values() if isinstance(one, KnownStatus) and one.messages]
        return not any(self._brought(*ends, uidvalidity) for uidvalidity in filled)

    def _new_account(self, row: Row) -> CheckedSide | None:
        """Returns what is known of the destination without signing in: the account would be created, or cannot be.

        Returns None if the account exists, or if no service is to create it.
        """
        seen = self._accounts.of(row) if self._accounts else None
        if seen is None or (seen.state == "there" and not seen.failure):
            return None
        if seen.state == "missing":
            return CheckedSide(ok=True, would_create=True)
        return CheckedSide(failure=OF_SIDE.says(side_word="destination", what=seen.failure), advice=seen.advice)

    def _look(self, side: Side, endpoint: Endpoint, row: Row, *, shared: bool) -> _Seen:
        try:
            return self._again([endpoint], lambda: self._looked(side, endpoint, row, shared=shared))
        except MailError as error:
            return _Seen(side=_refused(error, endpoint, row.login if side == Side.SOURCE else row.new_login))

    def _again(self, ends: Sequence[Endpoint], look: Callable[[], _T]) -> _T:
        """Calls `look`, and again each time that a connection was lost at an extension.

        The next connection does not use that extension.
        """
        known = [self._ways.servers.of(end.host, end.port) for end in ends]
        for _ in range(_TRIES):
            before = sum(broken.learned for broken in known)
            try:
                return look()
            except (ConnectionLost, ProtocolViolation, Unreachable):
                if sum(broken.learned for broken in known) == before:
                    raise
        return look()

    def _looked(self, side: Side, endpoint: Endpoint, row: Row, *, shared: bool) -> _Seen:
        with self._session(side, endpoint, row) as mail:
            names, apart = readable(mail.listing(), shared=shared)
            # Some servers report numbers for a folder that they refuse to open.
            mail.open(next(filter(is_inbox, names), b"INBOX"))
            statuses = dict(
                zip(names, known_statuses(mail, names, sized=side is Side.SOURCE, changes=True), strict=True)
            )
            known = {name: status for name, status in statuses.items() if not isinstance(status, Exception)}
            size = sum(_size(mail, name, status) for name, status in known.items()) if side == Side.SOURCE else None
            quota = storage_of(mail.session) if isinstance(mail, ImapSession) else None
            found = CheckedSide(
                ok=True,
                folders=len(known),
                other_folders=apart.other,
                public_folders=apart.public,
                left_out=apart.note() if side == Side.SOURCE else apart.untouched(),
                messages=sum(status.messages for status in known.values()),
                size_bytes=size,
                quota_bytes=quota.limit_bytes if quota else None,
                quota_used_bytes=quota.used_bytes if quota else None,
                caution=cast(MailSource, mail).caution() if side == Side.SOURCE else "",
                refuses=several(map(sentence, self._ways.servers.of(endpoint.host, endpoint.port).left_out)),
            )
            return _Seen(side=found, statuses=statuses, mail=mail)

    def _plan(self, row: Row, options: Options) -> MailboxLine:
        server = row.server.url if row.server else ""
        line = MailboxLine(row=row.line, login=row.login, destination_login=row.new_login, server=server)
        if (new := self._new_account(row)) and not new.ok:
            return replace(line, problem=several((new.failure, new.advice)))
        line = replace(line, would_create=new is not None)
        theirs = row.server or self._source
        try:
            return self._again([theirs, self._destination], lambda: self._foreseen(row, options, line))
        except MailError as error:
            ours = error.side == Side.SOURCE
            side = _refused(error, theirs if ours else self._destination, row.login if ours else row.new_login)
            return replace(line, problem=several((text_of(error), side.advice)))

    def _foreseen(self, row: Row, options: Options, line: MailboxLine) -> MailboxLine:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self._session(Side.SOURCE, row.server or self._source, row))
            here, most = _EMPTY, None
            if not line.would_create:
                opened = self._session(Side.DESTINATION, self._destination, row)
                destination = stack.enter_context(opened)
                here, most = destination.listing(), append_limit(destination.capabilities)
                theirs, ours = (self._seen(mail) for mail in (source, destination))
                if not options.same_mailbox and self._one_mailbox(row, theirs, ours):
                    return replace(line, problem=several((SameMailbox.ONE, SameMailbox.advice)))
                line = replace(line, backwards=not theirs.side.messages and ours.side.messages > 0)
            return replace(line, folders=foresee(cast(MailSource, source), here, options, most))

    @staticmethod
    def _seen(mail: Looking) -> _Seen:
        """Reads the folders of an open session, to compare both sides."""
        names, _ = readable(mail.listing(), shared=False)
        statuses = dict(zip(names, known_statuses(mail, names, changes=True), strict=True))
        counted = sum(one.messages for one in statuses.values() if not isinstance(one, Exception))
        return _Seen(side=CheckedSide(ok=True, messages=counted), statuses=statuses, mail=mail)

    @contextlib.contextmanager
    def _session(self, side: Side, endpoint: Endpoint, row: Row) -> Iterator[Looking]:
        ways = self._ways

        def connect(proof: Proof) -> Looking:
            return (
                ways.source(endpoint, proof, ListingIdentities())
                if side == Side.SOURCE
                else ways.destination(endpoint, proof)
            )

        visitor = visitor_of(side, endpoint, row, self._sign_ins.get(side, SignInAsked()))
        with self._places.place(side, endpoint.host):
            mail = self._entered(f"{side} {endpoint.url}", visitor, connect)
            try:
                yield mail
            except BaseException:
                mail.abort()
                raise
            mail.close()

    def _entered(self, server: str, visitor: Visitor, connect: Callable[[Proof], Looking]) -> Looking:
        """Signs in. Raises `LoginsStopped` if the server refused all of its first logins."""
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
    """Returns the bytes of the folder's messages, read message by message where the server does not report the sum.

    This only reads: a source is opened with EXAMINE. Returns 0 for a folder that the server refuses.
    """
    if status.size_bytes is not None or not status.messages:
        return status.size_bytes or 0
    try:
        return sum(size for _, size in mail.sizes(mail.open(name)))
    except FolderRefused:
        return 0


def _refused(error: MailError, endpoint: Endpoint, login: str) -> CheckedSide:
    advice = error.advice or next(advice for kind, advice in _ADVICE if isinstance(error, kind))
    if isinstance(error, AuthenticationRefused):
        advice = several((advice, catalogue().first_at(login, endpoint.host)))
    return CheckedSide(failure=OF_SIDE.says(side_word=error.side, what=error.what), detail=error.detail, advice=advice)
