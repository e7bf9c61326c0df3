"""The meaning of errors: one table, from an error's type and side to what is done about it. Pure.

Waiting is not failing: `Disposition.WAIT` gives the attempt back. The failure of one message never costs its neighbours, of
one folder never the mailbox, of one mailbox never the import.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Final

from shared.model import Failure, Mailbox, UnitKind, errors
from shared.model.lifecycle import Disposition, Wish
from shared.model.sides import Limited
from shared.nouns import dataclass
from shared.rules.standing import LOOK_HOLD
from shared.wording.often_said import OF_SIDE
from shared.wording.phrases import Phrase, several, text_of

THEN_IMPORT_AGAIN: Final = Phrase("then_import_again", "then run the import command again")
THEN_OTHER_CREDENTIALS: Final = Phrase(
    "then_other_credentials",
    "then: mailhaul credentials {id} FILE.csv, or mailhaul retry {id}. As soon as one login is accepted, all go on",
)
UNEXPECTED: Final = Phrase("unexpected", "unexpected {name}")

SEE_WHAT_SERVER_SAYS_THEN_RETRY: Final = Phrase(
    "see_what_server_says_then_retry", "see what the server says; when it is mended: mailhaul retry {id}"
)
SEE_THAT_ACCOUNT: Final = Phrase(
    "see_that_account", "see that the account is there and may be signed in to for others, then: mailhaul retry {id}"
)
CORRECT_THE_PASSWORD: Final = Phrase(
    "correct_the_password", "correct the password in a CSV and run: mailhaul credentials {id} FILE.csv"
)
GIVE_CREDENTIALS_AGAIN: Final = Phrase(
    "give_credentials_again", "give the credentials again: mailhaul credentials {id} FILE.csv"
)
DISK_MAY_BE_FULL: Final = Phrase(
    "disk_may_be_full",
    "see what the server says: its disk may be full; while workers run (mailhaul up) it is tried "
    "again by itself; at once by: mailhaul retry {id}",
)
MAKE_ROOM_OR_RAISE_QUOTA: Final = Phrase(
    "make_room_or_raise_quota",
    "make room or raise the quota at the destination: while workers run (mailhaul up) it is tried "
    "again by itself; at once by: mailhaul retry {id}",
)
STOP_OTHER_WRITER: Final = Phrase(
    "stop_other_writer",
    "stop whatever else writes there (another mailhaul with a state folder of its own, another "
    "program), or let it end; then: mailhaul retry {name}. What it brought is not copied again",
)
WHAT_CAME_SINCE_SWITCH: Final = Phrase(
    "what_came_since_switch", "what came since the switch is at the new server: bring it back by an import of its own"
)
CHECK_NETWORK_MAILHAUL_GOES_ON: Final = Phrase(
    "check_network_mailhaul_goes_on",
    "check host, port and firewall; mailhaul goes on by itself when the server answers",
)
CHECK_NETWORK_THEN_RETRY: Final = Phrase(
    "check_network_then_retry",
    "check host, port and firewall; when the server answers: mailhaul retry {id}",
)
FOLDER_MAY_NOT_BE_OPENED: Final = Phrase(
    "folder_may_not_be_opened",
    "the server does not let this folder be opened; see its words, then: mailhaul retry {id}",
)
INTERNAL_ERROR_PLEASE_REPORT: Final = Phrase(
    "internal_error_please_report", "internal error; please report it with the worker's log"
)
LEASE_RAN_OUT_SESSIONS_SHUT: Final = Phrase(
    "lease_ran_out_sessions_shut", "the lease ran out, and the sessions were shut"
)

#: Number of claims of a unit that end without progress before it is halved, or given up when it cannot be halved.
ATTEMPTS = 3

#: Attempts of a plan or a verification; the last one parks the mailbox with the error that it met.
UNIT_ATTEMPTS = 6

#: The advice for a parked mailbox where the table gives none.
MENDED = SEE_WHAT_SERVER_SAYS_THEN_RETRY.says(id="IMPORT")

#: Consecutive failures to reach a server before the mailbox is parked: about ten minutes.
UNREACHABLE_TIMES = 14
#: The time for which a look that failed waits first, and at most, seconds.
LOOK_SECONDS, LOOK_MOST_SECONDS = 15.0, 600.0
#: The longest time for which no other look is begun at a source that could not be reached, seconds: of thousands that are
#: due one asks.
LOOK_REST_SECONDS = 60.0

#: Seconds until a mailbox without room is looked at again, by how often that happened in a row; then always the last.
ROOM_SECONDS = (60.0, 300.0, 900.0, 3600.0)

#: Code while the mailbox waits for other mailboxes to show mail; it is judged after `SWAPPED_LOOKS` looks.
PERHAPS_SWAPPED = "perhaps_swapped"
SWAPPED_LOOKS = 4

#: Seconds to leave a server alone that asks to wait without saying how long.
THROTTLE_SECONDS = 60.0

#: Codes of a folder that is another than the one that was planned.
FOLDER_CHANGED = ("source_folder_changed", "destination_folder_changed")

#: Number of times that a mailbox is planned anew because of such folders in a row; after that they are refused, or not read.
MOST_REMADE = 3

#: Code of a unit that ended since the operator wanted so.
CONTROL = "control"

#: Code of a destination into which somebody else brings the same mail.
FOREIGN_WRITER = "destination_foreign_writer"

#: Code of a destination that refuses one message after the other.
TAKES_NOTHING = "destination_takes_nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The decision about one error."""

    #: Stable code, for the operator, metrics and scripts.
    code: str
    #: The fate of the unit.
    how: Disposition
    #: The subject of the error: message, folder, mailbox, endpoint, import or worker.
    scope: str
    #: Seconds before the unit may be claimed again.
    delay_seconds: float = 0.0
    #: Scope of the limit to leave alone meanwhile: "source_account", "destination_host", … or ""; `LOOK_HOLD` for looks alone.
    hold: str = ""
    #: Advice for the operator; "" for none.
    advice: str = ""
    #: Seconds after which what is parked is tried again by itself; 0: not before the operator acts.
    again_seconds: float = 0.0

    @property
    def told(self) -> bool:
        """Tells whether it is a failure of the mailbox, and not just the operator's wish."""
        return self.code != CONTROL


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureRule:
    """A line of the table: the meaning of errors of this type."""

    #: Error type; the first row that fits decides.
    error: type[BaseException]
    #: Code, with {side} filled in.
    code: str
    #: The field of `Verdict`.
    how: Disposition
    #: The field of `Verdict`.
    scope: str
    #: First delay in seconds; doubles with each attempt up to `most_seconds`.
    delay_seconds: float = 0.0
    #: Longest delay.
    most_seconds: float = 60.0
    #: The attempt that parks the mailbox, for what is tried again, whatever the attempts before it brought; 0: as for the
    #: unit's kind.
    attempts: int = 0
    #: Which of the side's limits is put on hold.
    hold: Limited | None = None
    #: Seconds after which what is parked is tried again by itself, by how often it happened in a row; (): it is not.
    again: tuple[float, ...] = ()
    #: Advice for the operator, where the error itself advises nothing.
    advice: str = ""
    #: The text behind the error's own advice; "" for nothing.
    then: str = ""


