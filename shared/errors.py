"""The one tree of errors. Whose fault it was stands in the type; what is done about it is decided in
`worker.failures`, not where it is raised.

`detail` is what the server said, already cleaned of control characters and secrets; it may be shown to a person.
"""

from __future__ import annotations

from shared.uids import UidSet


class MailhaulError(Exception):
    """Something that mailhaul has a word for. Its text is a sentence that a person can act on."""


class UsageError(MailhaulError):
    """The request itself is wrong: nothing was started. (Exit code 2.)"""


class CredentialsError(MailhaulError):
    """Stored credentials cannot be opened or are not there."""


class StoreError(MailhaulError):
    """The state store is unreachable, or refuses to write."""


class LeaseLost(MailhaulError):
    """Another worker holds this unit now. Whatever this worker was doing must stop at once."""


class LedgerConflict(MailhaulError):
    """A destination UID was offered to the ledger twice; the ledger is a bijection and refused it."""


class ControlRequested(MailhaulError):
    """A person paused or cancelled this mailbox or import; stop at the next group."""


class MailError(MailhaulError):
    """Something a mail server did. `side` says which ("source" or "destination")."""

    #: Source UIDs that a refused FETCH did not bring; empty for other errors.
    uids: UidSet = UidSet()
    #: What to do about just this one; "" for what `worker.failures` says of its kind.
    advice: str = ""
    #: Whether the form of the command may have been refused, and not what it asks for: a BAD, a NO without a reason.
    form: bool = False
    #: Whether a refused message may be taken now, in another form.
    again: bool = False

    def __init__(self, side: str, what: str, detail: str = "", advice: str = "") -> None:
        self.side, self.what, self.detail = side, what, detail
        self.advice = advice or type(self).advice
        super().__init__(f"{side}: {what}" + (f" (the server said: {detail})" if detail else ""))


class ConnectionLost(MailError):
    """The connection broke, timed out or was closed (BYE). What was in flight is in doubt."""


class Unreachable(MailError):
    """No connection could be opened: name not found, refused, timed out, or closed before signing in."""


class ProtocolViolation(MailError):
    """The server said something that IMAP does not allow, or answered BAD; the connection is closed."""


class TlsFailed(MailError):
    """The certificate did not prove who the server is, or TLS was refused. `advice` is what to do about it."""

    def __init__(self, side: str, what: str, detail: str = "", *, advice: str) -> None:
        super().__init__(side, what, detail)
        self.advice = advice


class WrongProtocol(MailError):
    """The port greets in another protocol than the URL's. `advice` is the right URL."""


class AuthenticationRefused(MailError):
    """The server refused the credentials. Not tried again until a person changes the credentials."""


class AuthorizationRefused(AuthenticationRefused):
    """The server took the administrator's login, but not for this account: that one is to blame alone."""


class LoginsStopped(AuthenticationRefused):
    """The login was not tried: the first logins of its server were all refused, and each try more counts there towards
    locking accounts or shutting out this address."""

    WHAT = "this login is not tried, since every login was refused so far"
    advice = "see whether the wrong column was taken, or the server wants another form of the login (name or address)"

    def __init__(self, side: str) -> None:
        super().__init__(side, self.WHAT)


class Throttled(MailError):
    """The server asked to wait. `wait_seconds` is what it said, or None. `scope` is whom to leave alone meanwhile: "account" or
    "host"."""

    def __init__(
        self, side: str, what: str, detail: str = "", wait_seconds: float | None = None, scope: str = "account"
    ) -> None:
        super().__init__(side, what, detail)
        self.wait_seconds, self.scope = wait_seconds, scope


class RateReached(MailError):
    """A rate that a person set, or that is usual at this server (`shared.rates`), is used up for longer than a lane waits.
    `name` is the rate, as in "source_account.bytes_per_day"."""

    def __init__(self, side: str, what: str, name: str) -> None:
        super().__init__(side, what)
        self.name = name
        self.advice = f"nothing: it goes on by itself; to have more or less: mailhaul limits {name} MOST"


class OverQuota(MailError):
    """The destination mailbox is full (RFC 9208 OVERQUOTA)."""


class ForeignWriter(MailError):
    """Somebody else brings the same messages into the destination mailbox: to go on would be to guess."""


class SameMailbox(MailError):
    """Both ends are one mailbox, or look as if they were given the wrong way round."""

    #: What a person is told of one mailbox, and of a whole list.
    ONE = "source and destination are the same mailbox"
    SWAPPED = "every source mailbox is empty and every destination is not: were source and destination swapped?"
    advice = "check --source, --destination and the logins; where it is meant, give --same-mailbox"


class MaybeSwapped(MailError):
    """The source is empty and the destination is not: it is waited for what the import's other mailboxes show."""


class AccountDelayed(MailError):
    """The account at the destination is not to be had yet: somebody asked to wait, or it is not its turn."""

    def __init__(self, what: str, wait_seconds: float) -> None:
        super().__init__("destination", what)
        self.wait_seconds = wait_seconds


class AccountRejected(MailError):
    """The account at the destination will not be made until a person changes something. `advice` is what."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__("destination", what)
        self.advice = advice or "see what the account service says, put it right, then: mailhaul retry IMPORT"


class FolderRefused(MailError):
    """This folder cannot be selected, listed or created; others can."""


class FolderChanged(MailError):
    """UIDVALIDITY is not what the plan was made under: the folder is to be planned anew."""


class MessagesRefused(MailError):
    """The destination refused these messages (NO to APPEND). Whose fault it is, a bisection finds out."""

    #: Whether its code says that the message is at fault.
    of_itself = False
    #: Whether its code says that the server is.
    of_the_server = False


class NothingTaken(OverQuota):
    """The destination refuses one message after the other in the same words, none of which is about a message, and took such
    before: as for want of room, it is waited for."""


class ServerRefused(MailError):
    """A NO that none of the others covers."""


class AnswerUnreadable(ServerRefused):
    """An answer whose end is known and whose sense is not; `detail` is its text. What it was about did not come, everything
    else did, and the connection goes on."""
