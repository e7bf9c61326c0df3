"""A switch that turns only what it may: addresses of its domains, and where it turns domains, nothing else."""

from __future__ import annotations

from typing import Final

from shared.model.sides import Side
from shared.switching import Switch, SwitchedMailbox, TurnOutcome, TurnRefused, domain_of
from shared.switching.kinds import SwitchUrl
from shared.wording.often_said import GIVE_WHOLE_ADDRESS_IN_LIST
from shared.wording.phrases import Phrase

NO_ADDRESS_OF_ONE_MAIL_DOMAIN: Final = Phrase(
    "no_address_of_one_mail_domain", "{address} is no address of one mail domain, and {switch} turns domains"
)
SWITCH_TURNS_NOBODY_ELSE: Final = Phrase(
    "switch_turns_nobody_else", "{address} is not of {domains}, and {switch} turns nobody else"
)
ADD_DOMAIN_TO_SWITCH: Final = Phrase(
    "add_domain_to_switch",
    "add its domain to domains= of the switch in MAILHAUL_SWITCHES, if its mail is yours to turn",
)


class BoundSwitch:
    """The `Switch` around another one, which asks it for no mailbox outside of its domains."""

    def __init__(self, switch: Switch, url: SwitchUrl) -> None:
        self._switch, self._domains, self._user = switch, url.domains, url.options.get("user", "")
        self.shown, self.per_domain = switch.shown, switch.per_domain

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Returns the switch's outcome, or a refusal."""
        return self._refused(mailbox) or self._switch.rehearse(mailbox, to)

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Returns the switch's outcome, or a refusal. A mailbox that was turned before it was bound is turned by hand."""
        return self._refused(mailbox) or self._switch.turn(mailbox, to)

    def close(self) -> None:
        """Closes the switch's connections."""
        self._switch.close()

    def _refused(self, mailbox: SwitchedMailbox) -> TurnRefused | None:
        if self.per_domain and not mailbox.domain:
            return TurnRefused(
                words=NO_ADDRESS_OF_ONE_MAIL_DOMAIN.says(address=repr(mailbox.address), switch=self.shown),
                advice=GIVE_WHOLE_ADDRESS_IN_LIST.says(),
            )
        # Where the key of a row is a login, that login must be of the domain too.
        logins = {"old": mailbox.old_login, "new": mailbox.new_login}
        for name in (mailbox.address, *(logins[key] for key in logins if key == self._user)):
            if self._domains and domain_of(name) not in self._domains:
                return TurnRefused(
                    words=SWITCH_TURNS_NOBODY_ELSE.says(
                        address=name, domains=", ".join(self._domains), switch=self.shown
                    ),
                    advice=ADD_DOMAIN_TO_SWITCH.says(),
                )
        return None
