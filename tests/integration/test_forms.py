"""Tests extensions that a server announces and refuses: mailhaul stops using them for good and reports each once."""

from __future__ import annotations

import pytest

import shared.mail.transport.forms
from shared.folders.names import encode_name
from shared.mail.answers.extensions import PIPELINING
from shared.model import Options
from tests.integration.in_process_import import LOGIN, InProcessImport, Wires, plain
from tests.servers.faults import Action, Fault, reply
from tests.servers.faulty import FaultyServer
from tests.servers.hollow import AFTER_ALL, CLOSE, DROP, uses
from worker.copying.copy import CopyRules

BAD = b"BAD I do not know what you want"
NO = b"NO I do not want to"
REFUSALS = [BAD, NO, CLOSE]

#: Extensions that both sides use.
COMMON = ["NAMESPACE", "LIST-EXTENDED", "CHILDREN", "SPECIAL-USE", "ID"]
BOTH = [(side, name) for side in ("source", "destination") for name in COMMON]


def server_of(wires: Wires, side: str) -> FaultyServer:
    return wires.source if side == "source" else wires.destination


def assert_told_once(in_process: InProcessImport, server: FaultyServer, *names: str) -> None:
    assert sorted((port, name) for _, port, name, _ in in_process.left_out) == sorted(
        (server.port, name) for name in names
    )


def copied(wires: Wires, *folders: bytes) -> bool:
    return all(wires.bodies(folder) == wires.sent(folder) for folder in folders)


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize(
    ("side", "name"),
    [
        *BOTH,
        ("source", "CONDSTORE"),
        ("source", "HIGHESTMODSEQ"),
        ("destination", "APPENDLIMIT"),
        ("destination", "MULTIAPPEND"),
        ("destination", "LITERAL+"),
    ],
)
def test_what_is_announced_and_refused_is_done_without(wires: Wires, side: str, name: str, answer: bytes) -> None:
    wires.fill(30)
    wires.fill(5, b"Work", first=31)
    server = server_of(wires, side)
    server.behaviour.capabilities.add("APPENDLIMIT")
    server.behaviour.hollow[name] = answer
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 35}
    assert copied(wires, b"INBOX", b"Work")
    if (name, answer) in {("LIST-EXTENDED", CLOSE), ("CHILDREN", CLOSE), ("SPECIAL-USE", CLOSE)}:
        # One connection was lost with all three in use, so none of them is tried again.
        assert_told_once(in_process, server, "CHILDREN", "LIST-EXTENDED", "SPECIAL-USE")
    elif name == "LIST-EXTENDED":
        assert "LIST-EXTENDED" in {extension for *_, extension, _ in in_process.left_out}
    else:
        assert name in {extension for *_, extension, _ in in_process.left_out}
        assert len(in_process.left_out) == len({extension for *_, extension, _ in in_process.left_out})
    assert all(port == server.port for _, port, *_ in in_process.left_out)
    # From now on no command uses it.
    before = len(server.commands)
    wires.fill(3, first=100)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 38}
    assert copied(wires, b"INBOX", b"Work")
    assert not [command.text for command in server.commands[before:] if uses(name, command)]


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("name", ["HIGHESTMODSEQ", "CHANGEDSINCE"])
def test_a_later_pass_does_without(wires: Wires, name: str, answer: bytes) -> None:
    wires.fill(30)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.source.behaviour.hollow[name] = answer
    wires.fill(4, first=50)
    folder = wires.old.folder(b"INBOX")
    folder.change(folder.uids[0], (b"\\Flagged",))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 34}
    assert copied(wires, b"INBOX")
    changed = next(m for m in wires.new.folder(b"INBOX").messages if m.body == plain(1))
    assert changed.flags == (b"\\Flagged",)


@pytest.mark.parametrize("answer", REFUSALS)
def test_searches_go_without_return(wires: Wires, answer: bytes) -> None:
    wires.fill(80)
    wires.source.behaviour.hollow["ESEARCH"] = answer
    in_process = InProcessImport(wires.source, wires.destination, options=Options(unseen=True))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 40, "skipped": 40}
    assert_told_once(in_process, wires.source, "ESEARCH")


@pytest.mark.parametrize("answer", [BAD, NO])
def test_a_server_that_does_not_search_is_looked_at_message_by_message(wires: Wires, answer: bytes) -> None:
    wires.fill(80)
    wires.source.faults.add(reply(rb"^UID SEARCH", answer, times=None))
    in_process = InProcessImport(wires.source, wires.destination, options=Options(unseen=True))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 40, "skipped": 40}


@pytest.mark.parametrize("answer", [BAD, NO, CLOSE, DROP])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_server_that_takes_one_command_at_a_time_gets_one(wires: Wires, side: str, answer: bytes) -> None:
    wires.fill(60)
    wires.fill(5, b"Work", first=61)
    server = server_of(wires, side)
    server.behaviour.one_at_a_time = answer
    in_process = InProcessImport(wires.source, wires.destination, timeout_seconds=0.5)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 65}
    assert copied(wires, b"INBOX", b"Work")
    assert_told_once(in_process, server, PIPELINING)
    early = server.early
    wires.fill(3, first=100)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 68}
    assert server.early == early


