"""Folders that the destination refuses: only they get other names, and nothing empty is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.folders.names import encode_name, text_of
from shared.mail import FolderListing, ListedFolder
from shared.model import Folder, Options
from shared.model.errors import FolderRefused, Throttled
from tests.unit.test_folders import listing
from worker.planning import folder_making
from worker.planning.folder_making import PreparedFolders, WantedFolders


class Source:
    """A source that lists folders."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, *names: str) -> None:
        self._names = names

    def listing(self) -> FolderListing:
        return listing(*self._names)


class Picky:
    """A destination that refuses some folders.

    It refuses names with some characters or beginnings, folders below one that holds mail, and Work beside work.
    """

    def __init__(
        self,
        *,
        characters: str = "",
        names: Sequence[str] = (),
        childless: bool = False,
        told: bool = True,
        one_case: bool = False,
        words: str = "[CANNOT] no",
    ) -> None:
        self.made: dict[str, str] = {"inbox": "INBOX"}
        self.asked: list[str] = []
        #: The names that each listing was to count.
        self.counted: list[list[bytes]] = []
        self._characters, self._names, self._childless, self._told = characters, tuple(names), childless, told
        self._one_case, self._words = one_case, words

    def listing(self, *, counting: Sequence[bytes] = ()) -> FolderListing:
        self.counted.append(list(counting))
        found = listing(*self.made.values())
        if not (self._childless and self._told):
            return found
        return replace(
            found,
            folders=tuple(
                ListedFolder(
                    name=f.name,
                    separator="/",
                    attributes=frozenset() if f.name == b"INBOX" else frozenset({"noinferiors"}),
                )
                for f in found.folders
            ),
        )

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        return [self._create(text_of(name)) for name in names]

    def _create(self, name: str) -> Exception | None:
        self.asked.append(name)
        above = ["/".join(name.split("/")[:n]) for n in range(1, name.count("/") + 1)]
        key = name.casefold() if self._one_case else name
        refused = (
            not set(self._characters).isdisjoint(name)
            or name.startswith(self._names)
            or (self._childless and any(one in self.made.values() for one in above))
            or key in self.made
        )
        if refused:
            return FolderRefused("destination", f"would not create {name}", self._words)
        self.made[key] = name
        return None

    def subscribe(self, names: Sequence[bytes]) -> None:
        pass


def make(source: Source, here: Picky, known: Sequence[Folder] = (), **options: Any) -> PreparedFolders:
    listings = source.listing(), here.listing()
    return WantedFolders(source, here, Options(**options), known, listings).make()  # type: ignore[arg-type]


def goes(found: PreparedFolders) -> dict[str, str]:
    return {one.display: one.destination_display for one in found.mapped if not one.skip}


def remembered(found: PreparedFolders) -> list[Folder]:
    return [
        Folder(
            folder_id=str(n),
            mailbox_id="m",
            source_name=one.source_name,
            destination_name=one.destination_name,
            display=one.display,
            note=one.note,
            destination_uidvalidity=7,
        )
        for n, one in enumerate(found.mapped)
        if not one.skip
    ]


def test_one_refused_name_changes_that_folder_only_and_leaves_nothing_empty() -> None:
    names = ["INBOX", "R&D", 'with "quote"', 'with "quote"/child', "a*b", "v1.2", "plain"]
    here = Picky(characters='"', words="[CANNOT] Invalid mailbox name")
    found = make(Source(*names), here)
    assert goes(found) == {name: name.replace('"', "_") for name in names}
    assert set(here.made.values()) == set(goes(found).values())
    notes = {one.display: one.note for one in found.mapped}
    assert notes['with "quote"'] == (
        'the destination refused with "quote" (the server said: [CANNOT] Invalid mailbox name); called with _quote_ there'
    )
    assert notes["R&D"] == notes["plain"] == ""


@pytest.mark.parametrize("told", [True, False])
def test_below_what_takes_no_folders_names_stand_beside_it(told: bool) -> None:
    here = Picky(childless=True, told=told)
    found = make(Source("Work/Sub/Deep", "Work/Sub", "INBOX", "Work", "Projects/A", "Work_Sub"), here)
    there = goes(found)
    assert there["Work"] == "Work"
    assert there["Work_Sub"] == "Work_Sub"
    assert there["Work/Sub"].startswith("Work_Sub~")
    assert there["Work/Sub/Deep"] == there["Work/Sub"] + "_Deep"
    assert there["Projects/A"] == "Projects/A"
    assert set(here.made.values()) == set(there.values())
    note = next(one.note for one in found.mapped if one.display == "Work/Sub")
    assert ("Work takes no folders below it there" in note) == told
    assert ("the destination refused Work/Sub (the server said: [CANNOT] no)" in note) != told


def test_names_stay_in_later_passes_and_when_the_ledger_is_lost() -> None:
    source = Source("INBOX", "Work", "Work/Sub", "v1.2", "v1_2", "a.b/c.d", "a.b/e", "Files", "Files/x")
    here = Picky(childless=True, characters=".", names=["Files/"])
    first = make(source, here)
    asked, made = list(here.asked), dict(here.made)
    again = make(source, here, remembered(first))
    assert here.asked == asked, "nothing is asked for again"
    assert [(m.source_name, m.destination_name, m.note) for m in again.mapped] == [
        (m.source_name, m.destination_name, m.note) for m in first.mapped
    ]
    lost = make(source, here)
    assert goes(lost) == goes(first)
    assert here.made == made


