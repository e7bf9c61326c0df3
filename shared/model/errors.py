"""The tree of errors.

The type says whose fault an error was; `worker.decisions.failures` decides what is done about it, not the place that raises it.

`detail` is what the server said, already cleaned of control characters and secrets; it may be shown to a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

from shared.model.sides import Limited, Side
from shared.model.uids import UidSet
from shared.wording.masking import masked
from shared.wording.often_said import OF_SIDE, SERVER_SAID
from shared.wording.phrases import Phrase
from shared.wording.roots import MailhaulError as MailhaulError
from shared.wording.roots import UsageError as UsageError

SEE_WHETHER_WRONG_COLUMN_WAS_TAKEN: Final = Phrase(
    "see_whether_wrong_column_was_taken",
    "see whether the wrong column was taken, or the server wants another form of the login (name or address)",
)
CHECK_BOTH_ENDS: Final = Phrase(
    "check_both_ends",
    "check --source, --destination and the logins; where it is meant, give --same-mailbox",
)
NOTHING_IT_GOES_ON_BY_ITSELF: Final = Phrase(
    "nothing_it_goes_on_by_itself", "nothing: it goes on by itself; to have more or less: mailhaul limits {name} MOST"
)
STATE_BEFORE_SWITCH_FORGOTTEN: Final = Phrase(
    "state_before_switch_forgotten",
    "what was there before the switch is no longer known: the import it belonged to is closed",
)
COPY_BACK_STOPPED_BEFORE_IT_BEGAN: Final = Phrase(
    "copy_back_stopped_before_it_began", "its copy back stopped before it knew which of its messages stand there"
)
SEE_WHAT_ACCOUNT_SERVICE_SAYS: Final = Phrase(
    "see_what_account_service_says", "see what the account service says, put it right, then: mailhaul retry {id}"
)
LET_IT_END_MAILHAUL_RETRY: Final = Phrase(
    "let_it_end_mailhaul_retry", "let it end: mailhaul retry '{name}'; this mailbox goes on by itself then"
)


class CredentialsError(MailhaulError):
    """Stored credentials cannot be opened, or are missing."""


class StoreError(MailhaulError):
    """The state store is unreachable, or refuses to write."""


class StoreRestarted(StoreError):
    """The state store was started again meanwhile, and may have lost what was written just before."""


class ChangedMeanwhile(StoreError):
    """Somebody else changed an import between the reads and the writes of a change that happens at once. Nothing was done."""


class UnderWay(StoreError):
    """The state store refuses to forget, or to put away, what is under way."""


class LeaseLost(MailhaulError):
    """Another worker may hold this unit now. The worker must stop at once whatever it was doing."""


class LedgerConflict(MailhaulError):
    """A destination UID was offered to the ledger twice; the ledger is a bijection and refused it."""


class FolderInUse(MailhaulError):
    """A plan would void a folder's ledger while lanes have messages on the wire to it, or left some that may still arrive.

    The plan waits for `seconds`, and is made anew then.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"lanes wrote into the folder that is to be planned anew: it is planned in {seconds:.1f} s")


class ControlRequested(MailhaulError):
    """An operator paused or cancelled this mailbox or import: the lane stops at the next group."""


class MailError(MailhaulError):
    """A mail server's refusal or fault. `side` says which server ("source" or "destination")."""

    #: Source UIDs that a refused FETCH did not bring; empty for other errors.
    uids: UidSet = UidSet()
    #: The remedy for just this error; "" for the advice of `worker.decisions.failures` on its kind.
    advice: str = ""
    #: Whether the server may have refused the form of the command, and not what it asks for: a BAD, a NO without a
    #: reason.
    form: bool = False
    #: Whether the server may take a refused message now, in another form.
    again: bool = False

    def __init__(self, side: Side, what: str, detail: str = "", advice: str = "") -> None:
        self.side, self.what, self.detail = side, what, detail
        self.advice = advice or type(self).advice
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        of_side = OF_SIDE.says(side_word=self.side, what=self.what)
        return SERVER_SAID.says(what=of_side, said=self.detail) if self.detail else of_side

    def kept(self) -> Self:
        """Returns the error without the stack that raised it, whose frames hold all that was read there.

        Who keeps errors for later keeps no more than what they say: a server can send a thousand of them.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self

    def hide(self, secrets: Iterable[str]) -> None:
        """Takes these secrets out of all words.

        A server knows them from earlier connections, and may say them before they are shown to it again.
        """
        hidden = tuple(secrets)
        self.what, self.detail, self.advice = (masked(one, hidden) for one in (self.what, self.detail, self.advice))
        self.args = (self._sentence(),)


class ConnectionLost(MailError):
    """The connection broke, timed out or was closed (BYE). What was in flight is in doubt."""


class NothingRead(ConnectionLost):
    """The connection ended at each message of the folder that was asked for, and can be opened anew."""


class Unreachable(MailError):
    """A connection could not be opened: name not found, refused, timed out, or closed before signing in."""


class ProtocolViolation(MailError):
    """The server said something that IMAP does not allow, or answered BAD; the connection is closed."""


class TlsFailed(MailError):
    """The certificate did not prove the server's identity, or TLS was refused. `advice` is what to do about it.

    `pin` is the SHA-256 of the certificate that the server showed; "" where it showed none.
    """

    def __init__(self, side: Side, what: str, detail: str = "", *, advice: str, pin: str = "") -> None:
        super().__init__(side, what, detail)
        self.advice, self.pin = advice, pin


class WrongProtocol(MailError):
    """The port greets in another protocol than the URL's. `advice` is the right URL."""


