"""Tests a POP3 maildrop as the source, with the command line: all mail once, whatever happens, and IMAP afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import poplib
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import mail
from tests.acceptance.conftest import AdminEnvironment, Box, assert_adds_up, until
from tests.mail import Mail, canon_dovecot, corpus_messages, make_message
from tests.servers.dovecot import Dovecot
from tests.servers.pop3_server import Pop3Server, UniqueIds


@pytest.fixture(scope="module")
def maildrops() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        yield server


def given(server: Dovecot, box: Box) -> Counter[str]:
    """Counts the canonical bodies that the maildrop gives, as the standard library reads them."""
    poplib._MAXLINE = 64 << 20  # type: ignore[attr-defined]
    drop = poplib.POP3(server.host, server.pop3_port, timeout=180)
    drop.user(box.login)
    drop.pass_(box.password)
    found: Counter[str] = Counter()
    for number in range(1, len(drop.list()[1]) + 1):
        lines = drop.retr(number)[1]
        found[hashlib.sha256(canon_dovecot(b"".join(line + b"\r\n" for line in lines))).hexdigest()] += 1
    drop.quit()
    return found


def held(box: Box) -> Counter[str]:
    """Counts the canonical bodies that the account holds."""
    found: Counter[str] = Counter()
    for kept, times in box.seen().items():
        found[kept.sha256] += times
    return found


def stand(admin_env: AdminEnvironment, maildrops: Dovecot, name: str, bodies: list[bytes]) -> tuple[Box, Box]:
    """Adds an account with this mail, and its empty destination."""
    password = f"pw-{name}"
    for server in (maildrops, admin_env.destination):
        server.add_user(name, password)
    source = Box(maildrops, name, password)
    mail.populate(*source._place, {"INBOX": [Mail(body) for body in bodies]})
    return source, Box(admin_env.destination, name, password)


def ends(admin_env: AdminEnvironment, maildrops: Dovecot) -> list[str]:
    return [
        "--source",
        f"pop3://127.0.0.1:{maildrops.pop3_port}",
        "--destination",
        f"imap://127.0.0.1:{admin_env.destination.port}",
        "--json",
    ]


def corpus() -> list[bytes]:
    """Returns real odd mail without NUL, for which Dovecot's POP3 and IMAP differ."""
    return [re.sub(rb"\0", b"", body) for _, body in corpus_messages() if body.strip(b"\0")]


def test_the_corpus_arrives_exactly_once_and_a_second_run_brings_nothing(
    admin_env: AdminEnvironment, maildrops: Dovecot
) -> None:
    bodies = corpus()
    bodies += bodies[:20]
    source, destination = stand(admin_env, maildrops, "corpus@pop.example", bodies)
    wanted = given(maildrops, source)
    before = source.uids()
    manifest = admin_env.manifest({source.login: source.password})
    for run in range(2):
        whole = json.loads(admin_env.run("import", manifest, *ends(admin_env, maildrops)).out)
        assert_adds_up(whole)
        assert whole["import"]["copied"] == len(bodies), run
        assert held(destination) == wanted, run
    assert source.uids() == before, "nothing was deleted, and no flag changed"


