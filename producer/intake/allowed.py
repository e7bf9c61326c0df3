"""What is refused unless a person says that it is meant: each of these is nearly always a mistake in the list. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.model import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """What a person said is meant; the fields of `shared.model.Options` that are called so."""

    #: Several sources go into one destination mailbox, one after the other.
    share_destination: bool = False
    #: Logins that differ only in capitals are different ones.
    case_sensitive_logins: bool = False
    #: Source and destination may be the same mailbox, or the wrong way round.
    same_mailbox: bool = False

    @classmethod
    def of(cls, options: Options) -> Allowed:
        """What was said when an import was opened."""
        return cls(
            share_destination=options.share_destination,
            case_sensitive_logins=options.case_sensitive_logins,
            same_mailbox=options.same_mailbox,
        )


#: Every row of an import that is there, which was looked at when it was opened.
LOOKED_AT = Allowed(share_destination=True, case_sensitive_logins=True)
#: Nothing out of the ordinary.
NOTHING_ALLOWED = Allowed()
