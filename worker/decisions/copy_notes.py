"""Decides what is noted about a message's copy: its date, and why it is to be read back whole. Pure."""

from __future__ import annotations

from typing import Final

from shared.content.dates import stand_ins, usual
from shared.model import Note
from shared.model.uids import Uid
from shared.wording.phrases import Phrase

NO_USABLE_INTERNALDATE: Final = Phrase(
    "no_usable_internaldate", "the source gives no usable INTERNALDATE; the destination sets its own"
)
NEAREST_DATE_SET: Final = Phrase(
    "nearest_date_set",
    "the destination does not keep the message's internal date; the nearest date that it keeps was set",
)
TO_BE_READ_BACK_WHOLE: Final = Phrase("to_be_read_back_whole", "to be read back whole: {why}")


def stands_for(date: int | None, internaldate: int | None) -> bool:
    """Tells whether a copy with this date has the date of its original, or the date set in its place."""
    return date is not None and internaldate is not None and date in stand_ins(internaldate)


def date_note(uid: Uid, internaldate: int | None, size_bytes: int, copied: int | None, doubt: str = "") -> Note | None:
    """Returns the note about the internal date of a message's copy; None where the date is the message's own.

    `copied` is the date of the copy; `doubt` as in `Message.date_doubt`.
    """
    reason: str
    if internaldate is None:
        what, reason = "date_unusable", NO_USABLE_INTERNALDATE.says()
    elif copied != internaldate and not usual(internaldate):
        what = "date_clamped"
        reason = NEAREST_DATE_SET.says()
    elif doubt:
        what, reason = "date_unusable", doubt
    else:
        return None
    return Note(uid=uid, what=what, reason=reason, internaldate=internaldate, size_bytes=size_bytes)


def watched(uid: Uid, seen: str) -> Note:
    """Returns the note that a message is to be read back whole, for what was seen in it (`shared.content.watching`)."""
    return Note(uid=uid, what="watched", reason=TO_BE_READ_BACK_WHOLE.says(why=seen))