def test_the_corpus_killed_twice_on_its_way_arrives_exactly_once(
    admin_env: AdminEnvironment, maildrops: Dovecot, fault_proxy: Any
) -> None:
    bodies = corpus()
    bodies += bodies[:20]
    # There is enough mail that the import still runs whenever the test looks.
    bodies += [make_message(seed, 1_000) for seed in range(max(0, 800 - len(bodies)))]
    source, destination = stand(admin_env, maildrops, "killed@pop.example", bodies)
    wanted = given(maildrops, source)
    manifest = admin_env.manifest({source.login: source.password})
    admin_env.variables |= {"MAILHAUL_GROUP_MESSAGES": "5", "MAILHAUL_SETTLE_SECONDS": "1"}
    proxy = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=100)
    slow = [*ends(admin_env, maildrops)[:3], f"imap://127.0.0.1:{proxy.port}", "--json"]
    for least in (50, 300):
        child = admin_env.start("import", manifest, *slow)
        until(lambda c=child, n=least: c.poll() is not None or sum(held(destination).values()) >= n, "some mail")
        os.killpg(child.pid, signal.SIGKILL)
        admin_env.ended(child, code=-signal.SIGKILL)
        assert least <= sum(held(destination).values()) < len(bodies), "it was on its way"
        maildrops.restart()  # like a server's time-out: the maildrop is free again
    proxy.delay_seconds = 0.0
    whole = json.loads(admin_env.run("import", manifest, *slow).out)
    assert 0 < whole["import"]["this_run"]["copied"] < len(bodies) - 200, "what was in the ledger was not read again"
    assert whole["import"]["copied"] == len(bodies)
    assert held(destination) == wanted
    again = json.loads(admin_env.run("import", manifest, *slow).out)
    assert again["import"]["this_run"]["copied"] == 0
    assert held(destination) == wanted


def test_from_pop3_to_imap_nothing_comes_twice(admin_env: AdminEnvironment, maildrops: Dovecot) -> None:
    bodies = [make_message(seed, 1_500) for seed in range(60)]
    source, destination = stand(admin_env, maildrops, "later@pop.example", [*bodies, bodies[0]])
    manifest = admin_env.manifest({source.login: source.password})
    assert "came by POP3 before" not in admin_env.run("import", manifest, *ends(admin_env, maildrops)).said
    mail.populate(*source._place, {"INBOX": [Mail(make_message(99, 1_500))], "Sent": [Mail(make_message(100, 1_500))]})
    by_imap = [
        "--source",
        f"imap://127.0.0.1:{maildrops.port}",
        "--destination",
        f"imap://127.0.0.1:{admin_env.destination.port}",
        "--json",
    ]
    said = admin_env.run("import", manifest, *by_imap).said
    assert (
        "note: what came by POP3 before (import people) stays as it is: with the date that POP3 told, unread and without flags"
        in said
    )
    found = destination.seen()
    assert sum(found.values()) == 63
    assert held(destination) == held(source)


def test_a_pop3_import_leaves_the_source_unread(admin_env: AdminEnvironment, maildrops: Dovecot) -> None:
    source, destination = stand(
        admin_env, maildrops, "unread@pop.example", [make_message(seed, 1_500) for seed in range(30)]
    )
    before = source.uids()
    manifest = admin_env.manifest({source.login: source.password})
    for verb in ("check", "plan", "import"):
        said = admin_env.run(verb, manifest, *ends(admin_env, maildrops)).out
        assert "marks what is read" not in said
        assert source.uids() == before, verb
    assert sum(destination.seen().values()) == 30
    # The control: with RETR it does not hold, and the operator is told beforehand.
    admin_env.variables["MAILHAUL_POP3_READ"] = "retr"
    for verb in ("check", "plan"):
        assert (
            "this server marks what is read over POP3 as read"
            in admin_env.run(verb, manifest, *ends(admin_env, maildrops)).out
        )
        assert source.uids() == before, verb
    admin_env.run("import", manifest, *ends(admin_env, maildrops), "--verify", "full")
    assert source.uids() != before


#: Mail that POP3 gives in another form than IMAP, or cannot tell apart: no final line end, Unix line ends, no header,
#: look-alikes.
_HEAD = b"From: bank@example.org\r\nSubject: Your code\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n"
UNEQUAL = [
    b"From: a@example.org\r\nMessage-ID: <n@e>\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n\r\nno final line end",
    b"Received: from a by b\rX-Mac: 1\r\rtext\r",
    b"Subject: unix\n\none\ntwo\n",
    b"Subject: blank lines\r\n\r\none\r\n\r\n\r\n",
    _HEAD + b"To: a@example.org\r\n\r\nCode: 1234\r\n",
    _HEAD + b"To: a@example.org\r\n\r\nCode: 9876\r\n",
    _HEAD + b"To: a@example.org\r\n\r\nCode: 9876",
    "Subject: Привет\r\n\r\nraw\r\n".encode("koi8-r"),
    b"no header at all",
]


