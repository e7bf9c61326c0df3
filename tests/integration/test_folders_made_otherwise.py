"""Tests destinations that make a folder under another name than it was asked for: two folders never become one."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import pytest

from shared.folders.made_names import MadeNames
from shared.folders.names import encode_name, text_of
from tests.integration.in_process_import import InProcessImport, Wires


def respelled(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda raw: encode_name(change(text_of(raw)))


def underscored(name: str) -> str:
    return "".join(char if char.isalnum() or char == "/" else "_" for char in name)


RULES: dict[str, tuple[Callable[[str], str], Sequence[str]]] = {
    "blanks are replaced": (lambda name: name.replace(" ", "_"), ["A B", "A_B", "A B/child", "A_B/child"]),
    "signs are replaced": (underscored, ["A.B", "A B", "A_B", "A:B"]),
    "signs are left out": (lambda name: name.replace(":", ""), ["A:B", "AB"]),
    "one case": (str.lower, ["Work", "work", "WORK/sub"]),
    "blanks at the end are cut": (
        lambda name: "/".join(one.strip() for one in name.split("/")),
        ["A", "A ", "A /x", "A/x"],
    ),
    "accents are composed": (lambda name: unicodedata.normalize("NFC", name), ["caf\u00e9", "cafe\u0301"]),
    "accents are dropped": (
        lambda name: unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode(),
        ["caf\u00e9", "cafe"],
    ),
    "names are cut": (
        lambda name: name[:40],
        ["the same long beginning of two folders: one", "the same long beginning of two folders: two"],
    ),
}


@pytest.fixture(params=RULES)
def stage(request: pytest.FixtureRequest, wires: Wires) -> InProcessImport:
    """Returns a stage whose destination has a rule of its own, with folders that it takes for one."""
    rule, names = RULES[request.param]
    wires.new.spelled = respelled(rule)
    wires.new.created_again = True
    for at, name in enumerate(names):
        wires.fill(3, encode_name(name), first=1)  # the same messages in each
        wires.fill(2, encode_name(name), first=100 * (at + 1))
    return InProcessImport(wires.source, wires.destination)


def places(in_process: InProcessImport) -> dict[str, bytes]:
    return {text_of(folder.source_name): folder.destination_name for folder in in_process.every_folder()}


def assert_apart(in_process: InProcessImport, wires: Wires) -> None:
    for folder in in_process.every_folder():
        assert wires.bodies(folder.destination_name) == wires.sent(folder.source_name), folder.display
    held = [wires.new.key(folder.destination_name) for folder in in_process.every_folder()]
    assert len(set(held)) == len(held)


@pytest.mark.parametrize("again", [True, False], ids=["OK to a folder that is there", "NO to it"])
def test_two_folders_never_become_one(stage: InProcessImport, wires: Wires, *, again: bool) -> None:
    wires.new.created_again = again
    stage.to_the_end()
    assert_apart(stage, wires)
    first, total = places(stage), sum(stage.outcomes().values())
    assert stage.outcomes() == {"copied": total}
    stage.to_the_end()
    assert places(stage) == first
    assert stage.outcomes() == {"copied": total}
    for folder in stage.every_folder():
        if text_of(folder.destination_name) != text_of(folder.source_name):
            assert "there" in folder.note, "the plan says so"
    lost = InProcessImport(wires.source, wires.destination)
    lost.to_the_end()
    assert places(lost) == first
    assert lost.outcomes() == {"already_present": total}
    assert_apart(lost, wires)


def test_without_looking_at_what_was_made_the_two_would_be_one(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MadeNames, "made_of", lambda self, name, unlisted: b"")
    wires.new.spelled, wires.new.created_again = respelled(str.lower), True
    for name in (b"Work", b"work"):
        wires.fill(3, name)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"work"}


def test_one_folder_alone_has_the_name_that_the_server_gave_it(wires: Wires) -> None:
    wires.new.spelled = respelled(underscored)
    wires.fill(3, b"A.B/c d")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"A_B/c_d"}
    assert in_process.folders()["A.B/c d"].note == "called A_B/c_d there"
