"""Reads the NAMESPACE answer (RFC 2342 §5): whose folders lie below which prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.mail.answers.tokens import Unreadable, Value, Words, head_of, is_nil
from shared.model.messages import Namespace, Owner

#: The three lists of the answer, in their order.
_LISTS: Final = (Owner.PERSONAL, Owner.OTHER, Owner.PUBLIC)


def namespaces(pieces: Sequence[bytes]) -> tuple[Namespace, ...] | None:
    """Returns every namespace that one NAMESPACE answer names, in its order; None for anything else.

    `pieces` are text at even places and literals at odd ones. Blanks, NIL, extensions and lists that are missing at the
    end do no harm. A namespace without a prefix that is a string is left out; so is all of an answer that makes no
    sense.
    """
    kind, _, at = head_of(pieces[0])
    if kind != b"NAMESPACE":
        return None
    try:
        lists = Words(pieces, at).rest()
    except Unreadable:
        return ()
    return tuple(
        found
        for owner, entries in zip(_LISTS, lists, strict=False)
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, list) and (found := _namespace(entry, owner)) is not None
    )


def _namespace(entry: Sequence[Value], owner: Owner) -> Namespace | None:
    prefix, separator = [*entry, None, None][:2]
    if not isinstance(prefix, bytes) or is_nil(prefix):
        return None
    said = isinstance(separator, bytes) and not is_nil(separator) and len(separator) == 1
    return Namespace(
        prefix=bytes(prefix),
        separator=separator.decode("latin-1") if said and isinstance(separator, bytes) else None,
        owner=owner,
    )