@pytest.mark.parametrize("order", [("pop3", "imap", "pop3"), ("imap", "pop3", "imap")])
def test_whichever_protocol_comes_next_and_whatever_is_forgotten_nothing_comes_twice(
    admin_env: AdminEnvironment, maildrops: Dovecot, order: tuple[str, ...]
) -> None:
    bodies = [*UNEQUAL, UNEQUAL[0], UNEQUAL[-1], *(make_message(seed, 1_500).rstrip(b"\r\n") for seed in range(12))]
    source, destination = stand(admin_env, maildrops, f"{'-'.join(order)}@pop.example", bodies)
    manifest = admin_env.manifest({source.login: source.password})
    ports = {"pop3": maildrops.pop3_port, "imap": maildrops.port}
    admin_env.variables |= {"MAILHAUL_SETTLE_SECONDS": "0.2"}
    for number, protocol in enumerate(order):
        admin_env.variables |= {
            "MAILHAUL_STATE_DIR": str(admin_env.home / f"state{number}")
        }  # each time without a ledger
        ends = [
            "--source",
            f"{protocol}://127.0.0.1:{ports[protocol]}",
            "--destination",
            f"imap://127.0.0.1:{admin_env.destination.port}",
        ]
        # Made in the same second, both INBOXes look like one, and without a ledger nothing tells that we copied one into the other.
        asked = ["import", manifest, *ends, "--json", "--same-mailbox"]
        told = json.loads(admin_env.run(*asked, code=None).out)["import"]
        assert told["copied" if number == 0 else "already_present"] == len(bodies), told
        assert sum(destination.seen().values()) == len(bodies)


def test_check_and_plan_look_and_write_nothing(admin_env: AdminEnvironment, maildrops: Dovecot, tmp_path: Path) -> None:
    source, destination = stand(admin_env, maildrops, "looked@pop.example", [make_message(1)])
    manifest = admin_env.manifest({source.login: source.password})
    checked = admin_env.run("check", manifest, *ends(admin_env, maildrops))
    assert '"messages": 1' in checked.out
    planned = admin_env.run("plan", manifest, *ends(admin_env, maildrops))
    assert '"messages": 1' in planned.out
    assert not destination.seen()


def born_together(admin_env: AdminEnvironment, maildrops: Dovecot, name: str, bodies: list[bytes]) -> tuple[Box, Box]:
    """Makes two INBOXes of one address with the same UIDVALIDITY.

    After an import, POP3 shows the same of both.
    """
    source, destination = stand(admin_env, maildrops, name, bodies)
    maildrops.wipe_uidlist(name, uidvalidity=destination.uids()[b"INBOX"][0])
    return source, destination


def said(admin_env: AdminEnvironment, *command: str | Path, code: int = 0) -> str:
    """Returns all that a command prints."""
    ended = admin_env.run(*command, code=code)
    return ended.out + ended.said


SAME = "source and destination are the same mailbox"


def test_a_mailbox_that_we_filled_is_not_taken_for_its_source(admin_env: AdminEnvironment, maildrops: Dovecot) -> None:
    source, destination = born_together(admin_env, maildrops, "twin@pop.example", [make_message(n) for n in range(5)])
    manifest = admin_env.manifest({source.login: source.password})
    both = ends(admin_env, maildrops)
    admin_env.run("import", manifest, *both)
    filled = destination.seen()
    assert sum(filled.values()) == 5
    for verb in ("check", "plan", "import"):
        assert SAME not in said(admin_env, verb, manifest, *both), verb
    # Another import of the same people, whose own ledger knows nothing.
    assert SAME not in said(admin_env, "import", manifest, *both, "--name", "other")
    assert destination.seen() == filled
    # The control: without a ledger the suspicion remains, and nothing is written.
    admin_env.variables |= {"MAILHAUL_STATE_DIR": str(admin_env.home / "lost")}
    for verb in ("check", "plan", "import"):
        assert SAME in said(admin_env, verb, manifest, *both, code=3), verb
    assert destination.seen() == filled


