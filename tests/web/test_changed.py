"""Tests what the page says after an act: what it changed, or that it changed nothing. A cancellation asks first."""

from __future__ import annotations

import csv
import re

import pytest

from producer.web.pages.changed import MOST_ROWS, Changed, read
from producer.web.unsure import HEADER
from shared.model.lifecycle import ImportState, MailboxState
from shared.runtime.unsure_acts import PERHAPS_NOT_ON_DISK
from shared.store.redis.redis_store import connect
from tests import mail
from tests.integration.in_process_import import plain
from tests.servers.dovecot import Dovecot
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


def _import(web_server: WebServer, servers: Servers, name: str, rows: str) -> str:
    body = {"name": name, "manifest": f"login,password\n{rows}", **ends(servers)}
    return str(web_server.client().post("/imports", json=body).json()["import"]["id"])


def _person(web_server: WebServer) -> Browser:
    _user(web_server)
    person = Browser(web_server)
    assert person.signs_in("anna", GOOD).status_code == 303
    return person


def _words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html)).strip()


def _told(page: str) -> str:
    """Returns what the page says of the act before it; "" for nothing."""
    found = re.search(r'<p class="box changed" role="status">(.*?)</p>', page, re.DOTALL)
    return _words(found[1]) if found else ""


def _does(person: Browser, path: str, **data: str) -> str:
    answer = person.post(path, data=data)
    assert answer.status_code == 303, answer.text
    return _told(person.get(answer.headers["location"]).text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "retry",
        "retry.1.2.3.4.5",
        "retry.1.2.3.4.-5.0",
        "dance.1.2.3.4.5.0",
        "retry.1.2.3.4.<b>.0",
        "retry.1.2.3.4.².0",
        "retry." + "9" * 10 + ".2.3.4.5.0",
        ".".join(["retry", *"1" * (MOST_ROWS + 7)]),
    ],
)
def test_what_the_browser_sends_is_believed_only_as_it_was_written(text: str) -> None:
    assert read(text) is None


def test_what_was_changed_is_read_as_it_was_written() -> None:
    whole = Changed(act="passwords", mailboxes=1, messages=2, queued=3, shared=4, strange=40, rows=tuple(range(20)))
    assert read(whole.text) == whole
    for other in (Changed(act="pause"), Changed(act="pause", unsure=True)):
        assert read(other.text) == other


def test_an_act_that_the_disk_may_not_have_says_so(web_server: WebServer, servers: Servers) -> None:
    """A Redis without a file tells as little as one before 7.2 at another machine."""
    web_server.serve(**allowed(servers))
    person, program = _person(web_server), web_server.client()
    import_id = _import(web_server, servers, "unsure", f"unsure1,{PASSWORD}\n")
    there, sentence = f"/imports/{import_id}", "This Redis did not tell that its disk has it"
    assert sentence not in _does(person, f"{there}/start")
    assert HEADER not in program.post(f"/imports/{import_id}/resume", json={}).headers
    with connect(web_server.state_url) as client:
        client.config_set("appendonly", "no")
    assert sentence in _does(person, f"{there}/pause")
    assert PERHAPS_NOT_ON_DISK.says() == program.post(f"/imports/{import_id}/resume", json={}).headers[HEADER]
    assert HEADER not in program.get(f"/imports/{import_id}").headers


def test_a_cancellation_asks_and_goes_on_again(web_server: WebServer, servers: Servers) -> None:
    source = servers[0]
    for login in ("ask1", "ask2", "ask3"):
        for server in servers:
            server.add_user(login, PASSWORD)
        mail.populate(source.host, source.port, login, PASSWORD, mail.make_mailbox(1, {"INBOX": 3}))
    web_server.serve(**allowed(servers))
    person = _person(web_server)
    import_id = _import(web_server, servers, "asked", f"ask1,{PASSWORD}\nask2,{PASSWORD}\nask3,wrong\n")
    there = f"/imports/{import_id}"

    assert _does(person, f"{there}/start") == "Started: 3 mailboxes."
    assert _does(person, f"{there}/start") == "Nothing was changed: it was started before."
    assert _does(person, f"{there}/pause") == "Paused: 3 mailboxes. “Resume” lets them go on."
    assert _told(person.get(there).text) == "", "it is told once"
    assert _does(person, f"{there}/pause") == "Nothing was changed: it is paused already, or nothing is under way."
    one = next(box.mailbox_id for box, _ in web_server.store.mailboxes(import_id) if box.source.login == "ask1")
    assert _does(person, f"{there}/cancel", sure="yes", mailbox=one).startswith("1 mailbox was given up.")
    assert "<button>Go on</button>" in person.get(f"{there}/mailboxes/{one}").text

    # Nothing is cancelled before the answer: the question has a page of its own, with the number of mailboxes.
    asked = person.post(f"{there}/cancel")
    assert asked.headers["location"] == f"{there}/cancel"
    question = person.get(f"{there}/cancel").text
    assert "2 mailboxes would be given up." in question
    assert "Give 2 mailboxes up" in question
    states = [box.state for box, _ in web_server.store.mailboxes(import_id)]
    assert states.count(MailboxState.CANCELLED) == 1
    page = person.get(there).text
    assert f'<form class="apart" id="do-cancel" method="get" action="{there}/cancel"><button class="danger">' in page

    assert _does(person, f"{there}/cancel", sure="yes").startswith("2 mailboxes were given up.")
    assert "Nothing is left that could be given up" in person.get(f"{there}/cancel").text
    assert (
        _does(person, f"{there}/cancel", sure="yes") == "Nothing was changed: every mailbox is complete or cancelled."
    )
    assert web_server.client().post(f"{there}/cancel", json={}).json()["mailboxes"] == 0
    assert "act changed nothing" in [entry["what"] for entry in web_server.records.audit()]
    page = person.get(there).text
    assert re.search(rf'action="{there}/resume"><button class="main">Go on', page)

    assert _does(person, f"{there}/resume") == "3 mailboxes go on."
    web_server.crew()

    def over() -> bool:
        found = web_server.store.import_(import_id)
        return found is not None and found.state is ImportState.FINISHED

    await_ready(over, 180, "the end")
    assert [box.state for box, _ in web_server.store.mailboxes(import_id)] == [
        MailboxState.COMPLETE,
        MailboxState.COMPLETE,
        MailboxState.PARKED,
    ]

    # Nothing is under way, and the pause holds all the same.
    for act, told, word in (("pause", "Paused: nothing is looked at", "pause"), ("resume", "Resumed.", "run")):
        assert _does(person, f"{there}/{act}").startswith(told)
        found = web_server.store.import_(import_id)
        assert found is not None
        assert found.control.value == word
        assert _does(person, f"{there}/{act}").startswith("Nothing was changed:")

    assert _does(person, f"{there}/retry", code="no_such_code") == (
        "Nothing was changed: nothing of this is parked, refused or failed."
    )
    pasted = f"login,password\nask3,{PASSWORD}\naks1,{PASSWORD}\nask9,{PASSWORD}\n"
    assert _does(person, f"{there}/credentials", sheet=pasted) == (
        "New passwords of 1 mailbox were taken. 2 rows fit no mailbox by their login at the source, and changed nothing "
        "(Row 3, 4). 1 mailbox queued again."
    )
    await_ready(lambda: over() and "complete" in web_server.page(there).split("</h1>")[0], 180, "the whole of it")
    assert _does(person, f"{there}/mailboxes/{one}/passwords", source=PASSWORD) == (
        "New passwords of 1 mailbox were taken. No parked mailbox was waiting for it."
    )
    assert _does(person, f"{there}/verify").startswith("3 mailboxes queued: what is new is copied")
    await_ready(over, 180, "the second pass")


