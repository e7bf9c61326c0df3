"""The places of folders when the operator decides: below a folder, by a map, without special folders; never two in one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.folders import special_use
from shared.folders.mapping import MappedFolder, map_folders
from shared.folders.names import decode_name, encode_name
from shared.mail import FolderListing, ListedFolder
from tests.unit.test_folders import _listings, listing

HERE = listing("INBOX", "Sent", "Bin", sent="Sent", trash="Bin")


def goes(mapped: list[MappedFolder]) -> dict[str, str]:
    return {m.display: m.destination_display for m in mapped if not m.skip}


class TestInto:
    def test_everything_goes_below_under_its_own_name(self) -> None:
        source = listing("INBOX", "INBOX/a", "Sent", "Отправленные", "x/y", sent="Sent")
        mapped = goes(map_folders(source, HERE, into="Archive/Old"))
        assert mapped == {name: f"Archive/Old/{name}" for name in mapped}

    def test_below_inbox_and_below_a_prefix(self) -> None:
        here = listing("INBOX", separator=".", prefix="INBOX.")
        names = [m.destination_name for m in map_folders(listing("INBOX", "a"), here, into="Old/x.y")]
        assert names == [b"INBOX.Old.x_y.INBOX", b"INBOX.Old.x_y.a"]
        assert goes(map_folders(listing("a"), here, into="inbox/Old")) == {"a": "Old/a"}
        assert goes(map_folders(listing("a"), listing("INBOX"), into="inbox/Old")) == {"a": "INBOX/Old/a"}

    @given(_listings(), _listings())
    @settings(max_examples=200, deadline=None)
    def test_nothing_ever_leaves_it_and_no_two_meet(self, source: FolderListing, here: FolderListing) -> None:
        mapped = [m for m in map_folders(source, here, into="Old/Mail") if not m.skip]
        assert len({m.destination_name for m in mapped}) == len(mapped)
        assert all(m.destination_display.startswith("Old/Mail/") for m in mapped)
        known = {m.source_name: m.destination_name for m in mapped}
        for into in ("", "Elsewhere", "Old/Mail"):
            later = [m for m in map_folders(source, here, into=into, known=known) if not m.skip]
            assert [m.destination_name for m in later] == [m.destination_name for m in mapped], "kept"


class TestMap:
    def test_what_lies_below_goes_along_and_special_folders_obey(self) -> None:
        source = listing("INBOX", "Work", "Work/2024", "Sent", sent="Sent")
        mapped = map_folders(source, HERE, renamed={"Work": "Projects", "Sent": "Old/Sent"})
        assert goes(mapped) == {
            "INBOX": "INBOX",
            "Work": "Projects",
            "Work/2024": "Projects/2024",
            "Sent": "Old/Sent",
        }
        assert mapped[1].note == "by the folder map; called Projects there"

    def test_it_goes_before_the_natural_place_of_another(self) -> None:
        mapped = map_folders(listing("a", "b"), listing(), renamed={"b": "a"})
        assert goes(mapped)["b"] == "a"
        assert goes(mapped)["a"].startswith("a~")

    def test_inbox_may_go_elsewhere_and_another_take_its_place(self) -> None:
        source = listing("Inbox", "Work")
        assert goes(map_folders(source, HERE, renamed={"inbox": "Old"})) == {"INBOX": "Old", "Work": "Work"}
        both = map_folders(source, HERE, renamed={"INBOX": "Old", "Work": "INBOX"})
        assert {m.source_name: m.destination_name for m in both} == {b"Inbox": b"Old", b"Work": b"INBOX"}
        known = {b"Inbox": b"Old", b"Work": b"INBOX"}
        assert {m.source_name: m.destination_name for m in map_folders(source, HERE, known=known)} == known

    def test_two_are_never_put_into_inbox(self) -> None:
        mapped = map_folders(listing("INBOX", "Work"), HERE, renamed={"Work": "INBOX"})
        assert goes(mapped) == {"INBOX": "INBOX", "Work": "Work"}

    @given(
        _listings(),
        st.dictionaries(st.sampled_from(["INBOX", "a", "A", "Sent"]), st.sampled_from(["b", "INBOX", "Sent/x"])),
    )
    @settings(max_examples=200, deadline=None)
    def test_no_two_meet_whatever_the_map_says(self, source: FolderListing, renamed: dict[str, str]) -> None:
        mapped = [m for m in map_folders(source, HERE, renamed=renamed) if not m.skip]
        assert len({m.destination_name for m in mapped}) == len(mapped)


class TestSpecial:
    def test_by_attribute_else_by_name_and_all_below(self) -> None:
        source = listing(
            "INBOX", "Papierkorb", "Papierkorb/alt", "Trash", "Spam", "Спам", "Mine/Spam", trash="Papierkorb"
        )
        mapped = map_folders(source, HERE, without=("trash", "junk"))
        # The server says which folder is the trash; a folder that only has the name is somebody's own.
        assert list(goes(mapped)) == ["INBOX", "Trash", "Mine/Spam"]
        assert "lies below" in next(m.skip for m in mapped if m.display == "Papierkorb/alt")

    def test_names_count_only_where_the_server_says_nothing(self) -> None:
        marked = [(frozenset({"junk"}), ("Bulk",)), (frozenset[str](), ("Spam",)), (frozenset[str](), ("Trash",))]
        assert special_use.uses(marked) == ["junk", "", "trash"]

    def test_on_a_server_with_a_prefix(self) -> None:
        folders = tuple(
            ListedFolder(name=b"INBOX." + encode_name(name), separator=".", attributes=frozenset())
            for name in ("Корзина", "Work")
        )
        source = FolderListing(prefix=b"INBOX.", separator=".", folders=folders)
        assert [decode_name(m.source_name) for m in map_folders(source, HERE, without=("trash",)) if not m.skip] == [
            "INBOX.Work"
        ]
