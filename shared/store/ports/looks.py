"""The port's methods for imports that stand (`shared.rules.standing`): who sets that, and how a look at a mailbox ends."""

from __future__ import annotations

from typing import Protocol

from shared.model import Lease
from shared.rules.standing import Standing, StandingTally


class LookStore(Protocol):
    """The methods about imports that stand. `reap` queues a look when it is due, and `claim` gives it to a lane.

    A look that is released with a hold of the scope `LOOK_HOLD` keeps other looks from that source host, and no other work.
    """

    def set_standing(self, import_id: str, wave: str, standing: Standing | None) -> bool:
        """Lets an import ("") or one of its waves stand from now on, or with None no longer.

        A wave's own word goes before that of its import; None for the import ends it for all of its waves. A complete
        mailbox that stands is due for a look `next_look` after its last one, and `reap` queues it then. While anything
        of the import stands its credentials are kept. `forget`, and `control` with `Control.CANCEL`, end it too.
        Returns False when there is no such import or wave.
        """

    def standings(self, import_id: str) -> dict[str, Standing | None]:
        """Returns what was set by `set_standing`, by wave; None for a wave that stays out of an import that stands."""

    def standing_tally(self, import_id: str) -> StandingTally:
        """Returns the looks at an import in numbers."""

    def note_unplanned(self, lease: Lease, digests: bytes) -> None:
        """Notes `Mailbox.unplanned`, under the lease of a plan."""

    def looked(self, lease: Lease, *, found: bool) -> None:
        """Ends a look. With `found` the mailbox is queued for a pass; else it is looked at again later."""
