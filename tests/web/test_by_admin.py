"""Tests an administrator's login that signs in for all mailboxes, by the API.

The rows give no password, and the administrator's password can be read nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from shared.model.lifecycle import ImportState
from tests import mail
from tests.acceptance.test_admin_sign_in import ADMIN, WORD, with_master
from tests.leaks import leaks
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends

Servers = tuple[Dovecot, Dovecot]


@pytest.fixture
def masters() -> Iterator[Servers]:
    extra, file = with_master()
    with Dovecot(mail_format="sdbox", extra=extra) as source, Dovecot(mail_format="sdbox", extra=extra) as destination:
        for number in range(2):
            for server in (source, destination):
                server.add_user(f"person{number}", PASSWORD)
            messages = mail.make_mailbox(number, {"INBOX": 6})
            mail.populate(source.host, source.port, f"person{number}", PASSWORD, messages)
        yield source, destination
    file.unlink()
    file.parent.rmdir()


def test_an_administrator_signs_in_for_everybody(web_server: WebServer, masters: Servers) -> None:
    web_server.serve(**allowed(masters))
    web_server.crew()
    api = web_server.client()
    body = {"name": "masters", "manifest": "login\nperson0\nperson1\n", **ends(masters)}
    for side, way in (("source", "master"), ("destination", "authzid")):
        body[side] = {**body[side], "sign_in": {"way": way, "admin": ADMIN, "secret": WORD}}
    opened = api.post("/imports", json=body)
    assert opened.status_code == 201, opened.text
    there = f"/imports/{opened.json()['import']['id']}"

    rehearsal = api.post(f"{there}/rehearsals", json={"kind": "check"}).json()["id"]
    await_ready(lambda: api.get(f"/rehearsals/{rehearsal}").json()["state"] != "running", 180, "the check")
    assert api.get(f"/rehearsals/{rehearsal}").json()["result"]["ok"] == 2

    api.post(f"{there}/start")
    await_ready(lambda: web_server.store.imports()[0].state is ImportState.FINISHED, 180, "the end")
    source, destination = masters
    for number in range(2):
        wanted = mail.snapshot(source.host, source.port, f"person{number}", PASSWORD, canon=mail.canon_dovecot)
        assert mail.snapshot(destination.host, destination.port, f"person{number}", PASSWORD) == wanted

    said = opened.text + api.get(there).text + json.dumps(web_server.records.audit())
    said += "".join(path.read_text() for path in web_server.home.glob("*.log"))
    assert leaks({"the administrator's": WORD}, said.encode()) == []
    with redis.Redis(unix_socket_path=str(web_server.redis.socket), db=1) as client:
        assert not any(WORD.encode() in (client.dump(key) or b"") for key in client.scan_iter())


@pytest.mark.parametrize(
    ("sign_in", "why"),
    [
        ({"way": "master"}, "source.sign_in.way master needs source.sign_in.admin"),
        ({"admin": "root"}, "source.sign_in.secret: master needs one"),
        ({"way": "command:/bin/sh"}, "it is for the command line"),
        ({"way": "wizard"}, "is none of"),
        ({"way": "google", "secret": '{"token_uri": "http://169.254.169.254/"}'}, "another place than google's own"),
        (
            {"way": "microsoft:x", "secret": '{"authority": "https://evil.example"}'},
            "another place than microsoft's own",
        ),
        ({"way": "google", "secret": "{}"}, "is not the key of a Google service account"),
        ({"way": "google", "secret": "[" * 40_000}, "is not the key of a Google service account"),
        ({"way": "microsoft:x", "secret": "[" * 40_000}, "is no Microsoft app"),
        ({"way": "authzid", "admin": "root", "secret": "a\nb"}, "more than one line"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_is_refused_without_repeating_the_secret(
    web_server: WebServer, servers: Servers, sign_in: dict[str, str], why: str
) -> None:
    web_server.serve(**allowed(servers))
    body = {"name": "x", "manifest": "login\nperson0\n", **ends(servers)}
    body["source"] = {**body["source"], "sign_in": sign_in}
    answer = web_server.client().post("/imports", json=body)
    assert (answer.status_code, why in answer.json()["detail"]) == (422, True), answer.text
    assert web_server.store.imports() == []


def test_the_same_key_with_another_secret_is_another_request(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    api = web_server.client()
    body = {"name": "once", "manifest": "login,password\nperson0,x\n", **ends(servers)}

    def sent(secret: str) -> int:
        signed = {**body["source"], "sign_in": {"way": "authzid", "admin": "root", "secret": secret}}
        return api.post("/imports", json={**body, "source": signed}, headers={"Idempotency-Key": "one"}).status_code

    assert [sent("first"), sent("first"), sent("second")] == [201, 201, 422]


def test_a_wrong_administrators_password_is_mended_for_all_at_once(web_server: WebServer, masters: Servers) -> None:
    """Includes a row with a wrong password of its own: the new secret does not make it be tried again."""
    web_server.serve(**allowed(masters))
    web_server.crew()
    api = web_server.client()
    body = {"name": "masters", "manifest": "login,password\nperson0,\nperson1,\nnobody,wrong\n", **ends(masters)}
    for side in ("source", "destination"):
        sign_in = {"way": "master", "admin": ADMIN, "secret": "wrong" if side == "source" else WORD}
        body[side] = {**body[side], "sign_in": sign_in}
    import_id = api.post("/imports", json=body).json()["import"]["id"]
    there = f"/imports/{import_id}"
    api.post(f"{there}/start")
    await_ready(
        lambda: _states(web_server, import_id) == dict.fromkeys(("person0", "person1", "nobody"), "parked"), 180
    )
    before = masters[0].login_attempts()

    answer = api.put(f"{there}/secrets", json={"source": WORD})
    assert (answer.status_code, answer.json()) == (200, {"queued": 2})
    done = {"person0": "complete", "person1": "complete", "nobody": "parked"}
    await_ready(lambda: _states(web_server, import_id) == done, 180, "the end")
    assert masters[0].login_attempts("nobody") == 1
    assert masters[0].login_attempts() == before
    noted = web_server.records.audit()[-1]
    assert (noted["what"], noted["detail"]["shared"]) == ("credentials replaced", ["source"])

    assert web_server.client("viewer").put(f"{there}/secrets", json={"source": WORD}).status_code == 403
    assert api.put(f"{there}/secrets", json={}).status_code == 422
    assert WORD not in json.dumps(web_server.records.audit())


def _states(web_server: WebServer, import_id: str) -> dict[str, str]:
    return {mailbox.source.login: mailbox.state.value for mailbox, _ in web_server.store.mailboxes(import_id)}


def test_rows_that_are_added_need_no_password_either(web_server: WebServer, masters: Servers) -> None:
    web_server.serve(**allowed(masters))
    web_server.crew()
    api = web_server.client()
    body = {"name": "masters", "manifest": "login\nperson0\n", **ends(masters)}
    for side in ("source", "destination"):
        body[side] = {**body[side], "sign_in": {"way": "master", "admin": ADMIN, "secret": WORD}}
    import_id = api.post("/imports", json=body).json()["import"]["id"]
    added = api.post(f"/imports/{import_id}/mailboxes", json={"manifest": "login\nperson1\n"})
    assert added.status_code == 200, added.text
    api.post(f"/imports/{import_id}/start")
    done = {"person0": "complete", "person1": "complete"}
    await_ready(lambda: _states(web_server, import_id) == done, 180, "the end")


def test_where_each_has_a_password_there_is_none_for_all(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    api = web_server.client()
    body = {"name": "x", "manifest": "login,password\nperson0,x\n", **ends(servers)}
    import_id = api.post("/imports", json=body).json()["import"]["id"]
    answer = api.put(f"/imports/{import_id}/secrets", json={"source": "y"})
    assert answer.status_code == 422
    assert "each mailbox's own password" in answer.json()["detail"]


def test_a_new_key_goes_to_the_vendor_alone_too(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    api = web_server.client()
    body = {"name": "x", "manifest": "login\nperson0\n", **ends(servers)}
    alone = api.post("/imports", json=body | {"source": {**body["source"], "sign_in": {"way": "token", "secret": "t"}}})
    assert "or give destination.sign_in.secret, destination.sign_in.admin or" in alone.json()["detail"]
    body["manifest"] = "login,new_password\nperson0,x\n"
    app = {"client_id": "a", "client_secret": "b"}
    body["source"] = {**body["source"], "sign_in": {"way": "microsoft:corp.example", "secret": json.dumps(app)}}
    opened = api.post("/imports", json=body)
    assert opened.status_code == 201, opened.text
    there = f"/imports/{opened.json()['import']['id']}/secrets"
    evil = api.put(there, json={"source": json.dumps({**app, "authority": "https://evil.example"})})
    assert (evil.status_code, "another place" in evil.json()["detail"]) == (422, True)
    assert api.put(there, json={"source": "[1]"}).status_code == 422
    assert api.put(there, json={"source": json.dumps({**app, "client_secret": "c"})}).status_code == 200
