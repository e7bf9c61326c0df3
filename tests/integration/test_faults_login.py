"""Tests signing in, and the attempts of a hostile server."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.servers.faults import reply
from tests.servers.process import await_ready


def stage_of(wires: Wires, **options: object) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_wrong_password_is_tried_once_by_however_many_lanes(wires: Wires, side: str) -> None:
    wires.fill(3)
    server = wires.source if side == "source" else wires.destination
    in_process = stage_of(wires)
    in_process.passwords[side] = "wrong"
    in_process.submit()
    for _ in range(4):
        in_process.work(lanes=8)
        in_process.later(600)
    assert server.logins() == 1
    mailbox = in_process.mailbox()
    assert mailbox.state == "parked"
    assert mailbox.failure is not None
    assert mailbox.failure.code == f"{side}_auth_refused"
    assert "Authentication failed" in mailbox.failure.detail
    assert "mailhaul credentials" in mailbox.failure.advice
    in_process.passwords[side] = PASSWORD
    assert in_process.store.retry(in_process.import_id, in_process.mailbox_id, ())
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 3}


def test_a_password_that_becomes_wrong_half_way_is_tried_once_more(wires: Wires) -> None:
    for folder in range(8):
        wires.fill(30, b"F%d" % folder)
    in_process = stage_of(wires, batch_messages=10)
    in_process.submit()
    changed: list[bool] = []

    def change(command: object) -> bool:
        if not changed:  # after the first copy no login is accepted any more
            changed.append(True)
            wires.new.password = "another"
        return False

    wires.destination.faults.add(reply(lambda c: c.text.startswith(b"APPEND") and change(c), b"OK"))
    in_process.work(lanes=8)
    for _ in range(3):
        in_process.later(600)
        in_process.work(lanes=8)
    refused = wires.destination.logins(accepted=False)
    assert changed
    assert refused <= 7, "each lane may have been signing in at that moment, and none later"
    before = refused
    for _ in range(3):
        in_process.later(600)
        in_process.work(lanes=8)
    assert wires.destination.logins(accepted=False) == before


def test_a_password_in_the_servers_words_is_told_to_nobody(
    wires: Wires, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    wires.source.behaviour.echo_password = True
    in_process = stage_of(wires)
    wires.old.password = "another"
    with caplog.at_level(logging.DEBUG):
        in_process.to_the_end()
    assert wires.source.logins(LOGIN) == 1
    said = capsys.readouterr()
    told = repr(in_process.failures()) + repr(in_process.mailbox()) + caplog.text + said.out + said.err
    assert "LOGIN" in repr(in_process.failures()), "the server's words are lost"
    assert PASSWORD not in told


@pytest.mark.parametrize("what", [rb"^EXAMINE", rb"^LIST", rb"^UID FETCH .*BODY"])
def test_a_password_in_any_refusal_is_told_to_nobody(
    wires: Wires, what: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    wires.fill(2)
    words = b"NO you signed in with " + PASSWORD.encode() + b", remember?"
    wires.source.faults.add(reply(what, words, times=None))
    in_process = stage_of(wires)
    in_process.submit()
    for _ in range(12):
        in_process.work()
        in_process.later()
    said = capsys.readouterr()
    told = (
        repr(in_process.failures())
        + repr(in_process.mailbox())
        + repr(in_process.notes())
        + repr(in_process.folders())
        + said.out
        + said.err
    )
    assert PASSWORD not in told
    assert "remember?" in told


def test_no_password_goes_out_where_login_is_disabled(wires: Wires) -> None:
    wires.source.behaviour.capabilities -= {"AUTH=PLAIN", "SASL-IR"}
    wires.source.behaviour.capabilities.add("LOGINDISABLED")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.mailbox().state == "parked"
    failure = in_process.mailbox().failure
    assert failure is not None
    assert "LOGINDISABLED" in failure.sentence
    assert not any(PASSWORD.encode() in line for line in wires.source.lines)
    assert not wires.source.matching(rb"^(LOGIN|AUTHENTICATE)")


@pytest.mark.parametrize(
    "greeting",
    [b"* BYE go away\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"* PREAUTH welcome\r\n", b"\xff\xfe\x00\r\n"],
)
def test_an_odd_greeting_costs_no_password_and_has_a_word(wires: Wires, greeting: bytes) -> None:
    wires.source.greeting = greeting
    in_process = stage_of(wires, timeout_seconds=2)
    in_process.submit()
    in_process.work()
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code in ("source_unreachable", "source_protocol")
    assert not wires.source.matching(rb"LOGIN|AUTHENTICATE")


# -- a hostile source must not run a command at the destination

HOSTILE = [
    b'evil"\r\nX9 DELETE INBOX\r\n',
    b"evil)\r\nX9 DELETE INBOX",
    b"\\Seen)\r\nX9 DELETE INBOX\r\n(",
    b"evil {3+}\r\nabc",
    b"a\x00b",
    b"a\rb",
    b"a\nb",
    b"caf\xc3\xa9",
    b"two words",
    b"(",
    b"%",
    b"\\",
    b"",
    b"x" * 5000,
]


def test_hostile_flags_are_dropped_and_noted(wires: Wires) -> None:
    for number, flag in enumerate(HOSTILE, start=1):
        wires.old.folder(b"INBOX").add(plain(number), [b"\\Seen", b"good"], literal_flags=(flag,))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": len(HOSTILE)}
    assert wires.bodies() == wires.sent()
    names = {c.name for c in wires.destination.commands}
    assert names <= {
        b"AUTHENTICATE",
        b"LIST",
        b"NAMESPACE",
        b"STATUS",
        b"SELECT",
        b"APPEND",
        b"UNSELECT",
        b"UID FETCH",
        b"LOGOUT",
        b"CAPABILITY",
        b"SUBSCRIBE",
        b"ID",
    }, names
    assert all(m.flags == (b"\\Seen", b"good") for m in wires.new.folder(b"INBOX").messages)
    assert in_process.noted("odd").keys() == set(range(1, len(HOSTILE) + 1))
    assert not any(set(reason) & set("\r\n\0") for reason in in_process.noted("odd").values())


def test_a_message_with_thousands_of_odd_flags_costs_no_more_than_its_note(wires: Wires) -> None:
    wires.old.folder(b"INBOX").add(plain(1), [b"\\Seen", *(b"\\Odd%d" % number for number in range(5000))])
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 1}
    assert wires.new.folder(b"INBOX").messages[0].flags == (b"\\Seen",)
    assert len(in_process.noted("odd")[1]) < 1000


def test_without_the_grammar_a_flag_would_be_a_command(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_all(flags: Iterable[bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(flag.decode("latin-1") for flag in flags), ()

    monkeypatch.setattr("shared.mail.imap.imap_source.split_flags", lambda flags: (list(flags), []))
    monkeypatch.setattr("shared.mail.imap.imap_source.clean_flags", take_all)
    monkeypatch.setattr(
        "shared.mail.imap.imap_appending.flag_list", lambda flags: b"(%b)" % " ".join(flags).encode("latin-1")
    )
    wires.old.folder(b"INBOX").add(plain(1), literal_flags=(b"x)\r\nX9 DELETE INBOX\r\nX8 NOOP (",))
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work()
    await_ready(lambda: any(c.name == b"DELETE" for c in wires.destination.commands), what="the source's command")


def test_hostile_folder_names_and_dates_write_nothing_of_their_own(wires: Wires) -> None:
    names = [b'a"b', b"a\r\nX9 DELETE INBOX", b"a\\b", b"a\x00b", b"{5+}", b"a{5}", b"\xff\xfe", b"&bad", b"*", b"%"]
    for number, name in enumerate(names, start=1):
        wires.old.folder(name).add(plain(number), internaldate=b'01-Jan-2020 00:00:00 +0000\\"')
    wires.fill(2)
    in_process = stage_of(wires)
    in_process.to_the_end()
    known = {
        b"AUTHENTICATE",
        b"LIST",
        b"NAMESPACE",
        b"STATUS",
        b"SELECT",
        b"APPEND",
        b"UID FETCH",
        b"LOGOUT",
        b"CAPABILITY",
        b"SUBSCRIBE",
        b"CREATE",
        b"ID",
    }
    assert {c.name for c in wires.destination.commands} <= known
    assert b"INBOX" in wires.new.folders
    copied = {m.body for folder in wires.new.folders.values() for m in folder.messages}
    assert {plain(n) for n, name in enumerate(names, start=1) if not set(name) & set(b"\r\n\0")} <= copied
    assert len(wires.new.folders) == 1 + len(names) - 2, "of two source folders one was made"