class AuthenticationRefused(MailError):
    """The server refused the credentials. They are not tried again until a person changes them."""


class AuthorizationRefused(AuthenticationRefused):
    """The server accepted the administrator's login, but not for this account: the fault is this account's alone."""


class LoginsStopped(AuthenticationRefused):
    """The login was not tried, because the first logins at its server were all refused.

    Each further try brings the server closer to locking accounts or shutting out this address.
    """

    WHAT = Phrase(
        "login_not_tried_since_first_ones_refused", "this login is not tried, since every login was refused so far"
    ).says()
    advice = SEE_WHETHER_WRONG_COLUMN_WAS_TAKEN.says()

    def __init__(self, side: Side) -> None:
        super().__init__(side, self.WHAT)


class Throttled(MailError):
    """The server asked to wait.

    `wait_seconds` is what it said, or None. `scope` says what to leave alone meanwhile: "account" or "host". `crowded`: it
    refused a connection, since there are too many.
    """

    def __init__(
        self,
        side: Side,
        what: str,
        detail: str = "",
        wait_seconds: float | None = None,
        scope: Limited = Limited.ACCOUNT,
        *,
        crowded: bool = False,
    ) -> None:
        super().__init__(side, what, detail)
        self.wait_seconds, self.scope, self.crowded = wait_seconds, scope, crowded


class RateReached(MailError):
    """A rate that an operator set, or that is usual at this server, is used up for longer than a lane waits.

    The usual rates are in `shared.model.rates`. `name` is the rate, as in "source_account.bytes_per_day".
    """

    def __init__(self, side: Side, what: str, name: str) -> None:
        super().__init__(side, what)
        self.name = name
        self.advice = NOTHING_IT_GOES_ON_BY_ITSELF.says(name=name)


class OverQuota(MailError):
    """The destination mailbox is full (RFC 9208 OVERQUOTA)."""


class ForeignWriter(MailError):
    """Another writer brings the same messages into the destination mailbox: to go on would be to guess."""


class SameMailbox(MailError):
    """The two ends are one mailbox, or look as if they were given the wrong way round."""

    #: The sentences for one mailbox, and for a whole list.
    ONE = Phrase("source_and_destination_are_same_mailbox", "source and destination are the same mailbox").says()
    SWAPPED = Phrase(
        "every_source_mailbox_is_empty",
        "every source mailbox is empty and every destination is not: were source and destination swapped?",
    ).says()
    advice = CHECK_BOTH_ENDS.says()


class NothingKnown(MailError):
    """The import that a copy back returns, or what was kept just before the switch, is forgotten."""

    def __init__(self) -> None:
        super().__init__(Side.SOURCE, STATE_BEFORE_SWITCH_FORGOTTEN.says())


class CopyBackInDoubt(MailError):
    """The mailbox's copy back stopped after it had sent mail to the source that it has not found there yet."""

    def __init__(self, name: str) -> None:
        super().__init__(
            Side.SOURCE,
            COPY_BACK_STOPPED_BEFORE_IT_BEGAN.says(),
            advice=LET_IT_END_MAILHAUL_RETRY.says(name=name),
        )


class MaybeSwapped(MailError):
    """The source is empty and the destination is not: the mailbox waits for what the import's other mailboxes show."""


class AccountDelayed(MailError):
    """The account at the destination cannot be had yet: its service asked to wait, or it is not the mailbox's turn."""

    def __init__(self, what: str, wait_seconds: float) -> None:
        super().__init__(Side.DESTINATION, what)
        self.wait_seconds = wait_seconds


class AccountRejected(MailError):
    """The account at the destination will not be made until a person changes something. `advice` says what."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(Side.DESTINATION, what)
        self.advice = advice or SEE_WHAT_ACCOUNT_SERVICE_SAYS.says(id="IMPORT")


class FolderRefused(MailError):
    """This folder cannot be selected, listed or created; others can."""


class FolderVanished(FolderRefused):
    """The source lists this folder no more, neither when it was planned nor now: its messages are gone with it."""


class FolderChanged(MailError):
    """UIDVALIDITY is not the one that the plan was made under: the folder has to be planned anew."""


class MessagesRefused(MailError):
    """The destination refused these messages (NO to APPEND).

    A bisection finds out which message is at fault, if any.
    """

    #: Whether the response code says that the message is at fault.
    of_itself = False
    #: Whether the response code says that the server is at fault.
    of_the_server = False


class DateNotKept(MessagesRefused):
    """The destination refuses the internal date of this message, or stores another one: it may be taken with another."""


class NothingTaken(OverQuota):
    """The destination refuses one message after the other in the same words, although it took messages before.

    None of the words concerns a message. The mailbox waits as for want of room.
    """


class ServerRefused(MailError):
    """The server answered NO, in a way that no other class covers."""


class MessageEndsConnection(ServerRefused):
    """The server ends the connection whenever one of these messages is asked for, and gives others.

    The connection was opened anew, and goes on.
    """


class NoRoomHere(ServerRefused):
    """A message was too large for this machine's temporary folder.

    All of it was read and thrown away; everything else comes, and the connection goes on.
    """


class AnswerUnreadable(ServerRefused):
    """An answer was delimited but not understood; `detail` is its text.

    The item that it was about did not come, everything else did, and the connection goes on.
    """