def test_swapped_ends_are_said_by_the_check_and_the_rehearsal(web_server: WebServer, servers: Servers) -> None:
    destination = servers[1]
    for server in servers:
        server.add_user("swap", PASSWORD)
    mail.populate(destination.host, destination.port, "swap", PASSWORD, mail.make_mailbox(1, {"INBOX": 2}))
    web_server.serve(**allowed(servers))
    person = _person(web_server)
    import_id = _import(web_server, servers, "swapped", f"swap,{PASSWORD}\n")
    one = {
        "name": "alike",
        "manifest": f"login,password\nswap,{PASSWORD}\n",
        "source": {"server": f"imap://127.0.0.1:{destination.port}"},
        "destination": {"server": f"imap://localhost:{destination.port}"},
    }
    alike = web_server.client().post("/imports", json=one).json()["import"]["id"]
    for kind in ("check", "plan"):
        page = _rehearsed(person, import_id, kind)
        assert "every source mailbox is empty and every destination is not" in page
        assert "make the import anew and say so" in page
        page = _rehearsed(person, alike, kind)
        assert "source and destination are the same mailbox" in page
        assert "make the import anew and say so" in page
        assert "--" not in page.split("Skip to the content")[1]


def _rehearsed(person: Browser, import_id: str, kind: str) -> str:
    where = person.post(f"/imports/{import_id}/rehearsals", data={"kind": kind}).headers["location"]
    await_ready(lambda: 'class="state done"' in person.get(where).text, 180, f"the {kind}")
    return _words(person.get(where).text)


def test_a_mailbox_with_a_folder_that_is_not_read_is_nowhere_called_complete(web_server: WebServer) -> None:
    with FaultyServer() as source, FaultyServer() as destination:
        for server in (source, destination):
            server.add_account("half", PASSWORD)
        for folder in (b"INBOX", b"Work"):
            source.behaviour.accounts["half"].folder(folder).add(plain(1))
        source.faults.add(reply(b'^EXAMINE "?Work', b"NO Unsafe Login", times=None))
        ports = f"{source.port},{destination.port}"
        web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS=ports)
        web_server.crew()
        api = web_server.client()
        body = {"name": "half", "manifest": f"login,password\nhalf,{PASSWORD}\n"} | {
            side: {"server": f"imap://127.0.0.1:{server.port}"}
            for side, server in (("source", source), ("destination", destination))
        }
        import_id = api.post("/imports", json=body).json()["import"]["id"]
        there = f"/imports/{import_id}"
        api.post(f"{there}/start")
        await_ready(lambda: api.get(there).json()["state"] == "finished", 180, "the end")
        (mailbox,) = api.get(f"{there}/mailboxes").json()["mailboxes"]
        whole = api.get(there).json()
    assert (whole["status"], whole["unreadable_folders"]) == ("incomplete", 1)
    assert (mailbox["state"], mailbox["unreadable_folders"]) == ("incomplete", 1)
    (line,) = csv.DictReader(api.get(f"{there}/report/results.csv").text.splitlines())
    assert (line["state"], line["unreadable_folders"]) == ("incomplete", "1")
    page = web_server.page(there)
    assert 'class="state complete"' not in page
    assert "Folders that cannot be read 1" in _words(page)
    assert '<span class="state incomplete">incomplete' in web_server.page("/")
    assert "  incomplete  " in web_server.command("list")
