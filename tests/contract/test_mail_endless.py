"""Tests that answers without end are ended by their number, also those that are taken from the buffer in one go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from shared.mail.imap import imap_listing, imap_looking, imap_reading, imap_source
from shared.mail.transport.wire import BUFFER_BYTES, Wire
from shared.model.errors import ProtocolViolation
from shared.model.uids import UidSet
from tests.contract.mail_kit import Scripted

HERE = UidSet.span(1, 3)
LIMIT = 2_000
SIZE = b"* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 3)\r\n"
SIGHTING = (
    b'* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 3 INTERNALDATE "x" BODY[HEADER.FIELDS (DATE)] {8}\r\nA: b\r\n\r\n)\r\n'
)
WHOLE = b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "x" BODY[] {8}\r\nA: b\r\n\r\n)\r\n'

CALLS: dict[str, tuple[bytes, Callable[[Any], object]]] = {
    "sizes": (SIZE, lambda source: list(source.sizes(source.open(b"INBOX"), told=lambda *_: None))),
    "marks": (SIGHTING, lambda source: (source.open(b"INBOX"), source.marks(HERE))),
    "fetch": (WHOLE, lambda source: (source.open(b"INBOX"), list(source.fetch(HERE)))),
}


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "control: not counted"])
@pytest.mark.parametrize("call", CALLS)
def test_lines_taken_from_the_buffer_count(monkeypatch: pytest.MonkeyPatch, call: str, counted: bool) -> None:
    line, asked = CALLS[call]
    for module in (imap_reading, imap_source):
        monkeypatch.setattr(module, "ANSWER_LIMIT", LIMIT)
    if not counted:
        for name in ("arrived", "arrived_with"):
            monkeypatch.setattr(Wire, name, _uncounted(getattr(Wire, name)))
    lines = line * (3 * BUFFER_BYTES // len(line))

    def reply(tag: bytes, text: bytes) -> bytes | None:
        return lines + tag + b" OK done\r\n" if text.startswith(b"UID FETCH") else None

    with Scripted(reply=reply) as server:
        source = server.source()
        if counted:
            with pytest.raises(ProtocolViolation, match="answers without end"):
                asked(source)
        else:
            asked(source)


def _uncounted(take: Callable[..., Any]) -> Callable[..., Any]:
    def taken(wire: Wire, *given: Any) -> Any:
        before, found = wire.lines, take(wire, *given)
        wire.lines = before
        return found

    return taken


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (imap_listing._SIZE_AND_FLAGS, SIZE),
        (imap_looking._MARK, SIGHTING.partition(b"}\r\n")[0] + b"}\r\n"),
        (imap_source._USUAL, WHOLE.partition(b"}\r\n")[0] + b"}\r\n"),
    ],
)
def test_no_answer_in_its_usual_form_goes_beyond_its_line(pattern: re.Pattern[bytes], line: bytes) -> None:
    assert pattern.fullmatch(line)
    for at in range(len(line) - 2):
        assert not pattern.fullmatch(line[:at] + b"\r\n" + line[at:])
