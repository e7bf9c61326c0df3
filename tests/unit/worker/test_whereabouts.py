"""Tests what one side shows of the folders of an earlier pass."""

from __future__ import annotations

from dataclasses import replace

from shared.model.messages import FolderListing, ListedFolder
from worker.decisions.whereabouts import SideView


def test_names_are_found_once_in_a_listing_of_very_many() -> None:
    folders = tuple(
        ListedFolder(
            name=b"%d" % n, separator="/", attributes=frozenset({"noselect"} if n % 2 else ()), subscribed=False
        )
        for n in range(10)
    )
    view = SideView(listing=FolderListing(prefix=b"", separator="/", folders=folders), numbers={})
    assert view.names == {b"0", b"2", b"4", b"6", b"8"}
    assert view.names is view.names
    other = replace(view, listing=replace(view.listing, folders=folders[:4]))
    assert other.names == {b"0", b"2"}
