"""The model's part that decides in which order mailboxes are served: lines (an import and a wave), and queues in them.

The module is plain Python; its callers hold the lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.model.lifecycle import Control
from shared.rules.age_bands import BANDS, band_of
from shared.store.memory.memory_destinations import Destinations

if TYPE_CHECKING:
    from shared.model import Import
    from shared.store.memory.memory_tables import ImportRow, MailboxRow, WaveRow


def import_of(line: str) -> str:
    """Returns the import of a line."""
    return line.partition(":")[0]


@dataclass(frozen=True)
class Shares:
    """The lanes that each import has, and the weights of imports that have one or wait for one."""

    held: Counter[str]
    weights: Mapping[str, int]

    def over(self, import_id: str) -> bool:
        """Tells whether an import has more lanes than its share."""
        weight = self.weights.get(import_id)
        return weight is not None and self.held[import_id] * sum(self.weights.values()) > self.held.total() * weight

    def under(self, import_id: str) -> bool:
        """Tells whether an import would have no more than its share with one more lane."""
        return (self.held[import_id] + 1) * sum(self.weights.values()) <= self.held.total() * self.weights[import_id]


class Lines(Destinations):
    """The lines and queues, and how much each was served. A place is a line and a queue, with NUL between them."""

    imports: dict[str, ImportRow]

    def __init__(self) -> None:
        super().__init__()
        #: Line in which a mailbox stands → how much it was served, over its weight.
        self.lines: dict[str, int] = {}
        #: Place → mailbox that may be served → how much it was; place → how much the queue was served.
        self.queues: dict[str, dict[str, int]] = {}
        self.routes: Counter[str] = Counter()
        #: Place → where the mailbox chosen last stood; line → the same of its queues; "" → the same of lines.
        self.last: Counter[str] = Counter()
        #: Mailbox that was moved and waits for a lane → when one gives way, ms.
        self.urgent: dict[str, int] = {}
        #: Import with fewer lanes than its share → when another's gives way, ms, and its lanes when one last did, or -1.
        self.starving: dict[str, tuple[int, int]] = {}

    def at_work(self) -> Iterator[str]:
        """Yields the line that each lease was given to."""
        raise NotImplementedError

    def shares(self) -> Shares:
        """Returns what each import has of the lanes at work, of those that have one or wait for one."""
        lanes = list(self.at_work())
        weights: dict[str, int] = {}
        for line in {*self.lines, *lanes}:
            weights[import_of(line)] = max(weights.get(import_of(line), 0), self.wave_of(line).weight)
        return Shares(Counter(map(import_of, lanes)), weights)

    def crowds(self, m: MailboxRow) -> bool:
        """Tells whether the mailbox's import has more lanes than its share while another import waits for one."""
        own = m.mailbox.import_id
        return any(import_of(line) != own for line in self.lines) and self.shares().over(own)

    def crowded_out(self, m: MailboxRow, by: MailboxRow) -> bool:
        """Tells whether the mailbox is of another import than one that crowds it out, which has no more than its share."""
        own = m.mailbox.import_id
        return own != by.mailbox.import_id and not self.shares().over(own)

    def shut(self, whole: Import | WaveRow) -> bool:
        """Tells whether the hours of the import or wave are over, or have not begun."""
        raise NotImplementedError

    def wave_of(self, line: str) -> WaveRow:
        """Returns the line's wave."""
        import_id, _, wave = line.partition(":")
        return self.imports[import_id].waves[wave]

    def held_back(self, m: MailboxRow) -> bool:
        """Tells whether the mailbox's wave is paused, has not begun, or is outside of its hours."""
        if not m.mailbox.wave:
            return False
        wave = self.imports[m.mailbox.import_id].waves[m.mailbox.wave]
        return wave.control is Control.PAUSE or self.now() < wave.starts or self.shut(wave)

    @staticmethod
    def place_of(m: MailboxRow) -> str:
        """Returns where the mailbox is to stand.

        The higher its priority, and then the lower the age band of its next unit, the lower its tier.
        """
        tier = band_of(min(m.ready.values(), default=0)) - m.mailbox.priority * BANDS
        return f"{m.mailbox.import_id}:{m.mailbox.wave}\0{tier}:{m.route}"

    def stand(self, m: MailboxRow, place: str) -> None:
        """Lets the mailbox stand here ("" for nowhere). A newcomer starts at the place of the one chosen last."""
        if place == m.stands:
            return
        if m.stands:
            self.queues[m.stands].pop(m.mailbox.mailbox_id)
            line = m.stands.partition("\0")[0]
            if not any(queue for one, queue in self.queues.items() if one.partition("\0")[0] == line):
                del self.lines[line]
        m.stands = place
        if place:
            line = place.partition("\0")[0]
            queue = self.queues.setdefault(place, {})
            if not queue:
                self.routes[place] = max(self.routes[place], self.last[line])
            if line not in self.lines:
                self.lines[line] = max(self.wave_of(line).served, self.last[""])
            queue[m.mailbox.mailbox_id] = max(m.served, self.last[place])

    def in_order(self, *, by_shares: bool = True) -> Iterator[tuple[str, dict[str, int]]]:
        """Yields the places and queues as they are to be served; to ring for them, the shares do not matter."""
        shares = self.shares()
        several = by_shares and len({import_of(line) for line in self.lines}) > 1

        def turn(line: str) -> tuple[int, bool, int, str]:
            over = several and shares.over(import_of(line))
            return self.wave_of(line).order, over, self.lines[line], line

        for line in sorted(self.lines, key=turn):
            mine = [place for place in self.queues if place.partition("\0")[0] == line]
            for place in sorted(mine, key=self._turn):
                yield place, self.queues[place]

    def _turn(self, place: str) -> tuple[int, int, str]:
        return self._tier(place), self.routes[place], place

    def goes_before(self, m: MailboxRow, other: MailboxRow) -> bool:
        """Tells whether the mailbox is in a lower tier of the same line."""
        mine, theirs = self.place_of(m), self.place_of(other)
        return mine.partition("\0")[0] == theirs.partition("\0")[0] and self._tier(mine) < self._tier(theirs)

    @staticmethod
    def _tier(place: str) -> int:
        return int(place.partition("\0")[2].partition(":")[0])

    def charge(self, m: MailboxRow, cost: int, *, fairly: bool) -> None:
        """Charges what a claim moves to the mailbox, its queue and its line."""
        place = m.stands or self.place_of(m)
        line = place.partition("\0")[0]
        wave, queue = self.wave_of(line), self.queues.get(place, {})
        before = self.lines.get(line, wave.served)
        start = queue.get(m.mailbox.mailbox_id, m.served)
        if fairly:
            self.last[place] = max(self.last[place], start)
            self.last[line] = max(self.last[line], self.routes[place])
            self.last[""] = max(self.last[""], before)
        self.routes[place] += cost
        m.served = start + cost
        wave.served = before - (-cost // wave.weight)
        if line in self.lines:
            self.lines[line] = wave.served
        if m.stands:
            queue[m.mailbox.mailbox_id] = m.served

    def forget_lines(self, import_id: str) -> None:
        """Forgets the lines of an import that is closed."""
        for kept in (self.lines, self.queues, self.routes, self.last):
            for name in [name for name in kept if name.startswith(f"{import_id}:")]:
                del kept[name]
        self.starving.pop(import_id, None)
