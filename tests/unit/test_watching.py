"""Tests what is noticed of a message as it passes by, whole and in chunks."""

from __future__ import annotations

import pytest

from shared.content.watching import CR_ONLY, HEADER_8BIT, NUL, WatchedChunks, seen_in

HEAD = b"Subject: s\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (HEAD + b"text\r\n", []),
        (HEAD + b"\xff\r\n", []),
        (HEAD + b"a\0b\r\n", [NUL]),
        (b"Subject: \xff\r\n\r\ntext\r\n", [HEADER_8BIT]),
        (b"Subject: \xff\r\n\r\na\0\r\n", [NUL, HEADER_8BIT]),
        (b"Subject: s\r\rtext\r", [CR_ONLY]),
        (b"Subject: s\r\ra\0\r", [NUL, CR_ONLY]),
        (b"Subject: \xff\r\r\0\r", [NUL, HEADER_8BIT, CR_ONLY]),
        (b"Subject: s", []),
        (b"", []),
    ],
)
def test_each_kind_is_noticed(body: bytes, kinds: list[str]) -> None:
    assert seen_in(body) == " and ".join(kinds)
    for cut in range(max(1, len(body))):
        # Sources give no chunk until the header is whole: it is in the first one.
        first = max(cut, body.find(b"\r\n\r\n") + 4, 11 if b"\n" not in body else 0)
        chunks = WatchedChunks(iter([body[:first], body[first:]]))
        assert b"".join(chunks) == body
        assert chunks.seen == " and ".join(kinds)
