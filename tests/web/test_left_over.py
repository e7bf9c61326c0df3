"""Tests what is not on the first page, or is not taken: all mailboxes that wait for a password, and the rows that were wrong."""

from __future__ import annotations

import csv
import re

import pytest

from producer.web.api.mended import wrong_rows
from producer.web.pages.sheet import Choice, look
from shared.model import Account, Endpoint, Failure, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.binding import bound_to
from shared.model.lifecycle import MailboxState
from shared.store.records.principals import Role
from tests.contract.store_kit import take
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_signing_in import GOOD, Browser, _user

WAITING = 120


def _person(web_server: WebServer, name: str = "anna") -> Browser:
    _user(web_server, name, Role.OPERATOR)
    person = Browser(web_server)
    assert person.signs_in(name, GOOD).status_code == 303
    return person


def _parked(web_server: WebServer) -> str:
    """An import of which so many mailboxes wait for a password."""
    source, destination = (Endpoint(host=name, port=993, tls=Tls.IMPLICIT) for name in ("old.example", "new.example"))
    whole = Import(
        import_id=import_id("many", source, destination), name="many", source=source, destination=destination
    )
    mailboxes = [
        Mailbox(
            mailbox_id=mailbox_id(whole.import_id, login, login),
            import_id=whole.import_id,
            row=row,
            source=Account(endpoint=source, login=login),
            destination=Account(endpoint=destination, login=login),
        )
        for row in range(1, WAITING + 1)
        for login in [f"person{row}"]
    ]
    store = web_server.store
    store.open_import(whole, mailboxes, 14)
    store.submit(whole.import_id)
    for _ in mailboxes:
        lease = take(store)
        failure = Failure(code="source_auth_refused", sentence="source: authentication failed", at=1.0)
        store.release(lease, how="park", failure=failure)
        store.leave("lane", lease.mailbox.mailbox_id)
    return whole.import_id


def test_every_mailbox_that_waits_for_a_password_is_on_a_page(web_server: WebServer) -> None:
    place = f"/imports/{_parked(web_server)}/credentials"
    web_server.serve()
    person = _person(web_server)
    path, seen, pages = f"{place}?code=source_auth_refused", [], 0
    while path:
        text = person.get(path).text
        assert f"{WAITING} mailboxes wait for you" in text
        seen += re.findall(r'name="row_login" value="([^"]+)"', text)
        pages += 1
        following = re.search(r'href="([^"]+)">Next</a>', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"person{row}" for row in range(1, WAITING + 1)]
    assert pages == 3
    last = person.get(f"{place}?start=100").text
    assert "101 – 120 / 120" in last
    assert 'start=50">Previous</a>' in last
    # Where those behind it got theirs meanwhile, the last page that there is comes.
    assert "101 – 120 / 120" in person.get(f"{place}?start=400").text
    assert "waits for a password" in person.get(f"{place}?code=other&start=50").text


def test_the_rows_that_are_wrong_are_told_without_a_password() -> None:
    rows = (
        "login,password,new_login\nanna,TOPSECRET1,anna2\nbert,,bert2\ncara,TOPSECRET3,cara2,more\nanna,TOPSECRET4,x\n"
    )
    preview = look(rows.encode(), Choice(), lambda text: Endpoint(host=text, port=993, tls=Tls.IMPLICIT))
    assert preview.good == 1
    assert preview.wrong == (
        ("bert", "bert2", "", "row 3: password: is missing"),
        ("cara", "", "", "row 4: 4 columns instead of 3"),
        ("anna", "x", "", "row 5: login: the same login as in row 2, but the rest differs: keep one of them"),
    )
    assert "TOPSECRET" not in repr(preview.wrong)
    broken = look(
        b'login;password\na;b\nc;"TOPSECRET\n', Choice(), lambda text: Endpoint(host=text, port=1, tls=Tls.NONE)
    )
    assert [(one[0], one[3].partition(": ")[0]) for one in broken.wrong] == [("", "row 3")]


def test_a_row_that_was_wrong_keeps_its_wave() -> None:
    data = b"login,password,wave\nanna,,pilot\nbert,,\ncara,x\n"
    preview = look(data, Choice(), lambda text: Endpoint(host=text, port=1, tls=Tls.NONE))
    rows = list(csv.DictReader(wrong_rows(preview.wrong, preview.waves).splitlines()))
    assert [(row["login"], row["wave"]) for row in rows] == [("anna", "pilot"), ("bert", ""), ("", "")]
    assert "wave" not in wrong_rows(preview.wrong).splitlines()[0]  # the control, and of lists without waves