def test_without_the_second_form_nothing_would_arrive(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_form_only(trial: object, error: Exception) -> None:
        raise error

    monkeypatch.setattr(shared.mail.transport.forms._Trial, "failed", first_form_only)
    wires.fill(3)
    wires.source.behaviour.hollow["CONDSTORE"] = NO
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {}
    assert in_process.folders()["INBOX"].unreadable


def test_a_folder_that_is_refused_for_itself_says_nothing_of_extensions(wires: Wires) -> None:
    wires.fill(3)
    wires.fill(2, b"Locked", first=10)
    wires.old.folder(b"Locked").selectable = False
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert in_process.folders()["Locked"].unreadable
    assert in_process.left_out == []


# -- literals


HOSTILE = b"Subject: x\r\n\r\n" + b"x1 CREATE pwned\r\nx2 DELETE INBOX\r\n" * 20


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("name", ["LITERAL+", "LITERAL-", "MULTIAPPEND"])
def test_no_byte_of_a_body_is_read_as_a_command(wires: Wires, name: str, answer: bytes) -> None:
    for number in range(12):
        wires.old.folder(b"INBOX").add(plain(number) + HOSTILE)
    if name == "LITERAL-":
        wires.destination.behaviour.capabilities -= {"LITERAL+"}
        wires.destination.behaviour.capabilities.add(name)
    wires.destination.behaviour.hollow[name] = answer
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 12}
    assert copied(wires, b"INBOX")
    assert b"pwned" not in wires.new.folders
    assert not [command.text for command in wires.destination.commands if command.name in (b"CREATE", b"DELETE")]
    assert name in {extension for *_, extension, _ in in_process.left_out}


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize("count", [2, 12])
@pytest.mark.parametrize("answer", REFUSALS)
def test_a_literal_that_only_append_refuses(wires: Wires, answer: bytes, count: int, multi: bool) -> None:
    wires.fill(count)
    if not multi:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    wires.destination.behaviour.hollow[AFTER_ALL] = answer
    in_process = InProcessImport(
        wires.source, wires.destination, copy_rules=CopyRules(group_messages=1 if count == 2 else 10)
    )
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": count}
    assert copied(wires, b"INBOX")
    # One command used several extensions: one of two is left out, whichever it is. It takes two losses to find a cause.
    if not multi and (count, answer) != (2, CLOSE):
        assert_told_once(in_process, wires.destination, "LITERAL+")


def test_an_untagged_bad_to_the_proof_costs_no_connection(wires: Wires) -> None:
    """Hoodiecrow sends one before its answer: five connections were lost before its LITERAL+ was given up."""
    wires.fill(3)
    untagged = b"* BAD [SYNTAX] Unexpected end of input at position 16\r\n"
    fault = wires.destination.faults.add(Fault(rb"^LIST", Action.PREFACE, untagged))  # the proof goes first
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert len(fault.struck) == 1
    assert (in_process.outcomes(), in_process.failures()) == ({"copied": 3}, [])


def test_an_untagged_bad_to_a_later_command_shuts_the_connection(wires: Wires) -> None:
    wires.fill(3)
    wires.destination.faults.add(Fault(rb"^SELECT", Action.PREFACE, b"* BAD what?\r\n"))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert [failure.code for failure in in_process.failures()] == ["destination_protocol"]


def test_without_the_proof_a_body_would_be_commands(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def believed(self: object) -> int:
        return 1_000_000

    monkeypatch.setattr("shared.mail.imap.append_forms.AppendForms.no_wait_bytes", property(believed))
    monkeypatch.setattr("shared.mail.imap.append_forms.HARMLESS", b"NOOP")
    # The command stands first: the client disconnects at the first BAD, and what follows may be lost.
    for _ in range(12):
        wires.old.folder(b"INBOX").add(b"x0 CREATE pwned\r\n" + HOSTILE)
    wires.destination.behaviour.hollow["LITERAL+"] = BAD
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    in_process.work()
    assert wires.destination.until(lambda: wires.destination.matching(b"^CREATE pwned"))


def test_a_message_that_is_refused_says_nothing_of_multiappend(wires: Wires) -> None:
    wires.fill(20)
    wires.destination.behaviour.append.refuse = lambda one: b"we do not want that" if one.body == plain(4) else None
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 19, "refused": 1}
    assert in_process.left_out == []


