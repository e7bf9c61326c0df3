"""Untagged answers in every tolerated spelling, and mutilated ones: the same meaning or an error, never silence."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.mail.answers import tokens
from shared.mail.answers.fetch_answer import FetchAnswer, flags_of, uid_of
from shared.mail.answers.folder_answers import listed_folder, status_answer
from shared.mail.answers.internaldate import odd_zone, parse_internaldate
from shared.mail.answers.responses import (
    Selected,
    appended_uids,
    copied_uids,
    searched_uids,
)
from shared.mail.answers.tokens import Text, Unreadable, Words, head_of
from shared.mail.imap.namespaces import namespaces
from shared.model.uids import MAX_UID, UidSet

BLANKS = st.text(" \t", min_size=1, max_size=3).map(str.encode)
ANY_BLANKS = st.text(" \t", max_size=2).map(str.encode)
ATOMS = st.from_regex(rb"[A-Za-z0-9&+_.\-]{2,12}", fullmatch=True).filter(lambda atom: atom.upper() != b"NIL")
NAMES = st.one_of(ATOMS, st.binary(min_size=1, max_size=20).filter(lambda name: not re.search(rb"[\r\n\x00]", name)))
UIDS = st.integers(1, MAX_UID)


@st.composite
def cased(draw: st.DrawFn, word: bytes) -> bytes:
    return draw(st.sampled_from([word, word.lower(), word.capitalize()]))


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@st.composite
def spelled(draw: st.DrawFn, name: bytes) -> list[bytes]:
    """Draws a spelling of the name, as pieces that begin and end with text."""
    ways = ["quoted", "literal"] + ["atom"] * bool(re.fullmatch(rb"[A-Za-z0-9&+_.\-]{2,}", name))
    way = draw(st.sampled_from(ways))
    if way == "literal":
        return [b"{%d%b}\r\n" % (len(name), draw(st.sampled_from([b"", b"+"]))), name, b""]
    return [quoted(name) if way == "quoted" else name]


def joined(*parts: bytes | list[bytes]) -> list[bytes]:
    """Joins the parts of an answer to pieces: text and literals in turn."""
    pieces = [b""]
    for part in parts:
        first, *rest = [part] if isinstance(part, bytes) else part
        pieces[-1] += first
        pieces += rest
    return pieces


@given(
    st.data(), NAMES, st.sampled_from(["/", ".", "\\", None]), st.sets(st.sampled_from(["marked", "sent", "noselect"]))
)
def test_a_folder_however_it_is_listed(
    data: st.DataObject, name: bytes, separator: str | None, attributes: set[str]
) -> None:
    draw = data.draw
    kind = draw(st.sampled_from([b"LIST", b"LSUB", b"XLIST"]))
    said = [b"\\" + attribute.title().encode() for attribute in sorted(attributes)]
    parts: list[bytes | list[bytes]] = [b"*", draw(BLANKS), draw(cased(kind)), draw(BLANKS)]
    if said or draw(st.booleans()):
        parts += [b"(", draw(ANY_BLANKS), draw(BLANKS).join(said), draw(ANY_BLANKS), b")", draw(BLANKS)]
    elif draw(st.booleans()):
        parts += [draw(cased(b"NIL")), draw(BLANKS)]
    # A single word that may be a separator, and nothing that stands for one, is an error of its own
    # (test_responses.py).
    assume(separator is not None or name not in {b"/", b".", b"\\", b":", b"|", b"^"})
    if separator is None:
        parts += draw(st.sampled_from([[b"NIL", b" "], [b'""', b"\t"], []]))
    else:
        ways = [quoted(separator.encode()), separator.encode(), b'"%b"' % separator.encode()]
        parts += [draw(st.sampled_from(ways)), draw(BLANKS)]
    parts += [
        draw(spelled(name)),
        draw(ANY_BLANKS),
        draw(st.sampled_from([b"", b' ("CHILDINFO" ("SUBSCRIBED"))'])),
        b"\r\n",
    ]
    found = listed_folder(joined(*parts))
    assert found is not None
    assert (found.name, found.separator, found.attributes) == (name, separator, attributes)
    assert found.subscribed == (kind == b"LSUB")


NUMBERS = {
    b"MESSAGES": st.integers(0, MAX_UID),
    b"UIDNEXT": UIDS,
    b"UIDVALIDITY": UIDS,
    b"HIGHESTMODSEQ": st.integers(1, (1 << 63) - 1),
    b"SIZE": st.integers(0, (1 << 63) - 1),
    b"APPENDLIMIT": st.integers(0, (1 << 63) - 1),
}


@given(st.data(), NAMES, st.sets(st.sampled_from(sorted(NUMBERS))))
def test_numbers_however_they_are_told_and_none_that_is_not(
    data: st.DataObject, name: bytes, items: set[bytes]
) -> None:
    draw = data.draw
    told = {item: draw(NUMBERS[item]) for item in items}
    words = [[draw(cased(item)), draw(st.sampled_from([b"%d", b'"%d"', b"0%d"])) % told[item]] for item in items]
    words += [[item, b"NIL"] for item in NUMBERS.keys() - items if draw(st.booleans())]
    words += [[b"MAILBOXID", b"(F1)"]] * draw(st.booleans())
    flat = [word for pair in draw(st.permutations(words)) for word in pair]
    listed = b"(" + draw(ANY_BLANKS) + draw(BLANKS).join(flat) + draw(ANY_BLANKS) + b")"
    if not flat:
        listed = draw(st.sampled_from([b"()", b"( )", b"NIL", b""]))
    answer = joined(
        b"*", draw(BLANKS), draw(cased(b"STATUS")), draw(BLANKS), draw(spelled(name)), draw(BLANKS), listed, b"\r\n"
    )
    found = status_answer(answer)
    assert found is not None
    assert found[0] == name
    status = found[1]
    assert status.messages == told.get(b"MESSAGES")
    assert status.uidnext == told.get(b"UIDNEXT")
    assert status.uidvalidity == told.get(b"UIDVALIDITY")
    assert status.highestmodseq == told.get(b"HIGHESTMODSEQ")
    assert status.size_bytes == told.get(b"SIZE")
    # A limit of no bytes is not believed: servers announce it for folders that take everything.
    assert status.append_limit_bytes == (told.get(b"APPENDLIMIT") or None)
    assert (status.known() is None) == (not {b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"} <= items)


@given(BLANKS, BLANKS, ANY_BLANKS, cased(b"EXISTS"), st.integers(0, MAX_UID), st.sampled_from([b"\r\n", b"\n"]))
def test_exists(before: bytes, between: bytes, after: bytes, word: bytes, count: int, end: bytes) -> None:
    selected = Selected()
    selected.take([b"*" + before + b"%d" % count + between + word + after + end])
    selected.take([b"* OK in progress\r\n"])
    assert (selected.messages, selected.unread) == (count, b"")


@given(st.data(), st.sets(UIDS, max_size=12))
def test_searches(data: st.DataObject, uids: set[int]) -> None:
    draw = data.draw
    wanted = UidSet.of(uids)
    listed = b"".join(draw(BLANKS) + b"%d" % uid for uid in draw(st.permutations(sorted(uids))))
    tail = draw(st.sampled_from([b"", b" (MODSEQ 12)", b" \t"]))
    assert searched_uids([b"*" + draw(BLANKS) + draw(cased(b"SEARCH")) + listed + tail + b"\r\n"]) == wanted
    tag = draw(st.sampled_from([b"", b' (TAG "m1")', b"\t( TAG  m1 )"]))
    found = (
        b" %b %b" % (draw(cased(b"ALL")), str(wanted).encode()) if uids else draw(st.sampled_from([b"", b" COUNT 0"]))
    )
    assert searched_uids([b"* ESEARCH" + tag + b" UID" + found + b"\r\n"]) == wanted
    partial = str(wanted).encode() or b"NIL"
    assert searched_uids([b"* ESEARCH" + tag + b"  uid PARTIAL (1:500 %b)\r\n" % partial]) == wanted


FLAG = st.one_of(ATOMS, st.sampled_from([b"\\Seen", b"\\Flagged", b"$Junk"]))


@given(st.data(), UIDS, st.lists(FLAG, max_size=4, unique=True))
def test_fetch_items_in_any_order_and_spelling(data: st.DataObject, uid: int, flags: list[bytes]) -> None:
    draw = data.draw
    date = b"17-Jul-1996 02:44:25 -0700"
    parts = draw(
        st.permutations(
            [
                [draw(cased(b"UID")), draw(BLANKS), b"%d" % uid],
                [draw(cased(b"FLAGS")), draw(ANY_BLANKS), b"(", draw(ANY_BLANKS), draw(BLANKS).join(flags), b")"],
                [b"INTERNALDATE", draw(BLANKS), draw(st.sampled_from([[quoted(date)], [b"{26}\r\n", date, b""]]))],
                [b"X-ODD", draw(BLANKS), draw(st.sampled_from([b"NIL", b"(1 (2 NIL))", b'"("']))],
            ]
        )
    )
    flat: list[bytes | list[bytes]] = [b"(", draw(ANY_BLANKS)]
    for item in parts:
        flat += [*item, draw(BLANKS)]
    pieces = joined(*flat, b")", draw(ANY_BLANKS), b"\r\n")
    answer = FetchAnswer()
    for at in range(0, len(pieces), 2):
        size = answer.feed(pieces[at])
        assert (size is None) == (at == len(pieces) - 1)
        if size is not None:
            assert size == len(pieces[at + 1])
            answer.literal(pieces[at + 1])
    items = answer.items()
    assert uid_of(items) == uid
    assert flags_of(items) == tuple(flags)
    assert items[b"INTERNALDATE"] == Text(date)


# -- mutilated


WHOLE = [
    b'* LIST (\\Marked \\Sent) "/" "Work/a b"\r\n',
    b'* LSUB () "." "INBOX.a"\r\n',
    b'* STATUS "a b" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 4)\r\n',
    b'* ESEARCH (TAG "m1") UID ALL 1:3,9\r\n',
    b"* SEARCH 4 2 3 (MODSEQ 5)\r\n",
]


def meaning(line: bytes) -> object:
    """Returns the parsed answer. Raises Unreadable where it makes no sense."""
    return listed_folder([line]) or status_answer([line]) or searched_uids([line])


@given(st.sampled_from(WHOLE), st.data())
def test_without_one_of_its_marks_it_means_the_same_or_is_an_error(line: bytes, data: st.DataObject) -> None:
    places = [found.start() for found in re.finditer(rb'[()"]', line)]
    at = data.draw(st.sampled_from(places))
    doubled = data.draw(st.booleans())
    odd = line[:at] + line[at : at + 1] * 2 * doubled + line[at + 1 :]
    try:
        found = meaning(odd)
    except Unreadable:
        return
    assert found == meaning(line), odd


@given(st.sampled_from(WHOLE[:3]), st.data())
def test_cut_short_it_is_an_error(line: bytes, data: st.DataObject) -> None:
    """Shortens an answer up to its last mark, which every one of these needs.

    A STATUS without a list says nothing, which is no error.
    """
    last = max(line.rfind(mark) for mark in (b'"', b")"))
    begun = line.index(b"(") if line.startswith(b"* STATUS") else line.index(b" ", 2)
    at = data.draw(st.integers(begun + 1, last))
    with pytest.raises(Unreadable):
        meaning(line[:at] + b"\r\n")


FETCHED = b'(UID 7 FLAGS (\\Seen $Junk) INTERNALDATE "17-Jul-1996 02:44:25 -0700")\r\n'


@given(st.sampled_from([found.start() for found in re.finditer(rb'[()"]', FETCHED)]), st.booleans())
def test_a_mutilated_fetch_answer_is_an_error_or_does_not_end(at: int, doubled: bool) -> None:
    odd = FETCHED[:at] + FETCHED[at : at + 1] * 2 * doubled + FETCHED[at + 1 :]
    answer = FetchAnswer()
    try:
        assert answer.feed(odd) is not None, odd
    except Unreadable:
        return
    # The next answer does not belong to this one: the reader finds out there at the latest (`ImapSession._literals`).
    assert answer.feed(b"\r\n") is not None


@given(
    st.lists(st.binary(max_size=60), min_size=1, max_size=5),
    st.sampled_from([b"LIST ", b"STATUS ", b"SEARCH ", b"ESEARCH "]),
)
def test_rubbish_is_read_or_refused(pieces: list[bytes], word: bytes) -> None:
    whole = [b"* " + word + pieces[0], *pieces[1:]]
    for read in (listed_folder, status_answer, searched_uids, namespaces):
        with contextlib.suppress(Unreadable):
            read(whole)
    selected = Selected()
    selected.take(whole)
    appended_uids(pieces[0])
    copied_uids(pieces[0])


@pytest.mark.parametrize("text", [b'"\\"', b'"', b"(", b"a[ ", b'\\"', b"{9 ", b'("" "/")', b" \t", b"()", b'"a" '])
@pytest.mark.parametrize(
    "head", [b"* LIST () ", b"* STATUS ", b"* NAMESPACE ", b"* ESEARCH ", b"* FLAGS ", b"* SEARCH "]
)
def test_no_answer_takes_time_without_bound(head: bytes, text: bytes) -> None:
    """Parses answers that took minutes, or recursed without end, in another parser.

    That parser looked at everything again from every position.
    """
    line = head + text * (60_000 // len(text)) + b"\r\n"
    for read in (listed_folder, status_answer, searched_uids, namespaces):
        with contextlib.suppress(Unreadable):
            read([line])
    Selected().take([line])
    for beginning in (b"(UID 1 FLAGS (", b"("):
        with contextlib.suppress(Unreadable):
            FetchAnswer().feed(beginning + line)


def test_a_date_takes_no_time_without_bound() -> None:
    """A run of blanks may stand at four places of a date: 60,000 of them took 20 s for each message."""
    for date in (b"01-Jan-2024 00:00:00%b(x", b"01-Jan-2024%b00:00:00%bx", b"%b01-Jan-2024 00:00:00 +0000 (%b"):
        text = date.replace(b"%b", b" " * 60_000)
        assert (parse_internaldate(text), odd_zone(text)) == ((None, 0), "")


def test_no_long_answer_is_remembered() -> None:
    """An answer to a search may have 64 MB, and a process remembers the heads of 64 answers."""
    tokens._remembered.cache_clear()
    for number in range(100):
        head_of(b"* SEARCH %d" % number + b" 1" * 1_000)
        head_of(b"* %d EXISTS\r\n" % number)
    remembered = tokens._remembered.cache_info()
    assert (remembered.currsize, remembered.misses) == (64, 100)


def test_uids_that_can_be_none_are_refused() -> None:
    for said in (b"SEARCH 1 4294967296", b"SEARCH 0 5", b"ESEARCH UID ALL 1:4294967296", b"ESEARCH UID ALL 0"):
        with pytest.raises(Unreadable):
            searched_uids([b"* " + said + b"\r\n"])
    with pytest.raises(Unreadable):
        status_answer([b"* STATUS a (UIDNEXT 4294967298)\r\n"])
    assert appended_uids(b"[APPENDUID 1 4294967296]") is None
    assert appended_uids(b"[APPENDUID 1 " + b",".join([b"1:99999"] * 1000) + b"]") is None
    answer = FetchAnswer()
    answer.feed(b"(UID 4294967296)\r\n")
    assert uid_of(answer.items()) == 0


@given(st.lists(st.text("abcdefXYZ012\\$*-_.[]%", min_size=1, max_size=8), max_size=8), ANY_BLANKS, BLANKS)
def test_a_list_of_atoms_is_read_as_one_word_after_another(atoms: list[str], before: bytes, between: bytes) -> None:
    """The usual list has a way of its own through the grammar; it must mean what the words one by one mean."""
    line = before + b"(" + between.join(atom.encode() for atom in atoms) + b")\r\n"
    one_by_one = Words([line])
    with contextlib.suppress(Unreadable):
        word = one_by_one.next()
        assert one_by_one.ended
        assert Words([line]).rest() == [word]
