"""Tests a new password for one side of a mailbox: the other side's password is kept."""

from __future__ import annotations

from shared.model.lifecycle import ImportState, MailboxState
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


def test_each_side_has_its_own_and_the_other_stays(web_server: WebServer, servers: Servers) -> None:
    source, destination = servers
    source.add_user("sides", PASSWORD)
    destination.add_user("sides", "another-there")
    mail.populate(source.host, source.port, "sides", PASSWORD, mail.make_mailbox(3, {"INBOX": 2}))
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    body = {"name": "sides", "manifest": f"login,password\nsides,{PASSWORD}\n", **ends(servers)}
    import_id = api.post("/imports", json=body).json()["import"]["id"]
    api.post(f"/imports/{import_id}/start")

    def state() -> MailboxState:
        ((mailbox, _),) = web_server.store.mailboxes(import_id)
        return mailbox.state

    await_ready(lambda: state() is MailboxState.PARKED, 180, "the refusal at the destination")
    ((mailbox, _),) = web_server.store.mailboxes(import_id)
    there = f"/imports/{import_id}/mailboxes/{mailbox.mailbox_id}"
    before = web_server.store.sealed(import_id, mailbox.mailbox_id, "source")
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    empty = browser.post(f"{there}/passwords", data={"source": "", "destination": ""})
    assert (empty.status_code, "give at least one password" in empty.text) == (422, True)
    assert browser.post(f"{there}/passwords", data={"destination": "another-there"}).status_code == 303
    await_ready(lambda: web_server.store.imports()[0].state is ImportState.FINISHED, 180, "the end")
    assert state() is MailboxState.COMPLETE
    assert web_server.store.sealed(import_id, mailbox.mailbox_id, "source") == before
    last = web_server.records.audit()[-1]
    assert (last["what"], last["detail"]["sides"]) == ("credentials replaced", ["destination"])
    assert "another-there" not in str(web_server.records.audit()) + browser.get(there).text

    assert api.put(f"{there}/passwords", json={"source": PASSWORD}).json() == {"queued": False}
    assert web_server.store.sealed(import_id, mailbox.mailbox_id, "source") != before
    assert api.put(f"{there}/passwords", json={}).status_code == 422
