"""A switch that a person turns, as when only the DNS says where mail goes: it agrees, and says what to do."""

from __future__ import annotations

from typing import Final

from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, Turned, TurnOutcome, TurnRefused
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.wording.often_said import GIVE_WHOLE_ADDRESS_IN_LIST
from shared.wording.phrases import Phrase

BY_HAND: Final = Phrase("by_hand", "by hand")
BY_HAND_POINT_MX_RECORD: Final = Phrase(
    "by_hand_point_mx_record",
    "by hand: let the MX record of {domain} name {host} and no other host, let the SPF record allow "
    "it, and let mail programs use {other_host}",
)
NO_MAIL_ADDRESS_FOR_MX: Final = Phrase(
    "no_mail_address_for_mx", "{address} is no mail address, so no MX record says where its mail goes"
)


class ByHand:
    """The adapter for a switch that is turned by hand."""

    shown: str = BY_HAND.says()
    per_domain = True

    def __init__(self, mail_hosts: dict[Side, str]) -> None:
        self._mail_hosts = mail_hosts

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Says what a person will have to do, as `turn` does."""
        return self._told(mailbox, to)

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Says what a person has to do now. Changes nothing."""
        return self._told(mailbox, to)

    def close(self) -> None:
        """Does nothing: there is no connection."""

    def _told(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        if not mailbox.domain:
            return TurnRefused(
                words=NO_MAIL_ADDRESS_FOR_MX.says(address=mailbox.address),
                advice=GIVE_WHOLE_ADDRESS_IN_LIST.says(),
            )
        mail_host = self._mail_hosts[to] or mailbox.host(to)
        return Turned(
            words=BY_HAND_POINT_MX_RECORD.says(domain=mailbox.domain, host=mail_host, other_host=mailbox.host(to))
        )


def _opened(url: SwitchUrl, secret: Secret) -> ByHand:
    return ByHand({Side.DESTINATION: url.options.get("new", ""), Side.SOURCE: url.options.get("old", "")})


register(
    SwitchKind(
        name="by-hand",
        place=SwitchPlace.NONE,
        example="by-hand:",
        options=frozenset({"new", "old"}),
        secretive=False,
        open=_opened,
    )
)
