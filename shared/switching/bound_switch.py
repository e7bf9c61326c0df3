"""A switch that turns only what it may: addresses of its domains, and where it turns domains, nothing else."""

from __future__ import annotations

from shared.switching import Switch, SwitchedMailbox, SwitchSide, TurnOutcome, TurnRefused, domain_of
from shared.switching.kinds import SwitchUrl


class BoundSwitch:
    """The `Switch` around another one, which asks it for nobody outside of its domains."""

    def __init__(self, switch: Switch, url: SwitchUrl) -> None:
        self._switch, self._domains, self._user = switch, url.domains, url.options.get("user", "")
        self.shown, self.per_domain = switch.shown, switch.per_domain

    def rehearse(self, mailbox: SwitchedMailbox, to: SwitchSide) -> TurnOutcome:
        """Returns the switch's outcome, or a refusal."""
        return self._refused(mailbox) or self._switch.rehearse(mailbox, to)

    def turn(self, mailbox: SwitchedMailbox, to: SwitchSide) -> TurnOutcome:
        """Returns the switch's outcome, or a refusal. A mailbox that was turned before it was bound is turned by hand."""
        return self._refused(mailbox) or self._switch.turn(mailbox, to)

    def close(self) -> None:
        """Closes the switch's connections."""
        self._switch.close()

    def _refused(self, mailbox: SwitchedMailbox) -> TurnRefused | None:
        if self.per_domain and not mailbox.domain:
            return TurnRefused(
                words=f"{mailbox.address!r} is no address of one mail domain, and {self.shown} turns domains",
                advice="give the whole address in the list",
            )
        # Where the key of a row is a login, that login must be of the domain too.
        logins = {"old": mailbox.old_login, "new": mailbox.new_login}
        for name in (mailbox.address, *(logins[key] for key in logins if key == self._user)):
            if self._domains and domain_of(name) not in self._domains:
                return TurnRefused(
                    words=f"{name} is not of {', '.join(self._domains)}, and {self.shown} turns nobody else",
                    advice="add its domain to domains= of the switch in MAILHAUL_SWITCHES, if its mail is yours to turn",
                )
        return None
