"""Tests that outside data never becomes a command, a formula, or a control character for a terminal.

`WAYS_IN` lists every way in and the tests that protect it. The tests below use the real commands with a source that is
hostile in every word it may choose, and check everything that the operator then sees.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import AdminEnvironment, Box, Ended
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer
from tests.servers.pop3_server import Pop3Server

TESTS = Path(__file__).parents[1]
HERE = "acceptance/test_hostile.py"

#: Tests that protect each way in. Those with "without" in their names are controls: without the protection the command
#: is there.
WAYS_IN = {
    "a row's login, new_login, names, server": (
        "unit/intake/test_manifest.py::test_a_login_that_could_become_a_command_is_an_error",
        "unit/intake/test_endpoints.py::test_any_text_gives_an_endpoint_or_a_usage_error",
        f"{HERE}::test_no_cell_of_the_manifest_reaches_a_server",
    ),
    "login, password, authzid, PROXYAUTH in IMAP": (
        "unit/mail/test_imap_sign_in.py::test_nothing_hostile_is_sent",
        "unit/mail/test_imap_sign_in.py::test_odd_names_arrive_as_they_are",
        "unit/mail/test_imap_sign_in.py::test_without_the_checks_it_would_be_a_command",
    ),
    "login, password, token in SASL": (
        "unit/mail/test_sasl.py::test_what_could_be_a_command_is_a_fault",
        "unit/mail/test_sasl.py::test_what_could_be_a_field_of_a_token_is_a_fault",
        "unit/mail/test_sasl.py::test_a_refusal_may_be_anything",
    ),
    "USER and PASS in POP3": (
        "contract/test_mail_pop3.py::test_a_login_or_password_never_becomes_a_command",
        "contract/test_mail_pop3.py::test_without_the_check_it_would_be_a_command",
    ),
    "unique-ids and answers of POP3": (
        "contract/test_mail_pop3_identities.py::test_odd_unique_ids_are_taken_as_they_are",
        "contract/test_mail_pop3.py::test_a_server_that_makes_no_sense_or_stops_is_given_up",
    ),
    "folder names": (
        "unit/mail/test_grammar.py::test_quotes_and_backslashes_are_escaped",
        "integration/test_faults_login.py::test_hostile_folder_names_and_dates_write_nothing_of_their_own",
        f"{HERE}::test_nothing_that_a_source_says_is_obeyed",
    ),
    "--into and --folder-map": (
        "unit/intake/test_wanted.py::test_a_folder_for_everything_must_be_one",
        "unit/intake/test_wanted.py::test_a_fault_of_the_folder_map_has_its_line",
    ),
    "flags, keywords, dates": (
        "integration/test_faults_login.py::test_hostile_flags_are_dropped_and_noted",
        "integration/test_faults_login.py::test_without_the_grammar_a_flag_would_be_a_command",
        "contract/test_mail_answers.py::test_hostile_flags_are_dropped_and_told",
    ),
    "bodies of messages": (
        "contract/test_mail_literals.py::test_a_body_that_looks_like_commands_never_runs",
        "contract/test_mail_literals.py::test_without_the_rule_it_would_run",
    ),
    "what is said before STARTTLS": (
        "unit/mail/test_session.py::test_plaintext_slipped_in_before_the_handshake_is_refused",
    ),
    "accounts: SCIM's filter, JSON, URLs, a hook's input, lines of a passwd-file": (
        "contract/test_accounts.py::test_a_login_of_syntax_stays_a_login",
        "contract/test_accounts.py::test_names_and_passwords_of_syntax_stay_what_they_are",
    ),
    "command lines of programs that we start": (
        "integration/test_oauth.py::test_no_shell_reads_a_login_and_no_setting_of_ours_reaches_the_program",
        "contract/test_accounts.py::test_a_hooks_command_line_holds_nothing_of_the_row",
    ),
    "texts into logs": ("unit/test_logs.py::test_control_characters_do_not_reach_the_terminal",),
    "texts onto a terminal": (
        f"{HERE}::test_nothing_that_a_source_says_is_obeyed",
        f"{HERE}::test_no_cell_of_the_manifest_reaches_a_server",
        "unit/producer/test_cli.py::test_what_is_said_cannot_steer_a_terminal",
    ),
    "texts into the report": (
        "unit/producer/test_report.py::test_what_a_spreadsheet_would_run_gets_an_apostrophe",
        f"{HERE}::test_nothing_that_a_source_says_is_obeyed",
    ),
}


def test_every_test_of_the_table_is_there() -> None:
    for named in (test for tests in WAYS_IN.values() for test in tests):
        path, name = named.split("::")
        assert re.search(rf"^ *def {name}\(", (TESTS / path).read_text(), re.MULTILINE), named


#: Hostile texts: a cleared screen, a title, a C1 control, a right-to-left override, a formula, a quote, a command.
STEERING = "\x1b[2J\x1b]0;pwned\x07\u009b31m\u202egnp"
FORMULA = "=cmd|' /C calc'!A0"
SAID = f'{FORMULA} {STEERING} "quoted" {{9+}} X9 DELETE INBOX'.encode()
NAMES = [
    FORMULA.encode(),
    b'a"b',
    b"a\r\nX9 DELETE INBOX",
    b"a\x1b[2J\x07b",
    b"a\x00b",
    b"{5+}",
    b"a\\b",
    b"c\xc2\x9b31m\xe2\x80\xae",
    b"&AJsgLg-",
    b"*",
    b"+x",
    b"@SUM(A1)",
]
#: Commands that reading needs: none of them changes anything.
READING = {
    "AUTHENTICATE",
    "LOGIN",
    "CAPABILITY",
    "ID",
    "ENABLE",
    "NAMESPACE",
    "LIST",
    "LSUB",
    "STATUS",
    "EXAMINE",
    "UID FETCH",
    "UID SEARCH",
    "NOOP",
    "LOGOUT",
    "COMPRESS",
    "GETQUOTAROOT",
    "CLOSE",
    "UNSELECT",
}


def safe(text: str) -> bool:
    """Tells whether a terminal only displays the text."""
    return not {char for char in text if unicodedata.category(char)[0] == "C"} - {"\n"}


@dataclass
class Street:
    """The hostile sources of mail."""

    #: IMAP server with hostile words.
    imap: FaultyServer
    #: IMAP server that refuses every login.
    refusing: FaultyServer
    #: POP3 server that refuses every login.
    pop: Pop3Server
    #: Account at the destination, by its login.
    boxes: dict[str, Box]


@pytest.fixture
def street(admin_env: AdminEnvironment) -> Iterator[Street]:
    with ExitStack() as stack:
        imap, refusing = stack.enter_context(FaultyServer()), stack.enter_context(FaultyServer())
        pop = stack.enter_context(Pop3Server([b"Subject: x\r\n\r\n"], refusals=[b"-ERR " + SAID] * 9))
        old = imap.add_account("h0", "pw")
        body = b"Message-ID: %b\r\nSubject: x\r\n\r\nX9 DELETE INBOX\r\n" % FORMULA.encode()
        for number, name in enumerate([b"INBOX", *NAMES]):
            flags = (b'x"\r\nX9 DELETE INBOX\r\n(', STEERING.encode())
            old.folder(name).add(b"N: %d\r\n%b" % (number, body), [b"\\Seen"], literal_flags=flags)
        imap.faults.add(reply(rb"^EXAMINE .*@SUM", b"NO " + SAID, times=None))
        refusing.faults.add(reply(rb"^(AUTHENTICATE|LOGIN)", b"NO [AUTHENTICATIONFAILED] " + SAID, times=None))
        boxes = {}
        for login in ("h0", "h1", "h2"):
            admin_env.destination.add_user(f"{login}@new", "pw")
            boxes[login] = Box(admin_env.destination, f"{login}@new", "pw")
            boxes[login].fill({"INBOX": 1, "Kept": 1})
        yield Street(imap, refusing, pop, boxes)


def test_nothing_that_a_source_says_is_obeyed(admin_env: AdminEnvironment, street: Street) -> None:
    there = "imap://127.0.0.1"
    manifest = admin_env.manifest(
        [
            "login,password,new_login,server",
            "h0,pw,h0@new,",
            f"h1,pw,h1@new,{there}:{street.refusing.port}",
            f"h2,pw,h2@new,pop3://127.0.0.1:{street.pop.port}",
        ]
    )
    ends = ["--source", f"{there}:{street.imap.port}", "--destination", f"{there}:{admin_env.destination.port}"]
    seen: list[Ended] = []

    def run(*arguments: str | Path, code: int = 0) -> str:
        seen.append(admin_env.run(*arguments, code=code))
        return seen[-1].out

    before = {login: box.uids() for login, box in street.boxes.items()}
    for more in ([], ["--json"]):
        run("check", manifest, *ends, *more, code=3)
        run("plan", manifest, *ends, *more, code=3)
    assert {login: box.uids() for login, box in street.boxes.items()} == before
    whole = json.loads(run("import", manifest, *ends, "--json", code=3))
    # Watching an import that has ended returns; both in words and as JSON.
    for more in ([], ["--json"]):
        for words in (["status"], ["status", "--mailbox", "h0"], ["errors"], ["list"], ["watch"]):
            run(*words, *more, code=3 if words[0] == "watch" else 0)
    run("report", "people", "--out", admin_env.home / "report")

    # The terminal gets only text, and the hostile words did arrive there.
    for ended in seen:
        assert safe(ended.out), repr(ended.out)
        assert safe(ended.said), repr(ended.said)
    told = "".join(ended.out for ended in seen)
    assert "/C calc" in told
    assert "X9 DELETE INBOX" in told
    assert all(safe(path.read_text()) for path in (admin_env.home / "state" / "logs").glob("*.log"))
    # The spreadsheet gets only text.
    for path in (admin_env.home / "report").glob("*.csv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "|"))]
        assert all(map(safe, cells))
    assert "'=cmd" in (admin_env.home / "report" / "notes.csv").read_text()

    # The source saw only reading, and no login was refused twice in one run.
    for server in (street.imap, street.refusing):
        assert {command.name.decode() for command in server.commands} <= READING
    assert {command.split()[0] for command in street.pop.commands} <= {b"CAPA", b"USER", b"PASS", b"QUIT"}
    assert len(street.refusing.matching(rb"^(AUTHENTICATE|LOGIN)")) == 5, "twice check, twice plan, one import"
    assert sum(command.startswith(b"PASS") for command in street.pop.commands) == 5
    # The destination is unharmed, and what arrived are messages, of each folder that can be read there.
    for login, box in street.boxes.items():
        after = box.uids()
        for name, (validity, uids) in before[login].items():
            assert after[name][0] == validity
            assert after[name][1].items() >= uids.items()
    assert set(street.boxes["h1"].uids()) == set(street.boxes["h2"].uids()) == set(before["h1"])
    by_login = {one["login"]: one for one in whole["mailboxes"]}
    assert [by_login[login]["state"] for login in ("h1", "h2")] == ["parked", "parked"]
    assert by_login["h0"]["copied"] == len(NAMES) - 2, (
        "INBOX and all but the folders with NUL, with CR and LF, and the refused one"
    )


@pytest.mark.parametrize("odd", ["\r\nX9 DELETE INBOX", "\n", "\r", "\0", "\x1b[2J", "\u009b2J", "\u2028", "\x7f"])
def test_no_cell_of_the_manifest_reaches_a_server(admin_env: AdminEnvironment, odd: str) -> None:
    """Puts odd characters into each cell.

    Every cell that could be more than a value is reported with its row, and nothing starts.
    """
    columns = ("login", "password", "new_login", "new_password", "first_name", "last_name", "server", "quota")
    rows = [[f"a{n}", "pw", f"b{n}", "pw", "A", "B", "", ""] for n in range(len(columns))]
    for n, row in enumerate(rows):
        row[n] += f"x{odd}y"
    path = admin_env.home / "odd.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    with FaultyServer() as server:
        ends = ["--source", f"imap://127.0.0.1:{server.port}", "--destination", f"imap://127.0.0.1:{server.port}"]
        ended = admin_env.run("import", path, *ends, code=2)
        assert server.connections == 0
    assert ended.out == ""
    assert safe(ended.said), repr(ended.said)
    assert len(re.findall(r"^  row \d+", ended.said, re.MULTILINE)) >= len(columns)
    assert not (admin_env.home / "state").exists()


def test_syntax_in_a_cell_stays_a_value(admin_env: AdminEnvironment) -> None:
    """Uses logins and passwords that are syntax of commands: they arrive unchanged."""
    odd = [
        'a" NOOP "',
        "{3+}",
        "a\\",
        "(\\Seen)",
        "*",
        "%",
        "]",
        "a b",
        "'; DROP",
        "$(id)",
        "`id`",
        "=1+1",
        "ä",
        "a,b;c",
    ]
    with FaultyServer() as source, FaultyServer() as destination:
        lines = [["login", "password"]]
        for n, text in enumerate(odd):
            login, password = f"{text}{n}", f"{text}{n}pw"
            source.add_account(login, password).folder("INBOX").add(b"Subject: %d\r\n\r\n" % n)
            destination.add_account(login, password)
            lines.append([login, password])
        path = admin_env.home / "odd.csv"
        with path.open("w", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(lines)
        ends = ["--source", f"imap://127.0.0.1:{source.port}", "--destination", f"imap://127.0.0.1:{destination.port}"]
        admin_env.run("import", path, *ends, "--json")
        for server in (source, destination):
            assert {attempt.login for attempt in server.behaviour.attempts} == {login for login, _ in lines[1:]}
            assert server.logins(accepted=False) == 0
            assert {command.name.decode() for command in server.commands} <= READING | {"SELECT", "APPEND", "SUBSCRIBE"}
        for n, (login, _) in enumerate(lines[1:]):
            (message,) = destination.behaviour.accounts[login].folders[b"INBOX"].messages
            assert message.body == b"Subject: %d\r\n\r\n" % n
