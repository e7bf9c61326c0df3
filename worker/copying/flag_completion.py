"""Sets the flags that copies lack; clears none, since it may be the work of people at the destination.

The one exception are keywords that Dovecot mixed up. It answers OK to a message with keywords whose names it cannot write to its
full disk, and calls these `unknown-1`, `unknown-2`, … from then on, or by the name of the next keyword that it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.mail import MailDestination
from shared.model.uids import UidSet
from worker.decisions.flag_changes import made_equal

#: Flags that no copy gets that was there before: \Deleted would have it expunged, and \Recent is the server's own.
_NEVER_SET: Final = frozenset({"\\deleted", "\\recent"})
#: The names of keywords that Dovecot has forgotten.
_NAMELESS: Final = re.compile(r"unknown-\d+", re.IGNORECASE)


def wanted(known: Mapping[str, UidSet], to: Mapping[int, int]) -> dict[int, Sequence[str]]:
    """Returns the flags of copies, by destination UID.

    `known` are flags → source UIDs as the source shows them, `to` are the copies' UIDs by source UID.
    """
    return {to[uid]: text.split() for text, uids in known.items() for uid in uids if uid in to}


def complete_flags(
    destination: MailDestination, permanent: frozenset[str], want: Mapping[int, Sequence[str]], *, ours: bool = False
) -> None:
    """Sets those flags of copies in the open folder, by UID, that they should have and lack.

    `permanent` is PERMANENTFLAGS of the folder. From copies that are `ours` keywords are cleared that another one was sent with,
    and names that Dovecot made up. Raises what the port raises.
    """
    sent = {flag.lower() for flags in want.values() for flag in flags if not flag.startswith("\\")}

    def mixed_up(flag: str) -> bool:
        return ours and (flag.lower() in sent or _NAMELESS.fullmatch(flag) is not None)

    kept = {uid: settable for uid, flags in want.items() if (settable := _settable(flags, permanent)) or ours}
    if not kept:
        return
    have = {int(uid): flags for uid, flags in destination.flags(UidSet.of(sorted(kept)))}
    lacking = {uid: flags for uid, flags in kept.items() if uid in have}
    changes = (replace(change, remove=tuple(filter(mixed_up, change.remove))) for change in made_equal(have, lacking))
    destination.store_flags(change for change in changes if change.add or change.remove)


def _settable(flags: Iterable[str], permanent: frozenset[str]) -> tuple[str, ...]:
    """Returns the flags that PERMANENTFLAGS lists (RFC 9051 §7.1), and any keyword where it lists ``\\*``."""
    listed = {flag.lower() for flag in permanent} - _NEVER_SET
    return tuple(f for f in flags if f.lower() in listed or ("\\*" in listed and not f.startswith("\\")))
