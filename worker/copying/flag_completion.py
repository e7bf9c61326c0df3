"""Sets the flags that copies lack; clears none, since it may be the work of people at the destination."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.mail import MailDestination
from shared.model.uids import UidSet
from worker.decisions.flag_changes import made_equal

#: Flags that no copy gets that was there before: \Deleted would have it expunged, and \Recent is the server's own.
_NEVER_SET: Final = frozenset({"\\deleted", "\\recent"})


def complete_flags(destination: MailDestination, permanent: frozenset[str], want: Mapping[int, Sequence[str]]) -> None:
    """Sets those flags of copies in the open folder, by UID, that they should have and lack.

    `permanent` is PERMANENTFLAGS of the folder. Raises what the port raises.
    """
    kept = {uid: settable for uid, flags in want.items() if (settable := _settable(flags, permanent))}
    if not kept:
        return
    have = {int(uid): flags for uid, flags in destination.flags(UidSet.of(sorted(kept)))}
    lacking = {uid: flags for uid, flags in kept.items() if uid in have}
    destination.store_flags(replace(change, remove=()) for change in made_equal(have, lacking) if change.add)


def _settable(flags: Iterable[str], permanent: frozenset[str]) -> tuple[str, ...]:
    """Returns the flags that PERMANENTFLAGS lists (RFC 9051 §7.1), and any keyword where it lists ``\\*``."""
    listed = {flag.lower() for flag in permanent} - _NEVER_SET
    return tuple(f for f in flags if f.lower() in listed or ("\\*" in listed and not f.startswith("\\")))
