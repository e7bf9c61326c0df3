"""Folders of other people and public ones: left out unless asked for, and never written into by accident."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.folders.mapping import LeftOut, MappedFolder, decode_name, left_out, map_folders, readable
from shared.folders.tree import Tree
from shared.mail import FolderListing
from shared.model.messages import Namespace, Owner
from tests.unit.test_folders import _listings, listing

SPACES = (
    Namespace(prefix=b"", separator="/", owner=Owner.PERSONAL),
    Namespace(prefix=b"shared/", separator="/", owner=Owner.OTHER),
    Namespace(prefix=b"Public/", separator="/", owner=Owner.PUBLIC),
)
NAMES = ("INBOX", "Work", "shared", "shared/u2", "shared/u2/Team", "Public", "Public/News", "Public/Old/2020")


def spaced(*names: str | bytes, **uses: str) -> FolderListing:
    return replace(listing(*names, **uses), namespaces=SPACES)


def goes(mapped: list[MappedFolder]) -> dict[str, str]:
    return {m.display: m.destination_display for m in mapped if not m.skip}


class TestAtTheSource:
    source = spaced(*NAMES, noselect="shared")

    def test_only_ones_own_unless_asked_for(self) -> None:
        mapped = map_folders(self.source, listing())
        assert goes(mapped) == {"INBOX": "INBOX", "Work": "Work"}
        assert left_out(mapped) == LeftOut(other=2, public=3)
        assert left_out(mapped).note() == (
            "2 folders of other people are left out; 3 public folders are left out; take them with --shared-folders=copy"
        )
        everything = map_folders(self.source, listing(), shared=True)
        assert set(goes(everything)) == set(NAMES) - {"shared"}
        assert not left_out(everything)
        assert left_out(everything).note() == ""

    def test_the_folder_map_asks_for_what_it_names(self) -> None:
        mapped = map_folders(self.source, listing(), renamed={"Public/Old": "Archive", "shared/u2/Team": "Team"})
        assert goes(mapped) == {
            "INBOX": "INBOX",
            "Work": "Work",
            "shared/u2/Team": "Team",
            "Public/Old/2020": "Public/Old/2020",
        }

    def test_another_persons_special_folder_is_nobodys_here(self) -> None:
        source = spaced("Sent", "shared/u2/Gesendet", sent="shared/u2/Gesendet")
        mapped = map_folders(source, listing("Sent Items", sent="Sent Items"))
        assert goes(mapped) == {"Sent": "Sent Items"}
        without = map_folders(source, listing(), without=["sent"])
        assert not goes(without)

    def test_what_is_readable(self) -> None:
        assert readable(self.source, shared=False) == ([b"INBOX", b"Work"], LeftOut(other=2, public=3))
        assert len(readable(self.source, shared=True)[0]) == len(NAMES) - 1

    def test_one_is_told_as_one(self) -> None:
        assert LeftOut(other=1).note() == "1 folder of other people is left out; take them with --shared-folders=copy"
        assert LeftOut(public=1200).untouched() == "nothing is written into public folders: 1,200"


class TestAtTheDestination:
    def test_a_folder_that_is_called_like_a_namespace_gets_a_name_beside_it(self) -> None:
        mapped = map_folders(
            listing("INBOX", "Public", "Public/News", "shared/x", "sharedx"), spaced("INBOX", "Public/News")
        )
        assert goes(mapped) == {
            "INBOX": "INBOX",
            "Public": "Public_",
            "Public/News": "Public_/News",
            "shared/x": "shared_/x",
            "sharedx": "sharedx",
        }
        assert mapped[1].note == "Public is not this account's there; called Public_ there"

    def test_what_was_asked_for_is_not_put_among_theirs_either(self) -> None:
        mapped = map_folders(spaced("Public/News"), spaced("Public", "Public/News"), shared=True)
        assert goes(mapped) == {"Public/News": "Public_/News"}

    def test_a_person_may_name_the_place(self) -> None:
        mapped = map_folders(listing("News", "x"), spaced(), renamed={"News": "Public/News"})
        assert goes(mapped) == {"News": "Public/News", "x": "x"}
        assert goes(map_folders(listing("x"), spaced(), into="shared/team")) == {"x": "shared/team/x"}

    def test_another_persons_special_folder_is_no_place_for_mail(self) -> None:
        here = spaced("INBOX", "shared/u2/Sent", "Public/Junk", sent="shared/u2/Sent", junk="Public/Junk")
        mapped = map_folders(listing("Gesendet", "Spam", sent="Gesendet", junk="Spam"), here)
        assert goes(mapped) == {"Gesendet": "Gesendet", "Spam": "Spam"}

    def test_a_prefix_without_a_separator_at_its_end(self) -> None:
        here = replace(listing(), namespaces=(Namespace(prefix=b"user", separator="/", owner=Owner.OTHER),))
        assert goes(map_folders(listing("user1/x", "users"), here)) == {"user1/x": "_user1/x", "users": "_users"}

    @pytest.mark.parametrize("public", [b"", b"INBOX.pub."])
    def test_below_a_prefix(self, public: bytes) -> None:
        spaces = (
            Namespace(prefix=b"INBOX.", separator=".", owner=Owner.PERSONAL),
            Namespace(prefix=public, separator=".", owner=Owner.PUBLIC),
        )
        here = replace(listing("INBOX", separator=".", prefix="INBOX."), namespaces=spaces)
        mapped = map_folders(listing("INBOX", "pub/x", "Work"), here)
        beside = "INBOX.pub_.x" if public else "INBOX.pub.x"
        assert [decode_name(m.destination_name) for m in mapped] == ["INBOX", beside, "INBOX.Work"]

    def test_a_name_that_is_too_long_loses_its_upper_levels_and_stays_the_accounts_own(self) -> None:
        spaces = (
            Namespace(prefix=b"", separator=None, owner=Owner.PERSONAL),
            Namespace(prefix=b"Sent", separator=None, owner=Owner.OTHER),
        )
        here = replace(listing(separator=None), namespaces=spaces)
        (mapped,) = (m for m in map_folders(listing(f"{'x' * 300}/Sent"), here) if not m.skip)
        assert Tree(here).owner(mapped.destination_name) is Owner.PERSONAL

    @given(_listings(), _listings(), st.sets(st.sampled_from([b"shared", b"Sent", b"a", b"A", b"Trash", b"x"])))
    @settings(max_examples=300, deadline=None)
    def test_never_there_by_accident_never_two_in_one_and_the_same_again(
        self, source: FolderListing, here: FolderListing, theirs: set[bytes]
    ) -> None:
        mark = (here.separator or "").encode()
        spaces = tuple(
            Namespace(prefix=here.prefix + n + mark, separator=here.separator, owner=Owner.OTHER) for n in theirs
        )
        own = Namespace(prefix=here.prefix, separator=here.separator, owner=Owner.PERSONAL)
        here = replace(here, namespaces=(own, *spaces))
        mapped = [m for m in map_folders(source, here) if not m.skip]
        tree = Tree(here)
        assert all(tree.owner(m.destination_name) is Owner.PERSONAL for m in mapped)
        assert len({m.destination_name for m in mapped}) == len(mapped)
