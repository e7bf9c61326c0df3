"""Folder names: decoding, encoding, escaping, and the mapping: never two in one, the same again next time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import mail
from shared.folders import special_names, special_use
from shared.folders.mapping import MappedFolder, NameRules, decode_name, encode_name, map_folders, split
from shared.folders.names import escape, natural_order, text_of, visible, written
from shared.model.errors import ProtocolViolation

_ODD = (
    *("&", "&-", "&AOk-", "&AGE-", "&bad", "~", "=", "=2E", ".", "/", "..", " ", "*", "%", '"', "\\", "\x01", "a", "A"),
    *("é", "e\u0301", "Я", "😀", "x" * 90, "😀" * 40, "INBOX", "inbox", "Sent", "Отправленные", "Trash"),
)
_level = st.one_of(st.sampled_from(_ODD), st.text(max_size=8), st.lists(st.sampled_from(_ODD), max_size=3).map("".join))
_uses = st.sampled_from([frozenset[str]()] * 6 + [frozenset({u}) for u in ("sent", "trash", "junk", "noselect", "all")])


@st.composite
def _raws(draw: st.DrawFn, separator: str | None) -> bytes:
    levels = draw(st.lists(_level, min_size=1, max_size=4))
    coded = [encode_name(level) if draw(st.booleans()) else level.encode("utf-8", "replace") for level in levels]
    return (separator or "-").encode().join(coded) or b"x"


@st.composite
def _listings(draw: st.DrawFn) -> mail.FolderListing:
    separator = draw(st.sampled_from([".", "/", "\\", "^", None]))
    prefix = (
        draw(st.sampled_from([b"", b"INBOX" + separator.encode(), b"mail" + separator.encode()])) if separator else b""
    )
    names = draw(st.lists(_raws(separator), max_size=10))
    names = [prefix + name if draw(st.booleans()) else name for name in names]
    if draw(st.booleans()):
        names.append(b"INBOX")
    folders = tuple(mail.ListedFolder(name=name, separator=separator, attributes=draw(_uses)) for name in names)
    return mail.FolderListing(prefix=prefix, separator=separator, folders=folders)


def listing(*names: str | bytes, separator: str | None = "/", prefix: str = "", **uses: str) -> mail.FolderListing:
    """Returns folders by display name of each level (or raw bytes); `sent="Name"` gives the attribute."""
    by_name = {name: use for use, name in uses.items()}
    return mail.FolderListing(
        prefix=prefix.encode(),
        separator=separator,
        folders=tuple(
            mail.ListedFolder(
                name=name if isinstance(name, bytes) else encode_name(name),
                separator=separator,
                attributes=frozenset({by_name[name]} if isinstance(name, str) and name in by_name else ()),
            )
            for name in names
        ),
    )


def goes(mapped: list[MappedFolder]) -> dict[str, str]:
    return {decode_name(m.source_name): decode_name(m.destination_name) for m in mapped}


class TestNames:
    @pytest.mark.parametrize(
        ("raw", "text"),
        [
            (b"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-", "Отправленные"),
            (b"R&-D", "R&D"),
            (b"&2D3eAA-", "😀"),
            (b"&bad", "&bad"),
            (b"a&b", "a&b"),
            (b"&AOk", "&AOk"),
            (b"&A-", "&A-"),
            (b"&AGE-", "a"),
            ("Entwürfe".encode(), "Entwürfe"),
            (b"Entw\xfcrfe", "Entw\\xfcrfe"),
            (b"a\x1b[2Jb", "a\\x1b[2Jb"),
            (b"&IC4-exe", "\\u202eexe"),
            (b"&2AA-", "\\ud800"),
            (b"", ""),
        ],
    )
    def test_a_name_is_shown_whatever_is_wrong_with_it(self, raw: bytes, text: str) -> None:
        assert decode_name(raw) == text

    @given(st.binary(max_size=60))
    def test_decoding_never_raises_and_shows_no_control_characters(self, raw: bytes) -> None:
        shown = decode_name(raw)
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in shown)

    @given(st.text(st.characters()))
    def test_text_comes_back_from_modified_utf7(self, text: str) -> None:
        raw = encode_name(text)
        assert raw.isascii()
        assert text_of(raw) == text

    def test_modified_utf7_is_that_of_the_rfc(self) -> None:
        assert encode_name("~peter/mail/台北/日本語") == b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"

    def test_levels_are_split_raw(self) -> None:
        assert split(b"a.&AOk-.b", ".") == (b"a", b"&AOk-", b"b")
        assert split(b"a//b", "/") == (b"a", b"", b"b")
        assert split(b"a/b", None) == (b"a/b",)

    @given(st.text(st.characters()), st.sampled_from(["", ".", "/", "./%*"]), st.booleans())
    def test_a_level_is_written_so_that_it_can_be_held(self, level: str, forbidden: str, odd_spaces: bool) -> None:
        found = written(level, forbidden, "_", odd_spaces=odd_spaces)
        assert found
        assert not set(found) & set(forbidden)
        assert len(found) == max(1, len(level))
        assert written(found, forbidden, "_", odd_spaces=odd_spaces) == found

    def test_what_any_server_holds_is_not_escaped(self) -> None:
        for level in ("Work", "a=b", "100%", 'q"uote', "back\\slash", " lead", "trail ", "Я", "a~b", "x*"):
            assert escape(level, "/") == level
            assert written(level, "/", "_") == level

    def test_blanks_that_would_not_be_seen_are_shown(self) -> None:
        shown = [visible(name) for name in ("a b", "Ordner ", " a", "a  b", "x/ y")]
        assert shown == ["a b", '"Ordner "', '" a"', '"a  b"', "x/ y"]

    def test_the_natural_order(self) -> None:
        names = ["b", "a10", "INBOX/x", "A2", "a/b", "INBOX", "a", "a2b", "10", "9", "a02", "é"]
        assert sorted(names, key=natural_order) == [
            "INBOX",
            "INBOX/x",
            "9",
            "10",
            "a",
            "a/b",
            "A2",
            "a02",
            "a2b",
            "a10",
            "b",
            "é",
        ]

    @given(st.lists(st.text("aA019/é. ", max_size=6)))
    def test_any_names_can_be_put_in_order(self, names: list[str]) -> None:
        ordered = sorted(names, key=natural_order)
        assert sorted(set(names), key=natural_order) == list(dict.fromkeys(ordered))


class TestTable:
    def test_no_name_has_two_uses(self) -> None:
        names = [special_use._plain(name) for some in special_names.NAMES.values() for name in some]
        assert len(names) == len(set(names))

    def test_a_name_counts_at_the_top_and_below_inbox_only(self) -> None:
        assert special_use.use_of_name(("отправленные",))[0] == "sent"
        assert special_use.use_of_name(("INBOX", "Papierkorb"))[0] == "trash"
        assert special_use.use_of_name(("[Gmail]", "Черновики"))[0] == "drafts"
        assert special_use.use_of_name(("Clients", "Sent"))[0] == ""


class TestPlaces:
    def test_separators_and_prefixes_change_and_names_do_not(self) -> None:
        source = listing("INBOX", "INBOX.Sent", "INBOX.Work.2020", separator=".", prefix="INBOX.")
        mapped = map_folders(source, listing("INBOX"))
        assert [m.destination_name for m in mapped] == [b"INBOX", b"Sent", b"Work/2020"]
        assert [m.display for m in mapped] == ["INBOX", "Sent", "Work/2020"]
        assert not any(m.note for m in mapped)

    def test_a_prefix_is_put_before_everything_but_the_inbox(self) -> None:
        mapped = map_folders(listing("Inbox", "Work/a"), listing("INBOX", separator=".", prefix="INBOX."))
        assert goes(mapped) == {"Inbox": "INBOX", "Work/a": "INBOX.Work.a"}

    def test_children_of_the_inbox_never_make_an_inbox_within_the_inbox(self) -> None:
        source = listing("INBOX", "INBOX/sub", "inbox/Sub2", "sub")
        mapped = map_folders(source, listing("INBOX", separator=".", prefix="INBOX."))
        there = goes(mapped)
        assert there["INBOX/sub"].startswith("INBOX.sub~")
        assert there["sub"] == "INBOX.sub"
        assert there["inbox/Sub2"] == "INBOX.Sub2"
        deep = listing("INBOX", "INBOX.INBOX", "INBOX.INBOX.x", separator=".", prefix="INBOX.")
        for destination in (listing("INBOX"), listing("INBOX", separator=".", prefix="INBOX.")):
            names = [m.destination_name for m in map_folders(deep, destination)]
            assert len(set(names)) == 3
            assert not any(name.upper().startswith((b"INBOX.INBOX.", b"INBOX/INBOX/")) for name in names)
            assert not any(name.upper() in (b"INBOX.INBOX", b"INBOX/INBOX") for name in names)

    def test_an_inbox_without_children_gets_none(self) -> None:
        mapped = map_folders(listing("INBOX", "INBOX/sub"), listing("INBOX", noinferiors="INBOX", separator="\\"))
        assert goes(mapped) == {"INBOX": "INBOX", "INBOX/sub": "sub"}
        assert mapped[1].note == "called sub there"

    def test_a_flat_destination_keeps_the_names(self) -> None:
        assert goes(map_folders(listing("a.b", separator="."), listing(separator=None))) == {"a.b": "a.b"}
        assert goes(map_folders(listing("a.b", separator=None), listing(separator=None))) == {"a.b": "a.b"}

    def test_a_separator_inside_a_name_is_written_differently_and_said(self) -> None:
        (mapped,) = map_folders(listing("Dr. Jones"), listing(separator="."))
        assert mapped.destination_name == b"Dr_ Jones"
        assert mapped.note == "the destination cannot hold its name as it is; called Dr_ Jones there"

    @pytest.mark.parametrize(
        ("name", "called"),
        [
            ("~x", "_x"),
            ("a//b", "a/_/b"),
            ("..", "__"),
            ("a\x07b", "a_b"),
            ("a=2Eb", "a=2Eb"),
            (" lead", " lead"),
            ("trail ", "trail "),
            ("100%*", "100%*"),
            ('a"b\\c', 'a"b\\c'),
        ],
    )
    def test_odd_names(self, name: str, called: str) -> None:
        (mapped,) = map_folders(listing(name), listing())
        assert mapped.destination_name == encode_name(called)
        assert bool(mapped.note) == (name != called)

    def test_names_that_are_no_modified_utf7_are_written_anew(self) -> None:
        mapped = map_folders(listing("Entwürfe".encode(), b"a&b", b"caf\xe9"), listing())
        assert [m.destination_name for m in mapped] == [b"Entw&APw-rfe", b"a&-b", b"caf_"]
        assert all("modified UTF-7" in m.note for m in mapped)
        assert [m.source_name for m in mapped] == ["Entwürfe".encode(), b"a&b", b"caf\xe9"]

    def test_names_that_the_destination_may_take_for_one_stay_apart(self) -> None:
        mapped = map_folders(listing("caf\u00e9", "cafe\u0301", b"&AGE-", "a"), listing())
        assert len({m.destination_name for m in mapped}) == 4
        assert mapped[3].destination_name == b"a"
        assert mapped[2].destination_name.startswith(b"a~")
        same = map_folders(listing("Work", "work", "WORK/a"), listing(), rules=NameRules(case_insensitive=True))
        assert len({m.destination_name.lower() for m in same}) == 3
        assert len({m.destination_name for m in map_folders(listing("Work", "work"), listing()) if not m.note}) == 2

    def test_a_long_name_is_shortened_with_a_hash_and_said(self) -> None:
        source = listing("x" * 300, "x" * 299 + "y", "/".join(["deep level"] * 40), "я" * 150 + "/child")
        mapped = map_folders(source, listing())
        assert all(len(m.destination_name) <= 200 for m in mapped)
        assert len({m.destination_name for m in mapped}) == 4
        assert all("longer than 200 octets: shortened" in m.note for m in mapped)
        assert mapped[2].destination_name.startswith(b"deep level/deep level/")

    def test_what_the_destination_refuses_can_be_told(self) -> None:
        rules = NameRules(forbidden=".", reserved={"files"}, odd_spaces=False)
        mapped = map_folders(listing("a.b", "Files", "Files/x", " two  spaces"), listing(), rules=rules)
        assert mapped[0].destination_name == b"a_b"
        assert mapped[1].destination_name.startswith(b"Files~")
        assert mapped[2].destination_name == mapped[1].destination_name + b"/x"
        assert mapped[3].destination_name == b"_two _spaces"

    def test_the_destinations_own_spelling_is_used(self) -> None:
        here = listing("Entwürfe".encode(), "Inbox", "nfd e\u0301")
        mapped = map_folders(listing("INBOX", "Entwürfe", "nfd \u00e9"), here)
        assert [m.destination_name for m in mapped] == [b"Inbox", "Entwürfe".encode(), encode_name("nfd e\u0301")]
        assert all(m.exists for m in mapped)

    def test_a_name_listed_twice_is_one_folder(self) -> None:
        mapped = map_folders(listing("INBOX", "Inbox", "a", "a"), listing())
        assert [m.destination_name for m in mapped] == [b"INBOX", b"a"]

    def test_a_separator_that_cannot_be_one_is_the_destinations_fault(self) -> None:
        for separator in ("a", "&", "-", "\n", "//"):
            with pytest.raises(ProtocolViolation, match="separator"):
                map_folders(listing("x"), listing(separator=separator))

    def test_an_earlier_pass_is_kept(self) -> None:
        source = listing("Sent", "Отправленные", "new", sent="Отправленные")
        here = listing("Sent", "old place", sent="Sent")
        known = {encode_name("Отправленные"): encode_name("Отправленные"), b"Sent": b"Sent", b"new": b"old place"}
        mapped = map_folders(source, here, known=known)
        assert goes(mapped) == {"Sent": "Sent", "Отправленные": "Отправленные", "new": "old place"}


class TestSpecialUse:
    def test_an_attribute_leads_to_the_attribute(self) -> None:
        source = listing("Отправленные", "Отправленные/2020", "Корзина", sent="Отправленные", trash="Корзина")
        here = listing("INBOX", "Sent Items", "Bin", sent="Sent Items", trash="Bin")
        mapped = map_folders(source, here)
        assert [m.destination_name for m in mapped] == [b"Sent Items", b"Sent Items/2020", b"Bin"]
        assert mapped[0].note == "the destination's folder for sent mail; called Sent Items there"
        assert [m.special_use for m in mapped] == ["sent", "", "trash"]
        assert mapped[0].exists

    def test_names_do_when_nobody_has_attributes(self) -> None:
        mapped = map_folders(
            listing("Gesendet", "Papierkorb", "Spamverdacht", "Archiv"), listing("Sent", "Trash", "Spam")
        )
        assert goes(mapped) == {"Gesendet": "Sent", "Papierkorb": "Trash", "Spamverdacht": "Spam", "Archiv": "Archiv"}

    def test_below_a_prefix_too(self) -> None:
        here = listing("INBOX", "INBOX.Sent", separator=".", prefix="INBOX.", sent="INBOX.Sent")
        assert goes(map_folders(listing("[Gmail]/Gesendet"), here)) == {"[Gmail]/Gesendet": "INBOX.Sent"}

    def test_of_two_claimants_the_second_keeps_its_own_name(self) -> None:
        here = listing("Sent", sent="Sent")
        there = goes(map_folders(listing("Sent", "Sent Items", "Отправленные"), here))
        assert there == {"Sent": "Sent", "Sent Items": "Sent Items", "Отправленные": "Отправленные"}

    def test_the_attribute_wins_over_the_name_and_nothing_is_merged(self) -> None:
        source = listing("Sent", "Sent/old", "Отправленные", sent="Отправленные")
        mapped = map_folders(source, listing("Sent", sent="Sent"))
        assert mapped[2].destination_name == b"Sent"
        assert mapped[0].destination_name.startswith(b"Sent~")
        assert mapped[1].destination_name == mapped[0].destination_name + b"/old"
        assert "Sent is another folder there" in mapped[0].note

    def test_without_an_equal_at_the_destination_the_name_stays(self) -> None:
        mapped = map_folders(listing("Отправленные", sent="Отправленные"), listing("INBOX"))
        assert goes(mapped) == {"Отправленные": "Отправленные"}
        assert not mapped[0].note

    def test_the_inbox_is_never_special(self) -> None:
        mapped = map_folders(listing("INBOX", "Sent", sent="INBOX"), listing("INBOX", "Gesendet", sent="INBOX"))
        assert goes(mapped) == {"INBOX": "INBOX", "Sent": "Gesendet"}


class TestSkips:
    def test_reasons(self) -> None:
        source = listing("INBOX", "[Gmail]", b"a\nb", "Spam", "Spam/old", "Sp", noselect="[Gmail]")
        mapped = map_folders(source, listing(), exclude=["Spam*"])
        skipped = {m.display: m.skip for m in mapped if m.skip}
        assert skipped == {
            "[Gmail]": "holds only subfolders",
            "a\\x0ab": "its name holds a line break or NUL",
            "Spam": "excluded by 'Spam*'",
            "Spam/old": "excluded by 'Spam*'",
        }
        assert all(m.destination_name == b"" for m in mapped if m.skip)

    @pytest.mark.parametrize(
        ("pattern", "taken"),
        [
            ("Work", ["Work", "Work/a", "Work/a/b"]),
            ("Work/", ["Work", "Work/a", "Work/a/b"]),
            ("Work/*", ["Work/a", "Work/a/b"]),
            ("work", []),
            ("inbox", ["INBOX", "INBOX/x"]),
            ("[Gmail]/Spam", ["[Gmail]/Spam"]),
            ("*", ["INBOX", "INBOX/x", "Work", "Work/a", "Work/a/b", "[Gmail]/Spam"]),
            ("(a+)+$", []),
        ],
    )
    def test_globs(self, pattern: str, taken: list[str]) -> None:
        source = listing("INBOX", "INBOX/x", "Work", "Work/a", "Work/a/b", "[Gmail]/Spam")
        assert [m.display for m in map_folders(source, listing(), include=[pattern]) if not m.skip] == taken
        assert [m.display for m in map_folders(source, listing(), exclude=[pattern]) if m.skip] == taken

    def test_globs_speak_of_levels_whatever_the_separator(self) -> None:
        source = listing("INBOX.a.b", separator=".", prefix="INBOX.")
        assert not map_folders(source, listing(), include=["a/b"])[0].skip

    def test_views_can_be_left_out(self) -> None:
        (mapped,) = map_folders(listing("All Mail", all="All Mail"), listing(), without={"all"})
        assert mapped.skip == "left out: its special use is all"

    def test_an_excluded_folder_claims_nothing(self) -> None:
        source = listing("Отправленные", "Sent", sent="Отправленные")
        mapped = map_folders(source, listing("Sent", sent="Sent"), exclude=["Отправленные"])
        assert mapped[1].destination_name == b"Sent"


_rules = st.builds(
    NameRules,
    case_insensitive=st.booleans(),
    odd_spaces=st.booleans(),
    forbidden=st.sampled_from(["", ".", "%*", "=~"]),
)


class TestPromises:
    @given(_listings(), _listings(), _rules)
    @settings(max_examples=400, deadline=None)
    def test_never_two_in_one_and_the_same_again(
        self, source: mail.FolderListing, destination: mail.FolderListing, rules: NameRules
    ) -> None:
        mapped = map_folders(source, destination, rules=rules)
        live = [m for m in mapped if not m.skip]
        names = [m.destination_name for m in live]
        assert len(set(names)) == len(names)
        assert len({m.source_name for m in mapped}) == len(mapped)
        for name in names:
            assert name
            assert not any(octet < 0x20 or octet == 0x7F for octet in name) or name in {
                f.name for f in destination.folders
            }
        created = tuple(
            mail.ListedFolder(name=m.destination_name, separator=destination.separator, attributes=frozenset())
            for m in live
            if not m.exists
        )
        kept = tuple(f for f in destination.folders if f.name not in {c.name for c in created})
        after = mail.FolderListing(
            prefix=destination.prefix, separator=destination.separator, folders=(*kept, *created)
        )
        again = map_folders(source, after, rules=rules)
        assert [(m.source_name, m.destination_name, m.skip) for m in again] == [
            (m.source_name, m.destination_name, m.skip) for m in mapped
        ]
        assert all(m.exists for m in again if not m.skip)
        known = {m.source_name: m.destination_name for m in live}
        kept_all = map_folders(source, listing(separator=destination.separator), rules=rules, known=known)
        assert [m.destination_name for m in kept_all] == [m.destination_name for m in mapped]

    def test_a_special_folder_written_oddly_takes_no_other_folders_place_the_second_time(self) -> None:
        text = "Отправленные"
        names = (encode_name(text), text.encode())
        source = mail.FolderListing(
            prefix=b"",
            separator=None,
            folders=tuple(
                mail.ListedFolder(name=name, separator=None, attributes=frozenset({"sent"} - {use}))
                for name, use in zip(names, ("sent", ""), strict=True)
            ),
        )
        mapped = map_folders(source, listing(separator="."))
        after = listing(*(m.destination_name for m in mapped), separator=".")
        assert [m.destination_name for m in map_folders(source, after)] == [m.destination_name for m in mapped]

    @given(_listings(), _listings())
    @settings(max_examples=200, deadline=None)
    def test_the_order_of_the_listing_does_not_matter(
        self, source: mail.FolderListing, destination: mail.FolderListing
    ) -> None:
        turned = mail.FolderListing(
            prefix=source.prefix, separator=source.separator, folders=tuple(reversed(source.folders))
        )
        forth = {m.source_name: m.destination_name for m in map_folders(source, destination)}
        back = {m.source_name: m.destination_name for m in map_folders(turned, destination)}
        unequal = {n for n in forth if n.upper() != b"INBOX" and back[n] != forth[n]}
        doubled = len({f.name for f in source.folders}) != len(source.folders)
        assert not unequal or doubled

    def test_ten_thousand_folders_are_not_compared_with_each_other(self) -> None:
        source = listing(*(f"папка {n % 100}/{n} é. x" for n in range(10_000)))
        here = listing(*(f"Folder {n}" for n in range(5_000)), separator=".", prefix="INBOX.")
        began = time.process_time()
        mapped = map_folders(source, here, exclude=["Spam*", "Junk"])
        assert time.process_time() - began < 40, (
            "0.8 s on the slowest machine so far; each with each would take minutes"
        )
        assert len({m.destination_name for m in mapped}) == 10_000


@pytest.mark.parametrize("shape", [b"a/" * 2047 + b"a", b"/" * 4096, b"INBOX/" * 682 + b"a", b"b/" * 99 + b"c/" * 1900])
def test_a_name_of_two_thousand_levels_is_a_folder_as_any_other(shape: bytes) -> None:
    """A folder's place is found level by level: such names took minutes, or more levels than Python has."""
    names = [b"%d" % number + shape[: 4096 - 4] for number in range(100)]
    began = time.process_time()
    mapped = map_folders(listing(*names), listing("INBOX"), exclude=["*zzz*", "Trash*"], renamed={"nowhere": "else"})
    assert time.process_time() - began < 40
    given = [one.destination_name for one in mapped]
    assert (len(set(given)), [one.skip for one in mapped]) == (100, [""] * 100)
    assert max(map(len, given)) <= NameRules().longest_octets