TABLE: tuple[FailureRule, ...] = (
    FailureRule(error=errors.LeaseLost, code="lease_lost", how=Disposition.DROP, scope="worker"),
    FailureRule(error=errors.StoreError, code="store_unreachable", how=Disposition.DROP, scope="worker"),
    FailureRule(error=errors.ControlRequested, code=CONTROL, how=Disposition.WAIT, scope="mailbox"),
    FailureRule(
        error=errors.AuthorizationRefused,
        code="{side}_auth_refused",
        how=Disposition.PARK,
        scope="mailbox",
        advice=SEE_THAT_ACCOUNT.says(id="IMPORT"),
    ),
    FailureRule(
        error=errors.LoginsStopped,
        code="{side}_logins_stopped",
        how=Disposition.PARK,
        scope="endpoint",
        then=THEN_OTHER_CREDENTIALS.says(id="IMPORT"),
    ),
    FailureRule(
        error=errors.AuthenticationRefused,
        code="{side}_auth_refused",
        how=Disposition.PARK,
        scope="mailbox",
        advice=CORRECT_THE_PASSWORD.says(id="IMPORT"),
    ),
    FailureRule(
        error=errors.CredentialsError,
        code="credentials_missing",
        how=Disposition.PARK,
        scope="mailbox",
        advice=GIVE_CREDENTIALS_AGAIN.says(id="IMPORT"),
    ),
    FailureRule(
        error=errors.TlsFailed,
        code="{side}_tls",
        how=Disposition.PARK,
        scope="endpoint",
        then=THEN_IMPORT_AGAIN.says(),
    ),
    FailureRule(
        error=errors.WrongProtocol,
        code="{side}_wrong_protocol",
        how=Disposition.PARK,
        scope="endpoint",
        then=THEN_IMPORT_AGAIN.says(),
    ),
    FailureRule(
        error=errors.NothingTaken,
        code=TAKES_NOTHING,
        how=Disposition.PARK,
        scope="mailbox",
        again=ROOM_SECONDS,
        advice=DISK_MAY_BE_FULL.says(id="IMPORT"),
    ),
    FailureRule(
        error=errors.OverQuota,
        code="{side}_over_quota",
        how=Disposition.PARK,
        scope="mailbox",
        again=ROOM_SECONDS,
        advice=MAKE_ROOM_OR_RAISE_QUOTA.says(id="IMPORT"),
    ),
    FailureRule(
        # A writer that has ended, as a lane of ours of which Redis lost all traces in a power cut, brings no more: what it
        # brought is in the ledger when the unit is tried again. One that goes on is met again. The attempts are as many as
        # for a plan, since workers that were killed in the unit took some.
        error=errors.ForeignWriter,
        code=FOREIGN_WRITER,
        how=Disposition.AGAIN,
        scope="mailbox",
        delay_seconds=2.0,
        most_seconds=10.0,
        attempts=UNIT_ATTEMPTS,
        advice=STOP_OTHER_WRITER.says(name="IMPORT"),
    ),
    FailureRule(error=errors.SameMailbox, code="same_mailbox", how=Disposition.PARK, scope="mailbox"),
    FailureRule(
        error=errors.NothingKnown,
        code="nothing_known",
        how=Disposition.PARK,
        scope="mailbox",
        advice=WHAT_CAME_SINCE_SWITCH.says(),
    ),
    FailureRule(
        error=errors.CopyBackInDoubt,
        code="return_in_doubt",
        how=Disposition.WAIT,
        scope="mailbox",
        delay_seconds=60,
        most_seconds=600,
    ),
    FailureRule(
        error=errors.MaybeSwapped,
        code=PERHAPS_SWAPPED,
        how=Disposition.WAIT,
        scope="mailbox",
        delay_seconds=2,
        most_seconds=8,
    ),
    FailureRule(
        error=errors.Throttled, code="{side}_throttled", how=Disposition.WAIT, scope="endpoint", hold=Limited.ACCOUNT
    ),
    # No hold is set: `claim` looks at the meters, so that a changed rate counts at once.
    FailureRule(error=errors.RateReached, code="rate_waiting", how=Disposition.WAIT, scope="endpoint"),
    FailureRule(
        error=errors.Unreachable,
        code="{side}_unreachable",
        how=Disposition.WAIT,
        scope="endpoint",
        delay_seconds=2,
        advice=CHECK_NETWORK_MAILHAUL_GOES_ON.says(),
    ),
    # The last of three attempts gives up all messages of a batch: a server whose disk is away for a minute is waited for.
    FailureRule(
        error=errors.NothingRead,
        code="{side}_connection_lost",
        how=Disposition.AGAIN,
        scope="folder",
        delay_seconds=30,
    ),
    FailureRule(
        error=errors.ConnectionLost,
        code="{side}_connection_lost",
        how=Disposition.AGAIN,
        scope="endpoint",
        delay_seconds=1,
    ),
    FailureRule(
        error=errors.ProtocolViolation, code="{side}_protocol", how=Disposition.AGAIN, scope="endpoint", delay_seconds=2
    ),
    FailureRule(
        error=errors.FolderChanged,
        code="{side}_folder_changed",
        how=Disposition.REPLAN,
        scope="folder",
        delay_seconds=5,
    ),
    FailureRule(
        error=errors.FolderVanished,
        code="{side}_folder_vanished",
        how=Disposition.GIVE_UP,
        scope="folder",
        delay_seconds=5,
    ),
    FailureRule(
        error=errors.FolderRefused,
        code="{side}_folder_refused",
        how=Disposition.GIVE_UP,
        scope="folder",
        delay_seconds=5,
        advice=FOLDER_MAY_NOT_BE_OPENED.says(id="IMPORT"),
    ),
    FailureRule(error=errors.AccountDelayed, code="account_waiting", how=Disposition.WAIT, scope="mailbox"),
    FailureRule(error=errors.AccountRejected, code="account_rejected", how=Disposition.PARK, scope="mailbox"),
    FailureRule(
        error=errors.LedgerConflict, code="ledger_conflict", how=Disposition.AGAIN, scope="folder", delay_seconds=1
    ),
    FailureRule(error=errors.MailError, code="{side}_refused", how=Disposition.AGAIN, scope="folder", delay_seconds=2),
    FailureRule(
        error=Exception,
        code="fault",
        how=Disposition.AGAIN,
        scope="worker",
        delay_seconds=2,
        advice=INTERNAL_ERROR_PLEASE_REPORT.says(),
    ),
)


