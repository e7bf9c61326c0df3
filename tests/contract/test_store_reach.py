"""Tests the places that an administrator allowed: kept as they are given, and believed only when they are signed."""

from __future__ import annotations

import pytest

from shared.model.errors import UsageError
from shared.runtime.credentials import Vault
from shared.sign_in.allowed_places import AllowedPlace, AllowedPlaces, read_place
from shared.sign_in.reach import reach_of
from shared.store import Resealed, Store

_KEY, _OTHER = (b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", b"OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg=")


def test_places_are_kept_replaced_and_deleted(store: Store) -> None:
    assert store.allowed_places() == {}
    store.allow_place("10.0.0.0/8", "one")
    store.allow_place("10.0.0.0/8", "two")
    store.allow_place("mail.corp.example", "three")
    assert store.allowed_places() == {"10.0.0.0/8": "two", "mail.corp.example": "three"}
    assert store.refuse_place("10.0.0.0/8")
    assert not store.refuse_place("10.0.0.0/8")
    assert store.allowed_places() == {"mail.corp.example": "three"}


def test_what_is_allowed_may_be_connected_to_at_once_and_no_longer_when_it_is_taken_back(store: Store) -> None:
    places = AllowedPlaces(store, Vault([_KEY]))
    reach = reach_of("", "143,993")
    guarded = type(reach)(ports=reach.ports, granted=places.granted, resolve=lambda host, _port: ["10.1.2.3"])
    with pytest.raises(OSError, match=r"reach add mail\.corp\.example"):
        guarded.addresses("mail.corp.example", 993)
    places.add("MAIL.corp.example", "anna", 5.0)
    assert guarded.addresses("mail.corp.example", 993) == ["10.1.2.3"]
    with pytest.raises(OSError, match=r"reach add other\.example"):
        guarded.addresses("other.example", 993)
    places.add("10.1.0.0/16", "anna", 6.0)
    assert guarded.addresses("other.example", 993) == ["10.1.2.3"]
    with pytest.raises(OSError, match="reach add 1143"):
        guarded.addresses("other.example", 1143)
    places.add("1143", "anna", 7.0)
    assert guarded.addresses("other.example", 1143) == ["10.1.2.3"]
    assert places.all() == [
        AllowedPlace(place="10.1.0.0/16", by="anna", at=6.0),
        AllowedPlace(place="1143", by="anna", at=7.0),
        AllowedPlace(place="mail.corp.example", by="anna", at=5.0),
    ]
    assert places.remove("10.1.0.0/16")
    with pytest.raises(OSError, match="not public"):
        guarded.addresses("other.example", 1143)


def test_a_row_that_no_key_signed_opens_nothing(store: Store) -> None:
    """Has another installation's key, and a row that was copied to another place, tried."""
    AllowedPlaces(store, Vault([_OTHER])).add("10.0.0.0/8", "mallory", 1.0)
    AllowedPlaces(store, Vault([_KEY])).add("good.example", "anna", 1.0)
    store.allow_place("bad.example", store.allowed_places()["good.example"])
    places = AllowedPlaces(store, Vault([_KEY]))
    assert [one.place for one in places.all()] == ["good.example"]
    assert places.granted().networks == ()
    # With a new key what the old one signed still holds, and is signed anew.
    both = AllowedPlaces(store, Vault([_OTHER, _KEY]))
    assert both.resign() == Resealed(renewed=2, lost=1)
    assert [one.place for one in AllowedPlaces(store, Vault([_OTHER])).all()] == ["10.0.0.0/8", "good.example"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (" Mail.Corp.Example ", "mail.corp.example"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("[::1]", "::1/128"),
        ("1143", "1143"),
    ],
)
def test_a_place_has_one_form(text: str, place: str) -> None:
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["", "a b", "http://x", "10.0.0.0/99", "0", "70000", "-x", "x;y", "*"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no host name"):
        read_place(text)
