"""The NAMESPACE answer in every spelling, and whose folder a name denotes by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.folders.tree import Tree
from shared.mail.imap.namespaces import namespaces
from shared.model.messages import FolderListing, Namespace, Owner

OWN, OTHER, PUBLIC = Owner


def spelled(*pieces: bytes) -> list[tuple[str, bytes, str | None]]:
    found = namespaces(pieces)
    assert found is not None
    return [(one.owner.value, one.prefix, one.separator) for one in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'(("INBOX." ".")) NIL NIL', [("personal", b"INBOX.", ".")]),
        (b"NIL NIL NIL", []),
        (b"", []),
        (b'NIL NIL (("" "."))', [("public", b"", ".")]),
        (
            b'(("" "/")("#mh/" "/")("#mhinbox" NIL)) (("~" "/")) (("#shared/" "/")("#news." "."))',
            [
                ("personal", b"", "/"),
                ("personal", b"#mh/", "/"),
                ("personal", b"#mhinbox", None),
                ("other", b"~", "/"),
                ("public", b"#shared/", "/"),
                ("public", b"#news.", "."),
            ],
        ),
        (
            b'(("" "/" "X-PARAM" ("a" "b"))) (("Other Users/" "/")) NIL',
            [("personal", b"", "/"), ("other", b"Other Users/", "/")],
        ),
        (
            b' ( ( ""  "\\\\" ) )\t(("Other\\"s\\\\" "\\\\"))  nil',
            [("personal", b"", "\\"), ("other", b'Other"s\\', "\\")],
        ),
        (b'(("" "/")) (("user." "."))', [("personal", b"", "/"), ("other", b"user.", ".")]),
        (b'((NIL "/")) NIL ((Public "/"))', [("public", b"Public", "/")]),
        (b'() () (("p/" "/"))', [("public", b"p/", "/")]),
    ],
)
def test_spellings(line: bytes, expected: list[tuple[str, bytes, str | None]]) -> None:
    assert spelled(b"* NAMESPACE " + line + b"\r\n") == expected


def test_prefixes_given_as_literals() -> None:
    pieces = (
        b"* NAMESPACE (({0}\r\n",
        b"",
        b' "/")) (({7}\r\n',
        b"shared(",
        b' "/")) (({3+}\r\n',
        b"p\xff/",
        b' "/"))\r\n',
    )
    assert spelled(*pieces) == [("personal", b"", "/"), ("other", b"shared(", "/"), ("public", b"p\xff/", "/")]


def test_what_is_no_namespace_answer() -> None:
    assert namespaces([b"* 3 EXISTS\r\n"]) is None
    assert namespaces([b"* NAMESPACES\r\n"]) is None
    assert namespaces([b"*  namespace  NIL NIL NIL\r\n"]) == ()


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_nothing_makes_it_fail(pieces: list[bytes]) -> None:
    assert namespaces([b"* NAMESPACE ", *pieces]) is not None


def owners(*named: tuple[Owner, bytes, str]) -> Tree:
    spaces = tuple(Namespace(owner=owner, prefix=prefix, separator=separator) for owner, prefix, separator in named)
    return Tree(FolderListing(prefix=b"", separator="/", folders=(), namespaces=spaces))


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (b"INBOX", OWN),
        (b"inbox", OWN),
        (b"INBOX/x", OWN),
        (b"Work", OWN),
        (b"sharedx", OWN),
        (b"public/x", OWN),
        (b"shared", OTHER),
        (b"shared/u2", OTHER),
        (b"shared/u2/Team", OTHER),
        (b"Public", PUBLIC),
        (b"Public/News", PUBLIC),
        (b"Public/mine", OWN),
        (b"Public/mine/x", OWN),
    ],
)
def test_the_longest_prefix_says_whose_it_is(name: bytes, owner: Owner) -> None:
    tree = owners((OWN, b"", "/"), (OTHER, b"shared/", "/"), (PUBLIC, b"Public/", "/"), (OWN, b"Public/mine/", "/"))
    assert tree.owner(name) is owner


def test_the_usual_arrangement_of_cyrus() -> None:
    tree = owners((OWN, b"INBOX.", "."), (OTHER, b"user.", "."), (PUBLIC, b"", "."))
    found = [tree.owner(name) for name in (b"INBOX", b"Inbox.Sent", b"user", b"user.bob.x", b"Bulletin")]
    assert found == [OWN, OWN, OTHER, OTHER, PUBLIC]


def test_what_is_named_twice_is_the_accounts_own_and_so_is_everything_where_nothing_is_named() -> None:
    assert owners((OWN, b"", "/"), (PUBLIC, b"", "/")).owner(b"x") is OWN
    assert owners((PUBLIC, b"", "/")).owner(b"x") is OWN
    assert owners().owner(b"Public/x") is OWN
    assert owners((OTHER, b"~", "/")).owner(b"~bob/x") is OTHER
