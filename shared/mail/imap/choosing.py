"""Finds out which messages of the open source folder a request wants.

`shared.rules.selection` decides, and this module asks the server.

The server searches twice for each criterion: for what meets it and for what does not. Messages that stand in neither
answer, or in both, are looked at. They are messages near a moment in time, and whatever a server keeps back that tells
only the first thousand. A few of the others are looked at as well, evenly spread. Where one of them is not what the
search said (some servers do not search what they show), all are.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.folders.gmail import EXTENSION, LabelView, view_of
from shared.folders.mapping import MappedFolder
from shared.mail import FolderListing, MailSource, Traits
from shared.mail.answers.numbers import known_statuses
from shared.model.choices import LabelMode
from shared.model.errors import ServerRefused
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.rules.selection import Judged, Selection, judge, merged, spread, union
from shared.wording.phrases import Phrase

LABELS_HIDDEN_FROM_IMAP: Final = Phrase(
    "labels_hidden_from_imap", "labels hidden from IMAP, whose messages come from here: {names}"
)
IMAP_SHOWS_A_PART: Final = Phrase(
    "imap_shows_a_part", "IMAP shows {shown} of {num} messages: the others come from All Mail"
)

#: Number of messages that are looked at to see whether searches can be trusted.
SAMPLE: Final = 20
#: The note about an account whose All Mail is not listed.
NO_ALL_MAIL: Final = Phrase(
    "no_all_mail", "All Mail is hidden from IMAP: mail without a label that IMAP shows is not seen"
).says()
#: Number of messages up to which all are looked at at once: that costs less than searching.
FEW: Final = 50


def left_out(source: MailSource, selection: Selection, sizes: Iterable[tuple[int, int]]) -> dict[str, UidSet]:
    """Returns those messages of `sizes` that are not wanted, by reason.

    `sizes` holds (UID, RFC822.SIZE), ascending, of the folder now open.
    """
    by_reason: dict[str, array[int]] = defaultdict(lambda: array("Q"))
    rest = array("Q")
    for uid, size in sizes:
        reason = selection.by_size(size)
        (by_reason[reason] if reason else rest).append(uid)
    out = {reason: UidSet.ascending(found) for reason, found in by_reason.items()}
    uids = UidSet.ascending(rest)
    if not selection.criteria or not uids:
        return out
    if len(uids) <= FEW:
        return merged(out, _looked_at(source, selection, uids))
    searched = source.search([key for one in selection.criteria for key in (one.inside, one.outside)])
    judged = judge(selection, uids, list(zip(searched[::2], searched[1::2], strict=True)))
    if not _trusted(source, selection, judged, uids):
        return merged(out, _looked_at(source, selection, uids))
    return merged(out, judged.out, _looked_at(source, selection, judged.doubtful))


def _trusted(source: MailSource, selection: Selection, judged: Judged, uids: UidSet) -> bool:
    """Tells whether a sample of messages agrees with what the searches said of them."""
    said = union(judged.out.values())
    sample = spread(said, SAMPLE // 2) | spread(uids - said - judged.doubtful, SAMPLE // 2)
    agreed: list[bool] = []
    _each(source, sample, lambda seen: agreed.append(bool(selection.by_traits(seen)) == (seen.uid in said)))
    return all(agreed)


def _looked_at(source: MailSource, selection: Selection, uids: UidSet) -> dict[str, UidSet]:
    by_reason: dict[str, list[int]] = defaultdict(list)

    def take(seen: Traits) -> None:
        if reason := selection.by_traits(seen):
            by_reason[reason].append(seen.uid)

    _each(source, uids, take)
    return {reason: UidSet.of(found) for reason, found in by_reason.items()}


def _each(source: MailSource, uids: UidSet, take: Callable[[Traits], object]) -> None:
    # A message that the server does not describe is wanted: copying finds out what is wrong with it.
    with contextlib.suppress(ServerRefused):
        for seen in source.traits(uids) if uids else ():
            take(seen)


# -- Gmail


def kept_elsewhere(source: MailSource, view: LabelView, name: bytes, uids: UidSet) -> dict[str, UidSet]:
    """Returns those messages of the source folder `name` that the folder does not bring, by reason.

    The folder is now open. Another folder brings the messages, or no folder shall bring them.
    """
    if not view.decides(name) or not uids:
        return {}
    by_reason: dict[str, list[int]] = defaultdict(list)
    with contextlib.suppress(ServerRefused):
        for seen in source.labels(uids):
            if reason := view.elsewhere(name, seen):
                by_reason[reason].append(seen.uid)
    return {reason: UidSet.of(found) for reason, found in by_reason.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelsSeen:
    """The reading of Gmail's labels as IMAP shows them."""

    #: The view that `kept_elsewhere` uses.
    view: LabelView
    #: Notes for the operator, by source folder.
    notes: Mapping[bytes, str]


def look_at_labels(
    source: MailSource, listing: FolderListing, mapped: Sequence[MappedFolder], mode: LabelMode
) -> LabelsSeen | None:
    """Compares what the folders show with what All Mail says of them.

    Returns None where there are no labels, or where none matters.
    """
    if EXTENSION not in source.capabilities:
        return None
    view = view_of(listing, mapped, mode)
    if (everything := view.all_mail) is None:
        inbox = next((one.source_name for one in mapped if not one.skip), b"")
        return LabelsSeen(view=view, notes={inbox: NO_ALL_MAIL})
    if mode is LabelMode.FOLDERS and any(one.source_name == everything and one.skip for one in mapped):
        return None
    counted: Counter[bytes] = Counter()
    opened = source.open(everything)
    with contextlib.suppress(ServerRefused):
        for seen in source.labels(UidSet.span(1, opened.uidnext - 1)):
            counted.update(seen.labels)
    names = [one.source_name for one in mapped if not one.skip and one.source_name != everything]
    shown = {
        name: status.messages
        for name, status in zip(names, known_statuses(source, names), strict=True)
        if not isinstance(status, Exception)
    }
    notes: dict[bytes, str] = {}
    partial: dict[bytes, frozenset[int]] = {}
    for label, name in view.short(counted, shown).items():
        there = source.open(name)
        partial[label] = frozenset(seen.message for seen in source.labels(UidSet.span(1, there.uidnext - 1)))
        if len(partial[label]) < counted[label]:
            notes[name] = IMAP_SHOWS_A_PART.says(shown=f"{shown[name]:,}", num=f"{counted[label]:,}")
    if hidden := view.hidden(counted):
        notes[everything] = LABELS_HIDDEN_FROM_IMAP.says(names=", ".join(hidden))
    return LabelsSeen(view=replace(view, partial=partial), notes=notes)