def changed_in_a_row(mailbox: Mailbox) -> int:
    """Returns how many times in a row, until now, the mailbox is planned anew because of such folders (`FOLDER_CHANGED`)."""
    failure = mailbox.failure
    return failure.times if failure and failure.code in FOLDER_CHANGED else 0


def meant(error: BaseException, wish: Wish) -> BaseException:
    """Returns the error that a broken connection stands for, where the lease keeper shut the sessions itself."""
    if not isinstance(error, errors.ConnectionLost):
        return error
    match wish:
        case Wish.LOST:
            return errors.LeaseLost(LEASE_RAN_OUT_SESSIONS_SHUT.says())
        case Wish.PAUSE | Wish.CANCEL | Wish.YIELD | Wish.LEAVE:
            return errors.ControlRequested(wish)
    return error


def judge(
    error: BaseException,
    attempts: int,
    before: Failure | None = None,
    *,
    kind: UnitKind = UnitKind.COPY,
    patient: bool = False,
    progressed: bool = False,
    in_doubt: bool = False,
) -> Verdict:
    """Decides what to do about `error` in the unit's `attempts`-th attempt; `before` is the mailbox's last failure.

    - `kind`: a plan or a verification has no messages to give up, so its last attempt parks the mailbox; a look asks a
      server that does not answer until it does.
    - `patient`: of a pass that follows a look, in which such a server parks the mailbox only for a while.
    - `progressed`: the attempt brought messages to an outcome, so it does not count.
    - `in_doubt`: copies may be at the destination that cannot be looked for while the folder stays closed, so no
      message may be called failed.
    """
    row = next(row for row in TABLE if isinstance(error, row.error))
    side = error.side if isinstance(error, errors.MailError) else None
    code = row.code.format(side=side or "")
    times = before.times if before and before.code == code else 0
    delay = min(row.delay_seconds * 2 ** min(max(attempts - 1, times), 10), row.most_seconds)
    held = error.scope if isinstance(error, errors.Throttled) else row.hold
    hold: str = side.limit(held) if row.hold and held and side else ""
    if isinstance(error, errors.Throttled):
        delay = error.wait_seconds or THROTTLE_SECONDS
    if isinstance(error, errors.AccountDelayed):
        delay = error.wait_seconds
    how = _disposition(error, row, attempts, times, kind, in_doubt=in_doubt)
    own = error.advice if isinstance(error, errors.MailError) else ""
    advice = several((own or row.advice, row.then))
    if how is Disposition.PARK:
        advice = advice or MENDED
    again = row.again[min(times, len(row.again) - 1)] if row.again else 0.0
    if how is Disposition.PARK and patient and isinstance(error, errors.Unreachable | errors.ConnectionLost):
        again = LOOK_MOST_SECONDS
    if kind is UnitKind.LOOK and isinstance(error, errors.MailError) and row.how in _ASKED_ON and not hold:
        how, again = Disposition.WAIT, 0.0
        delay = min(LOOK_SECONDS * 2 ** min(times, 10), LOOK_MOST_SECONDS)
        hold = LOOK_HOLD if isinstance(error, errors.Unreachable) else ""
    if how is Disposition.PARK and isinstance(error, errors.Unreachable) and not again:
        advice = own or CHECK_NETWORK_THEN_RETRY.says(id="IMPORT")  # it was tried for ten minutes, and is not any more
    if how is Disposition.AGAIN and progressed and not row.attempts:
        how = Disposition.WAIT
    return Verdict(
        code=code, how=how, scope=row.scope, delay_seconds=delay, hold=hold, advice=advice, again_seconds=again
    )