def test_what_an_earlier_mailhaul_called_it_is_found_again() -> None:
    here = Picky(characters=".")
    here.made |= {name: name for name in ("v1=2E2", "a=3D2Eb", "Dr=2E J")}
    assert goes(make(Source("v1.2", "a=2Eb", "Dr. J"), here)) == {
        "v1.2": "v1=2E2",
        "a=2Eb": "a=3D2Eb",
        "Dr. J": "Dr=2E J",
    }


def test_what_differs_in_case_only_is_not_put_into_one() -> None:
    here = Picky(one_case=True, words="[ALREADYEXISTS] it is there")
    there = goes(make(Source("Work", "work", "WORK"), here))
    assert len({name.casefold() for name in there.values()}) == 3
    assert set(here.made.values()) == {"INBOX", *there.values()}


def test_a_refusal_that_no_name_helps_changes_none() -> None:
    here = Picky(names=[""], words="[NOPERM] not for you")
    found = make(Source("A", "B.x"), here)
    assert goes(found) == {"A": "A", "B.x": "B.x"}
    assert here.asked == ["A", "B.x"]


def test_where_no_name_is_taken_it_keeps_its_own() -> None:
    here = Picky(names=["Files", "folder"])
    found = make(Source("Files", "Z"), here)
    assert goes(found) == {"Files": "Files", "Z": "Z"}
    assert len(here.asked) < 20
    assert set(here.made.values()) == {"INBOX", "Z"}


def test_a_name_that_failed_in_an_earlier_pass_is_tried_anew() -> None:
    here = Picky(characters=".")
    known = Folder(folder_id="f", mailbox_id="m", source_name=b"v1.2", destination_name=b"v1.2", display="v1.2")
    assert goes(make(Source("v1.2"), here, [known])) == {"v1.2": "v1_2"}


def test_a_server_that_asks_to_wait_is_left_alone() -> None:
    class Busy(Picky):
        def _create(self, name: str) -> Exception | None:
            return Throttled("destination", "asked to wait")

    with pytest.raises(Throttled):
        make(Source("A"), Busy())


def test_what_a_person_chose_follows_a_refusal_too() -> None:
    here = Picky(childless=True)
    there = goes(make(Source("A", "B"), here, folder_map=(("A", "Work"), ("B", "Work/B"))))
    assert there == {"A": "Work", "B": "Work_B"}
    dots = Picky(characters=".")
    assert goes(make(Source("A", "B/c"), dots, into="Old v1.2")) == {"A": "Old v1_2/A", "B/c": "Old v1_2/B/c"}


def test_numbers_are_asked_for_behind_each_listing_under_the_names_of_that_moment() -> None:
    here = Picky(characters=".")
    source = Source("INBOX", "A", "v1.2")
    listings = source.listing(), here.listing()
    WantedFolders(source, here, Options(), (), listings, counted=[b"INBOX"]).make()  # type: ignore[arg-type]
    assert [sorted(names) for names in here.counted] == [[], [b"A", b"v1.2"], [b"A", b"v1_2"]]


def test_nothing_is_listed_where_nothing_is_made() -> None:
    here = Picky()
    make(Source("INBOX"), here)
    assert here.counted == [[]]


@pytest.mark.parametrize(("refused", "asked"), [(["f"], 20), ([], 50)], ids=["refused", "control: being made"])
def test_a_lane_may_stop_between_folders_that_are_refused(
    monkeypatch: pytest.MonkeyPatch, refused: list[str], asked: int
) -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    monkeypatch.setattr(folder_making, "QUICK_SECONDS", 0.0)
    source, here = Source(*(f"f{n:02}" for n in range(50))), Picky(names=refused, words="[NOPERM] no")
    making = WantedFolders(source, here, Options(), (), (source.listing(), here.listing()))  # type: ignore[arg-type]
    with pytest.raises(Stopped) if refused else nullcontext():
        making.make(stop)
    assert len(here.asked) == asked


_LEVEL = st.sampled_from(["a", "b", "A", "a.b", "a_b", "a*", "é", "a b", "_", "a_", "x=2E", "Files"])
_NAME = st.lists(_LEVEL, min_size=1, max_size=4).map("/".join)


@given(
    st.lists(_NAME, max_size=12, unique=True),
    st.sampled_from(["", ".", ".*", "é ", "_", "*=."]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(_NAME, max_size=3),
)
@settings(max_examples=400, deadline=None)
def test_never_two_in_one_nothing_empty_and_the_same_again(
    names: list[str], characters: str, childless: bool, told: bool, one_case: bool, there: list[str]
) -> None:
    here = Picky(characters=characters, childless=childless, told=told, one_case=one_case)
    for name in there:
        here._create(name)
    before = set(here.made.values())
    here.asked.clear()
    found = make(Source(*names), here)
    places = [one.destination_name for one in found.mapped if not one.skip]
    assert len(set(places)) == len(places)
    made = {encode_name(name) for name in set(here.made.values()) - before}
    assert made <= set(places), "an empty folder is left behind"
    assert set(places) <= {encode_name(name) for name in here.made.values()}, "some name is always taken here"
    everything = dict(here.made)
    assert goes(make(Source(*names), here, remembered(found))) == goes(found)
    assert here.made == everything