def test_the_rows_that_were_not_taken_are_had_with_their_reasons(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    web_server.serve(**allowed(servers))
    person = _person(web_server)
    sheet = f"login,password\nright,{PASSWORD}\n" + "".join(f"=wrong{n},\n" for n in range(300))
    form = {"name": "some"} | {
        f"{side}_{field}": value
        for side, server in zip(("source", "destination"), servers, strict=True)
        for field, value in (("protocol", "imap"), ("tls", "none"), ("host", "127.0.0.1"), ("port", str(server.port)))
    }
    looked = person.presses({**form, "do": "preview", "sheet": sheet})
    (link,) = set(re.findall(r'href="(/new/\w+/wrong-rows\.csv)"', looked.text))
    rows = list(csv.DictReader(person.get(link).text.splitlines()))
    assert len(rows) == 300
    assert rows[0] == {
        "login": "'=wrong0",
        "password": "",
        "new_login": "",
        "server": "",
        "reason": "Row 3: Password: is missing",
    }
    # A reader of the Russian page has them in Russian, under the headings that programs read.
    russian = list(csv.DictReader(person.get(link, headers={"Accept-Language": "ru"}).text.splitlines()))
    assert list(russian[0]) == list(rows[0])
    assert russian[0]["reason"] == "Строка 3: Пароль: отсутствует"
    opened = person.presses({**form, "do": "open", "good": "1"}, looked.url.path)
    assert opened.status_code == 303, opened.text
    page = person.get(opened.headers["location"]).text
    assert "Some rows were not taken." in page
    (link,) = set(re.findall(r'href="(/wrong-rows/\w+\.csv)"', page))
    kept = person.get(link)
    assert list(csv.DictReader(kept.text.splitlines())) == rows
    assert kept.headers["content-type"] == "text/csv; charset=utf-8"
    (mailbox,) = web_server.store.mailboxes(opened.headers["location"].split("/")[2].partition("?")[0])
    assert (mailbox[0].source.login, mailbox[0].state) == ("right", MailboxState.QUEUED)
    # They are nobody else's.
    assert _person(web_server, "bert").get(link).status_code == 404
    assert person.get("/wrong-rows/none.csv").status_code == 404
    there = opened.headers["location"].partition("?")[0]
    assert "Some rows were not taken." not in person.get(f"{there}?wrong=none").text
    assert "wrong-rows" not in person.presses({**form, "do": "preview", "sheet": f"a,{PASSWORD}\n"}).text
    # More of them are added in the same way.
    more = {"do": "add", "good": "1", "sheet": f"login,password\nlater,{PASSWORD}\nnever,\n"}
    added = person.post(f"{there}/add", data=more)
    assert added.status_code == 303, added.text
    page = person.get(added.headers["location"]).text
    assert "1 mailbox added." in page
    assert "Some rows were not taken." in page


@pytest.mark.parametrize("within", [False, True], ids=["kept apart", "kept within, by an older version"])
def test_new_passwords_are_given_for_what_a_check_found_before_the_start(web_server: WebServer, within: bool) -> None:
    web_server.serve(**{"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": "1430,1431"})
    rows = "".join(f"box{row},{PASSWORD}\n" for row in range(60))
    body = {
        "name": "office",
        "manifest": f"login,password\n{rows}",
        "source": {"server": "imap://127.0.0.1:1430"},
        "destination": {"server": "imap://127.0.0.1:1431"},
    }
    opened = web_server.client().post("/imports", json=body).json()["import"]["id"]
    other = web_server.client().post("/imports", json={**body, "name": "yard"}).json()["import"]["id"]
    side = {"ok": True, "failure": "", "detail": "", "advice": "", "folders": 1, "messages": 1, "size_bytes": 1}
    side |= {"left_out": "", "would_create": False}
    bad = {**side, "ok": False, "failure": "source: authentication failed"}
    boxes = [
        {"row": row, "login": f"box{row}", "destination_login": f"box{row}", "ok": row < 5, "destination": side}
        | {"server": "", "warning": "", "source": side if row < 5 else bad}
        for row in (*range(5, 60), *range(5))
    ]
    result = {"ok": 5, "broken": 55, "messages": 5, "bytes": 5, "swapped": False}
    found = {"id": "5" * 16, "import_id": opened, "kind": "check", "state": "done", "beat_at": 0, "result": result}
    if within:
        old = [{**box} for box in sorted(boxes, key=lambda box: str(box["row"]).zfill(2))]
        for box in old:
            del box["server"]
        web_server.records.keep_rehearsal(found["id"], {**found, "result": {**result, "mailboxes": old}})
    else:
        web_server.records.keep_rehearsal(found["id"], found)
        web_server.records.keep_rehearsed(found["id"], boxes)
    person = _person(web_server)
    first = person.get(f"/rehearsals/{found['id']}").text
    assert re.findall(r'<th scope="row">(\w+)</th>', first) == [f"box{row}" for row in range(5, 55)], "a page of them"
    last = person.get(f"/rehearsals/{found['id']}?start=50").text
    assert re.findall(r'<th scope="row">(\w+)</th>', last) == [f"box{row}" for row in (*range(55, 60), *range(5))]
    assert len(person.get(f"/rehearsals/{found['id']}.csv").text.splitlines()) == 61
    link = re.search(r'href="([^"]+)">Give new passwords', first)
    assert link is not None
    assert link[1] == f"/imports/{opened}/credentials?check={found['id']}"
    page = person.get(link[1]).text
    assert "55 mailboxes with trouble." in page
    assert re.findall(r'name="row_login" value="([^"]+)"', page) == [f"box{row}" for row in range(5, 55)]
    assert page.count("authentication failed") == 50
    assert "51 – 55 / 55" in person.get(f"{link[1]}&start=50").text
    # Nothing given leads back to the same mailboxes.
    nothing = {
        "check": found["id"],
        "row_login": "box7",
        "row_password": "",
        "row_new_login": "",
        "row_new_password": "",
    }
    assert "55 mailboxes with trouble." in person.post(f"/imports/{opened}/credentials", data=nothing).text
    given = person.post(f"/imports/{opened}/credentials", data={**nothing, "row_password": "another"})
    assert given.headers["location"] == f"/imports/{opened}"
    box = next(one for one, _ in web_server.store.mailboxes(opened) if one.source.login == "box7")
    sealed = web_server.store.sealed(opened, box.mailbox_id, "source")
    whole = web_server.store.import_(opened)
    assert sealed is not None
    assert whole is not None
    kept = web_server.vault.open(box.mailbox_id, "source", sealed, bound=bound_to(whole, box))
    assert kept.password.reveal() == "another"
    told = web_server.client().get(f"/rehearsals/{found['id']}").json()["result"]["mailboxes"]
    assert [box["row"] for box in told] == list(range(60))
    assert person.get(f"/imports/{other}/credentials?check={found['id']}").status_code == 404, "it is another import's"