#: The dispositions that become another look when a look fails: nothing is open at the destination then, and no person
#: need act.
_ASKED_ON = (Disposition.AGAIN, Disposition.WAIT, Disposition.REPLAN, Disposition.GIVE_UP)


def _disposition(
    error: BaseException, row: FailureRule, attempts: int, times: int, kind: UnitKind, *, in_doubt: bool
) -> Disposition:
    """Returns what the table says, except where attempts have run out or something is in doubt."""
    how = row.how
    if isinstance(error, errors.Unreachable) and times + 1 >= UNREACHABLE_TIMES:
        how = Disposition.PARK
    if how is Disposition.GIVE_UP and attempts < ATTEMPTS:
        how = Disposition.AGAIN
    if how is Disposition.AGAIN and row.attempts and attempts >= row.attempts:
        how = Disposition.PARK
    whole = kind is not UnitKind.COPY
    if whole and (how is Disposition.GIVE_UP or (how is Disposition.AGAIN and attempts >= UNIT_ATTEMPTS)):
        how = Disposition.PARK
    if how is Disposition.GIVE_UP and in_doubt:
        how = Disposition.PARK
    return how


def describe(
    error: BaseException,
    verdict: Verdict,
    at: float,
    folder: str,
    before: Failure | None,
    missing_bytes: int = 0,
) -> Failure:
    """Returns the failure as the operator reads it."""
    sentence: str
    if isinstance(error, errors.MailError):
        sentence, detail = _sentence(error), error.detail
    elif isinstance(error, errors.MailhaulError):
        sentence, detail = text_of(error), ""
    else:
        # The text of an unknown exception may hold anything, a password included; its type is enough here.
        sentence, detail = UNEXPECTED.says(name=type(error).__name__), ""
    alike = before is not None and (before.code == verdict.code or {before.code, verdict.code} <= _outage(verdict.code))
    times = before.times + 1 if before and before.code == verdict.code else 1
    going_on = verdict.how in (Disposition.AGAIN, Disposition.WAIT, Disposition.REPLAN) or bool(verdict.again_seconds)
    return Failure(
        code=verdict.code,
        sentence=sentence,
        detail=detail,
        advice=verdict.advice,
        at=at,
        folder=folder,
        times=times,
        since=(before.since or before.at) if before and alike else at,
        next_at=at + (verdict.again_seconds or verdict.delay_seconds) if going_on else 0.0,
        missing_bytes=missing_bytes,
    )


def same_in_a_row(mailbox: Mailbox, failures: Iterable[Failure], error: errors.MailError, folder: str) -> int:
    """Returns how many of the mailbox's last `failures`, newest first, tell of the same `error` in this folder.

    None counts from before an earlier pass ended, nor where the mailbox got on since.
    """
    if mailbox.over_at:
        return 0
    same = (_sentence(error), folder)
    told = takewhile(lambda one: one.at >= mailbox.looked_at and (one.sentence, one.folder) == same, failures)
    return sum(1 for _ in told)


def _sentence(error: errors.MailError) -> str:
    return OF_SIDE.says(side_word=error.side, what=error.what)


def _outage(code: str) -> set[str]:
    """Returns the codes that belong to one and the same outage.

    The connection breaks first, and then no other can be opened.
    """
    side = code.partition("_")[0]
    return {f"{side}_connection_lost", f"{side}_unreachable"}
