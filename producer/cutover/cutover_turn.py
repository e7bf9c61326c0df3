"""Moves one cutover on: does what its state asks for, then sends the event that its guards allow."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from producer.cutover.acts import CutoverView
from producer.cutover.dns_records import joined
from producer.cutover.facts import decode_domains, domains_of, encode_domains
from producer.cutover.guards import unmet
from producer.cutover.mailbox_turns import TURN_SECONDS, MailboxTurns
from producer.cutover.stood import noted, standing_for, stands_after
from producer.cutover.turning import counted
from producer.telling import cutover_reached
from shared.model.cutover import BEFORE_SWITCH, DNS, IN_SYNC, OVER, RULES, STANDING, STOOD, TOLD, Cutover, CutoverStep
from shared.model.errors import UsageError
from shared.model.lifecycle import CutoverState, advance
from shared.model.sides import Side
from shared.rules.standing import Standing
from shared.runtime.logs import get_logger
from shared.store.records.cutovers import encode_mailbox
from shared.wording.phrases import text_of

_log = get_logger("mailhaul.cutover")
#: Seconds between two questions to the DNS.
DNS_SECONDS: Final = 60.0
#: The number of domains that are asked for at once.
_DOMAINS: Final = 8
#: States that no notice tells of: they pass by themselves within seconds, or are a step back.
_NOT_TOLD: Final = frozenset({CutoverState.DRAFTED, CutoverState.CHECKED, CutoverState.STAGING})
#: State → the event that the coordinator sends once its guards are met.
_BY_ITSELF: Final[Mapping[CutoverState, str]] = {
    CutoverState.DRAFTED: "check",
    CutoverState.CHECKED: "stage",
    CutoverState.STAGING: "sync",
    CutoverState.SWITCHED: "drain",
}


class CutoverTurn(MailboxTurns):
    """A turn over one cutover."""

    def run(self) -> CutoverView:
        """Does what the state asks for, then sends the event that its guards allow."""
        state = self._cutover.state
        self._tell()
        self._stand()
        if state not in OVER:
            self._count_looks()
        if state in BEFORE_SWITCH:
            self._turn_all(Side.SOURCE)
            self._rehearse()
        elif state in (CutoverState.SWITCHED, CutoverState.DRAINING):
            self._turn_all(Side.DESTINATION)
        elif state is CutoverState.CLOSED:
            self._turn_all(Side.SOURCE)
        elif state is CutoverState.ROLLED_BACK and self._notes.get(STANDING) == "off":
            # Only once the wave is no longer kept in sync: a look would copy once more what is brought back.
            self._turn_all(Side.SOURCE)
            self._bring_back()
        if state not in OVER:
            self._ask_dns()  # last: the DNS of many domains may be slow, and no mailbox waits for it
        self._view = self._viewed()
        self._advance()
        return self._view

    def _advance(self) -> None:
        """Sends the one event of the coordinator that this state has, once its guards are met."""
        state = self._cutover.state
        if state is CutoverState.SYNCED:
            if unmet(self._view.guards, RULES["sync"].guards):
                self._send("lag")
            return
        event = _BY_ITSELF.get(state)
        if event and not unmet(self._view.guards, RULES[event].guards):
            self._send(event)

    def _send(self, event: str) -> None:
        at, before, cutovers = self._driver.now(), self._cutover, self._driver.cutovers
        state = CutoverState(advance("cutover", before.state, event))
        steps = before.steps
        if event in ("sync", "lag"):
            # A cutover may change between these two states for days: only the last step to each is kept.
            steps = tuple(step for step in steps if step.state is not state)
        after = replace(
            before, state=state, since=at, serial=before.serial + 1, steps=(*steps, CutoverStep(state=state, at=at))
        )
        if cutovers.put(self._kept, after):
            about = {"import_id": before.import_id, "wave": before.wave, "before": str(before.state)}
            _log.info("cutover_moved_on", state=str(state), **about)
            self._cutover = after
            self._view = self._viewed()

    def _tell(self) -> None:
        """Notes that people are to be told of the state, once in a cutover: it may change between staging and synced for days."""
        state, told = self._cutover.state, self._notes.get(TOLD, "").split()
        if state in _NOT_TOLD or state in told:
            return
        wave, since = self._cutover.wave, self._cutover.since
        cutover_reached(self._driver.store, self._import, wave, str(state), since, {"said_next": self._view.next})
        self._note({TOLD: " ".join([*told, state])})

    def _stand(self) -> None:
        """Keeps the wave in sync, or ends that, as the state demands."""
        state = self._cutover.state
        wanted = "on" if state in IN_SYNC else "off" if state in OVER else ""
        # A person may have ended it meanwhile, by a cancel or for the whole import: without looks nothing ever gets quiet.
        lost = wanted == "on" and not self._standing()
        if not wanted or (self._notes.get(STANDING, "") == wanted and not lost):
            return
        if wanted == "on" and (lost or STOOD not in self._notes):
            # Before the effect, which replaces the earlier setting. A person who ended it meanwhile wants no earlier setting back.
            before = noted(self._standing()) if STOOD not in self._notes else noted(None)
            if not self._note({STOOD: before}):
                return
        said = self._keep_in_sync(self._cutover, on=wanted == "on")
        if self._note({STANDING: said or wanted}):
            return
        # Another process changed the cutover meanwhile: what was just set may not be what its state wants now.
        fresh = self._driver.cutovers.one(self._cutover.import_id, self._cutover.wave).cutover
        if fresh is not None:
            self._keep_in_sync(fresh, on=fresh.state in IN_SYNC)

    def _keep_in_sync(self, cutover: Cutover, *, on: bool) -> str:
        """Returns why it could not be done; "" when it is done."""
        now, note = self._standing(), self._notes.get(STOOD, "")
        wanted = standing_for(cutover.options.synced_seconds) if on else stands_after(cutover, note, now)
        if not on and wanted == now:
            return ""
        try:
            self._effects.keep_in_sync(self._import, cutover, wanted, on=on)
        except UsageError as error:
            return text_of(error)
        return ""

    def _standing(self) -> Standing | None:
        """Returns how the wave stands now: its own word goes before that of its import."""
        stands = self._driver.store.standings(self._import.import_id)
        return stands.get(self._cutover.wave, stands.get(""))

    def _count_looks(self) -> None:
        """Counts the looks since the switch that found nothing new."""
        self._note_some(
            {
                mailbox.mailbox_id: encode_mailbox(now)
                for mailbox, known in self._view.mailboxes
                if (now := counted(mailbox, known)) != known
            }
        )

    def _ask_dns(self) -> None:
        """Asks the DNS once a minute: some domains at once, beginning with those that were not asked for the longest time."""
        at, options = self._driver.now(), self._cutover.options
        domains = domains_of(options, (mailbox for mailbox, _ in self._view.mailboxes))
        before = decode_domains(self._notes.get(DNS, ""))
        known = {one: before[one] for one in domains if one in before}
        when = {one: known[one].at if one in known else float("-inf") for one in domains}
        due = sorted((one for one in domains if when[one] + DNS_SECONDS <= at), key=lambda one: when[one])
        until = at + TURN_SECONDS
        with ThreadPoolExecutor(_DOMAINS) as pool:
            for first in range(0, len(due), _DOMAINS):
                if not self._driver.leads() or self._driver.now() > until:
                    return
                some, asked_at = due[first : first + _DOMAINS], self._driver.now()
                for one, now in zip(some, pool.map(partial(self._effects.ask, at=asked_at), some), strict=True):
                    known[one] = joined(known.get(one), now, options.ttl_seconds)
                if not self._note({DNS: encode_domains(known)}):
                    return