def test_the_mailbox_that_we_filled_is_still_no_source_of_itself(
    admin_env: AdminEnvironment, maildrops: Dovecot
) -> None:
    """Imports a mailbox into itself after an import from another server, whose ledger proves nothing about this one."""
    login = "self@pop.example"
    _, destination = born_together(admin_env, maildrops, login, [make_message(n) for n in range(5)])
    by_imap = ["--source", f"imap://127.0.0.1:{maildrops.port}"]
    to = ["--destination", f"imap://127.0.0.1:{admin_env.destination.port}", "--json"]
    manifest = admin_env.manifest({login: destination.password})
    admin_env.run("import", manifest, *by_imap, *to)
    before = destination.uids()
    itself = ["--source", f"imap://localhost:{admin_env.destination.port}", *to]
    for verb in ("check", "plan", "import"):
        assert SAME in said(admin_env, verb, manifest, *itself, code=3), verb
    assert destination.uids() == before


@pytest.mark.parametrize("counted", [None, 0, 4, 9])
def test_what_a_maildrop_counts_and_does_not_list_is_told(admin_env: AdminEnvironment, counted: int | None) -> None:
    login = f"counted{counted}@pop.example"
    admin_env.destination.add_user(login, "pw")
    short = counted == 9
    with Pop3Server([make_message(seed, 1_500) for seed in range(4)], counted=counted) as server:
        command = [
            "import",
            admin_env.manifest({login: "pw"}),
            "--source",
            f"pop3://127.0.0.1:{server.port}",
            "--destination",
            f"imap://127.0.0.1:{admin_env.destination.port}",
            "--json",
        ]
        told = json.loads(admin_env.run(*command, code=3 if short else 0).out)["import"]
        assert (told["copied"], told["withheld"]) == (4, 5 if short else 0)
        if short:  # the next pass says the same
            again = json.loads(admin_env.run(*command, code=3).out)["import"]
            assert (again["copied"], again["withheld"]) == (4, 5)
        if short:  # lifted, the rest comes with the same command
            server.messages += [make_message(seed, 1_500) for seed in range(4, 9)]
            told = json.loads(admin_env.run(*command).out)["import"]
            assert (told["copied"], told["withheld"]) == (9, 0)


def test_pop3_is_no_destination(admin_env: AdminEnvironment, maildrops: Dovecot) -> None:
    manifest = admin_env.manifest({"a": "b"})
    to = ["--source", f"imap://127.0.0.1:{admin_env.source.port}", "--destination", "pop3s://mail.example"]
    refused = admin_env.run("import", manifest, *to, code=2)
    assert "mail cannot be put into a POP3 server" in refused.said


@pytest.mark.parametrize(
    "unique_ids", [None, lambda session, n: b"%d-%d" % (session, n), lambda session, n: b"%d" % (n // 3)]
)
def test_a_server_that_cannot_tell_its_messages_apart_gives_each_once(
    admin_env: AdminEnvironment, unique_ids: UniqueIds
) -> None:
    bodies = [make_message(seed, 1_500) for seed in range(40)]
    bodies = [body if body.endswith(b"\r\n") else body + b"\r\n" for body in (*bodies, bodies[0])]
    login = f"vague{'abc'[0 if unique_ids is None else 1 if b'-' in unique_ids(1, 1) else 2]}@pop.example"
    admin_env.destination.add_user(login, "pw")
    destination = Box(admin_env.destination, login, "pw")
    with Pop3Server(list(bodies), unique_ids=unique_ids) as server:
        manifest = admin_env.manifest({login: "pw"})
        command = [
            "import",
            str(manifest),
            "--source",
            f"pop3://127.0.0.1:{server.port}",
            "--destination",
            f"imap://127.0.0.1:{admin_env.destination.port}",
            "--json",
        ]
        for extra in (b"", b"one more\r\n"):
            if extra:
                server.messages.append(make_message(77) + extra)
            admin_env.run(*command)
            wanted = Counter(hashlib.sha256(canon_dovecot(body)).hexdigest() for body in server.messages)
            assert held(destination) == wanted