# -- signing in


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("answer", [BAD, b"NO initial response is not supported", b"NO SASL-IR?", CLOSE])
def test_an_initial_response_that_is_not_understood_is_no_refused_password(
    wires: Wires, side: str, answer: bytes
) -> None:
    wires.fill(5)
    server = server_of(wires, side)
    server.behaviour.hollow["SASL-IR"] = answer
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 5}
    assert_told_once(in_process, server, "SASL-IR")
    assert server.logins(LOGIN, accepted=False) == 0
    assert len([c for c in server.commands if uses("SASL-IR", c)]) == 1


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("hollow", [False, True])
def test_a_refused_password_is_shown_once(wires: Wires, side: str, hollow: bool) -> None:
    wires.fill(5)
    server = server_of(wires, side)
    if hollow:
        server.behaviour.hollow["SASL-IR"] = BAD
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.passwords[side] = "wrong"
    in_process.to_the_end()
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == f"{side}_auth_refused"
    assert server.logins(LOGIN, accepted=False) == 1


@pytest.mark.parametrize(
    "answer", [b"BAD Authentication failed", b"BAD invalid credentials", b"BAD Login failed: wrong password"]
)
def test_a_bad_that_names_the_credentials_is_a_refusal(wires: Wires, answer: bytes) -> None:
    wires.source.behaviour.hollow["SASL-IR"] = answer
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == "source_auth_refused"
    assert len(wires.source.matching(b"^AUTHENTICATE|^LOGIN")) == 1


# -- ID


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_server_that_wants_to_know_who_signs_in_is_told(wires: Wires, side: str) -> None:
    """Follows pimalaya/himalaya#651: 163, 126 and yeah.net refuse SELECT and EXAMINE before ID."""
    wires.fill(4)
    server = server_of(wires, side)
    server.behaviour.wants_id = b"Unsafe Login. Please contact the provider"
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    (said,) = {command.text for command in server.matching(b"^ID")}
    assert said.startswith(b'ID ("name" "mailhaul" "version" ')
    assert LOGIN.encode() not in said


def test_nobody_is_told_where_id_is_not_announced(wires: Wires) -> None:
    wires.fill(4)
    for server in (wires.source, wires.destination):
        server.behaviour.capabilities.discard("ID")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    assert not [*wires.source.matching(b"^ID"), *wires.destination.matching(b"^ID")]


# -- IMAP4rev2


def rev2(server: FaultyServer, *more: str) -> None:
    server.behaviour.capabilities = {"IMAP4rev2", "AUTH=PLAIN", *more}


@pytest.mark.parametrize("sides", [("source",), ("destination",), ("source", "destination")])
def test_a_server_that_speaks_imap4rev2_alone(wires: Wires, sides: tuple[str, ...]) -> None:
    for side in sides:
        rev2(server_of(wires, side))
    named = {True: "Проекты".encode(), False: encode_name("Проекты")}
    old, new = named["source" in sides], named["destination" in sides]
    wires.fill(80)
    wires.fill(3, old, first=100)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 83}
    assert wires.bodies() == wires.sent()
    assert wires.bodies(new) == wires.sent(old)
    assert in_process.folders()["Проекты"].note == ""
    assert in_process.left_out == []
    for side in sides:
        assert server_of(wires, side).matching(b"^ENABLE IMAP4rev2$")
    # The names are found again, and new mail is seen.
    wires.fill(2, old, first=200)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 85}
    assert set(wires.new.folders) == {b"INBOX", new}


def test_its_searches_are_answered_in_its_own_way(wires: Wires) -> None:
    rev2(wires.source)
    wires.fill(80)
    wires.source.behaviour.hollow["ESEARCH"] = BAD
    in_process = InProcessImport(wires.source, wires.destination, options=Options(unseen=True))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 40, "skipped": 40}


@pytest.mark.parametrize("answer", [BAD, NO, CLOSE])
def test_names_are_utf8_only_where_that_is_enabled(wires: Wires, answer: bytes) -> None:
    rev2(wires.destination)
    wires.destination.behaviour.hollow["ENABLE"] = answer
    wires.fill(3, encode_name("Проекты"))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert encode_name("Проекты") in wires.new.folders
    assert_told_once(in_process, wires.destination, "ENABLE")


def test_nothing_is_enabled_where_imap4rev1_is_spoken_too(wires: Wires) -> None:
    wires.source.behaviour.capabilities.add("IMAP4rev2")
    wires.fill(3)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert not wires.source.matching(b"^ENABLE")


def test_a_server_that_throws_commands_away_is_not_waited_for_long(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.mail.transport.conversation.SILENCE_SECONDS", 0.5)
    wires.fill(5)
    wires.source.behaviour.one_at_a_time = DROP
    in_process = InProcessImport(wires.source, wires.destination, timeout_seconds=300)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 5}


def test_a_password_that_needs_a_literal_waits_where_literals_have_to(wires: Wires) -> None:
    wires.fill(5)
    wires.destination.behaviour.capabilities -= {"AUTH=PLAIN", "SASL-IR"}
    wires.new.password = "pässword"
    wires.destination.behaviour.hollow["LITERAL+"] = BAD
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.passwords["destination"] = "pässword"
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 5}
    assert wires.destination.logins(LOGIN, accepted=False) == 0
