"""Tests a role of the shipped ACL that writes to Redis without the key: it gets no password, mail or permission."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from producer.cutover.driver import CutoverDriver
from producer.cutover.effects import LiveCutoverEffects
from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from shared.model import Endpoint, Mailbox, Options, Tls
from shared.model.cutover import Cutover, CutoverOptions, CutoverStep, MailboxCutover
from shared.model.errors import StoreError
from shared.model.lifecycle import CutoverState
from shared.runtime.config import load_settings
from shared.runtime.credentials import EndsChanged, Vault
from shared.runtime.secret import Secret
from shared.sign_in.entrance import Entrance
from shared.sign_in.removals import may_remove
from shared.store.records.cutovers import Cutovers, KeptCutover, decode_mailbox, encode_mailbox
from shared.store.records.principals import Principal, Principals, Role
from shared.store.records.sessions import BrowserSessions
from shared.store.records.signed import signed_row
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore, connect
from tests.deploy.deployed_processes import DeployedProcesses
from tests.resources import GivenResources
from tests.servers.listener import Listener

_KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
_OTHERS_KEY = b"OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="


@dataclass
class Attacker:
    """A server of the attacker that greets as IMAP and keeps what it is sent."""

    #: All bytes received.
    heard: bytearray = field(default_factory=bytearray)
    #: Number of connections.
    visits: int = 0

    def __post_init__(self) -> None:
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def _serve(self, visitor: socket.socket) -> None:
        self.visits += 1
        visitor.sendall(b"* OK IMAP4rev1 ready\r\n")
        while data := visitor.recv(4096):
            self.heard += data
            tag = data.split()[0]
            visitor.sendall(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n" + tag + b" OK done\r\n")

    def close(self) -> None:
        """Stops the server."""
        self._listener.close()


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    attacker = Attacker()
    yield attacker
    attacker.close()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedProcesses]:
    with DeployedProcesses(tmp_path_factory.mktemp("rights")) as deployed:
        yield deployed


def _opened(deployed: DeployedProcesses, attacker: Attacker, tmp_path: Path) -> tuple[Mailbox, Entrance]:
    """Returns a mailbox of an import as the producer opens it, and the entrance as a worker has it."""
    place = Endpoint(host="127.0.0.1", port=attacker.port, tls=Tls.NONE)
    row = Row(line=1, login="anna", password=Secret("CANARY-77"), new_login="anna", new_password=Secret("CANARY-78"))
    import_, mailboxes = prepare_import([row], place, place, Options(), f"rights-{attacker.port}")
    store = RedisStore(connect(f"{deployed.url('producer')}/1"))
    GivenResources(store=store, vault=Vault([_KEY])).operations.submit(import_, mailboxes, [row], hold=True)
    settings = load_settings(state_dir=tmp_path, connect_timeout_seconds=20, command_timeout_seconds=20)
    worker = RedisStore(connect(f"{deployed.url('worker')}/1"))
    return mailboxes[0], Entrance(worker, Vault([_KEY]), settings)


def _enters(entrance: Entrance, deployed: DeployedProcesses, mailbox: Mailbox, side: str) -> None:
    """Signs in as a lane does, with the mailbox as the store holds it now."""
    known = RedisStore(connect(f"{deployed.url('worker')}/1")).mailbox(mailbox.mailbox_id)
    assert known is not None
    if side == "source":
        entrance.source(known, None)  # type: ignore[arg-type]
    else:
        entrance.destination(known)


def _turn(client: redis.Redis, mailbox: Mailbox, what: str, port: int) -> None:
    """Writes what an attacker would write."""
    import_, row = keys.import_(mailbox.import_id), keys.mailbox(mailbox.mailbox_id)
    elsewhere = json.dumps({"host": "127.0.0.2", "port": port, "tls": "none"})
    match what:
        case "source" | "destination":
            client.hset(import_, what, elsewhere)
        case "row's source":
            client.hset(row, "source", elsewhere)
        case "source_login" | "destination_login":
            client.hset(row, what, "ceo")
        case "guard":
            told = json.loads(client.hget(import_, "source") or b"")
            client.hset(import_, "source", json.dumps({**told, "guarded": True}))


@pytest.mark.parametrize("role", ["worker", "coordinator", "producer"])
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "what", ["source", "destination", "row's source", "source_login", "destination_login", "guard"]
)
def test_a_password_is_shown_to_nobody_else_whatever_a_role_writes(
    shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path, role: str, side: str, what: str
) -> None:
    mailbox, entrance = _opened(shipped, attacker, tmp_path)
    with shipped.client(role) as client:
        _turn(client, mailbox, what, attacker.port)
    with pytest.raises(EndsChanged, match="nothing was sent"):
        _enters(entrance, shipped, mailbox, side)
    assert attacker.visits == 0


def test_without_the_binding_the_password_would_be_shown(
    shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the attacker does receive a password that is sent to it."""
    monkeypatch.setattr("shared.sign_in.entrance.bound_to", lambda *_: "")
    monkeypatch.setattr("producer.operations.submission.bound_to", lambda *_: "")
    mailbox, entrance = _opened(shipped, attacker, tmp_path)
    with shipped.client("coordinator") as client:
        _turn(client, mailbox, "source_login", attacker.port)
    _enters(entrance, shipped, mailbox, "source")
    assert base64.b64encode(b"\0ceo\0CANARY-77") in attacker.heard


def test_what_nobody_changed_opens(shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path) -> None:
    mailbox, entrance = _opened(shipped, attacker, tmp_path)
    _enters(entrance, shipped, mailbox, "source")
    assert base64.b64encode(b"\0anna\0CANARY-77") in attacker.heard


@pytest.mark.parametrize("role", ["worker", "coordinator", "producer"])
def test_no_role_without_the_key_has_mail_removed(shipped: DeployedProcesses, role: str) -> None:
    """The options of an import are not signed; the permission to remove copies at the destination is sealed."""
    place = Endpoint(host="127.0.0.1", port=143, tls=Tls.NONE)
    row = Row(line=1, login="anna", password=Secret("a"), new_login="anna", new_password=Secret("b"))
    store = RedisStore(connect(f"{shipped.url('producer')}/1"))
    worker = RedisStore(connect(f"{shipped.url('worker')}/1"))
    ours = Vault([_KEY])

    def allowed(**options: Any) -> bool:
        """Opens an import, has the role write that it removes 900 copies, and asks as a worker does."""
        given = Options(**options)
        import_, mailboxes = prepare_import([row], place, place, given, f"removing for {role}")
        GivenResources(store=store, vault=ours).operations.submit(import_, mailboxes, [row], hold=True)
        with shipped.client(role) as client:
            key = keys.import_(import_.import_id)
            kept = json.loads(client.hget(key, "options") or b"{}")
            client.hset(key, "options", json.dumps({**kept, "deletions": "follow", "deletions_cap": 900}))
        now = worker.import_(import_.import_id)
        assert now is not None
        assert (now.options.deletions, now.options.deletions_cap) == ("follow", 900)
        return may_remove(worker, ours, import_.import_id, now.options)

    assert allowed(deletions="follow", deletions_cap=900), "the control: whoever chose it with the key has it"
    assert not allowed(deletions="follow", deletions_cap=100), "no more than was chosen"
    assert not allowed(), "the permission is gone with the choice"


@pytest.mark.parametrize("role", ["worker", "coordinator"])
@pytest.mark.parametrize("command", [("HSET", "a", "b"), ("DEL",), ("HGETALL",), ("SET", "x"), ("EXPIRE", "1")])
@pytest.mark.parametrize("key", ["tokens", "users", "audit", "session:x", "sessions", "link:x", "way:x", "draft:x"])
def test_workers_and_the_coordinator_reach_nothing_of_the_page(
    shipped: DeployedProcesses, role: str, command: tuple[str, ...], key: str
) -> None:
    with shipped.client(role) as client, pytest.raises(NoPermissionError):
        client.execute_command(command[0], f"{keys.PREFIX}desk:{key}", *command[1:])


@pytest.mark.parametrize("role", ["worker", "coordinator"])
def test_workers_read_what_may_be_connected_to_and_never_change_it(shipped: DeployedProcesses, role: str) -> None:
    """A row that was taken back stays signed: whoever could write it again would open the network again."""
    RedisStore(connect(f"{shipped.url('producer')}/1")).allow_place("10.0.0.0/8", "row")
    store = RedisStore(connect(f"{shipped.url(role)}/1"))
    assert store.allowed_places() == {"10.0.0.0/8": "row"}
    for change in (lambda: store.allow_place("10.0.0.0/8", "old"), lambda: store.refuse_place("10.0.0.0/8")):
        with pytest.raises(StoreError, match="NoPermissionError"):
            change()
    assert store.allowed_places() == {"10.0.0.0/8": "row"}


def _signed_by_a_stranger(place: str, row: dict[str, object]) -> str:
    return signed_row(Vault([_OTHERS_KEY]), place, row)


def test_a_token_that_was_written_without_the_key_lets_nobody_in(shipped: DeployedProcesses) -> None:
    state = connect(f"{shipped.url('producer')}/1")
    principals = Principals(state, Vault([_KEY]))
    token, text = principals.make_token("ours", Role.VIEWER)
    known = principals.by_token(text)
    assert known is not None
    row = json.loads(state.hget(keys.TOKENS, token.token_id) or b"")
    forged = {**row, "role": "admin"}
    for written in (forged, {key: value for key, value in forged.items() if key != "signature"}):
        state.hset(keys.TOKENS, token.token_id, json.dumps(written))
        assert principals.by_token(text) is None
    state.hset(keys.TOKENS, token.token_id, _signed_by_a_stranger(f"{keys.TOKENS}:{token.token_id}", forged))
    assert principals.by_token(text) is None
    assert principals.tokens() == []
    # The signed row of one token is not valid for another.
    other, other_text = principals.make_token("another", Role.ADMIN)
    state.hset(keys.TOKENS, token.token_id, state.hget(keys.TOKENS, other.token_id) or b"")
    assert principals.by_token(f"mh_{token.token_id}_{other_text.rpartition('_')[2]}") is None


def test_a_user_a_session_and_a_link_that_were_written_without_the_key_are_nobody(shipped: DeployedProcesses) -> None:
    state = connect(f"{shipped.url('producer')}/1")
    ours, strangers = Vault([_KEY]), Vault([_OTHERS_KEY])
    Principals(state, strangers).set_user("eve", Role.ADMIN, "hash")
    assert Principals(state, ours).user("eve") is None
    assert Principals(state, ours).users() == []
    sessions = BrowserSessions(state, ours)
    link = BrowserSessions(state, strangers).make_link("eve", Role.ADMIN)
    assert sessions.by_link(link) is None
    eve = Principal(principal_id="oidc:1", name="eve", role=Role.ADMIN)
    session = BrowserSessions(state, strangers).begin(eve, idle=100, most=100)
    assert sessions.find(session) is None
    assert [one.principal.name for one in sessions.all()] == []
    assert sessions.find(sessions.begin(eve, idle=100, most=100)) == eve


def test_an_end_that_redis_no_longer_knows_is_kept(shipped: DeployedProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a key in Redis is not signed; the one in the row is."""
    state = connect(f"{shipped.url('producer')}/1")
    sessions = BrowserSessions(state, Vault([_KEY]))
    session = sessions.begin(Principal(principal_id="oidc:1", name="eve", role=Role.ADMIN), idle=100, most=100)
    links = [sessions.make_link("eve", Role.ADMIN) for _ in range(2)]
    with shipped.client("producer") as client:
        kept = [key for key in client.scan_iter(f"{keys.PREFIX}desk:*") if client.persist(key)]
    assert len(kept) >= 3
    assert sessions.find(session, touch=False) is not None, "the control: both are good until then"
    assert sessions.by_link(links[0]) is not None
    later = time.time() + 4_000
    monkeypatch.setattr("shared.store.records.sessions.time.time", lambda: later)
    assert sessions.find(session) is None
    assert sessions.by_link(links[1]) is None


# -- cutovers


def _cut_over(
    deployed: DeployedProcesses, attacker: Attacker, tmp_path: Path, key: bytes = _KEY
) -> tuple[Mailbox, CutoverDriver, Path]:
    """Returns a mailbox that a cutover is about to turn, the coordinator's driver, and the switch's file."""
    mailbox, _ = _opened(deployed, attacker, tmp_path)
    switch = tmp_path / "switched"
    switch.write_text("")
    state = CutoverState.SWITCHED
    cutover = Cutover(
        import_id=mailbox.import_id,
        wave="",
        state=state,
        since=2.0,
        options=CutoverOptions(switch="office", domains=("x.example",)),
        steps=(CutoverStep(state=state, at=2.0),),
    )
    # It is marked and asked for already, as far as the note says, which anybody may write.
    notes = {mailbox.mailbox_id: ("", encode_mailbox(MailboxCutover(to="new", answer="asked", marked=True)))}
    store = RedisStore(connect(f"{deployed.url('producer')}/1"))
    assert Cutovers(store, Vault([key])).put(KeptCutover(), cutover, notes)
    settings = load_settings(
        state_dir=tmp_path, switches=f"office=dovecot:{switch}?new=192.0.2.9&old=192.0.2.8", dns_resolver="127.0.0.1:9"
    )
    coordinator, vault = RedisStore(connect(f"{deployed.url('coordinator')}/1")), Vault([_KEY])
    world = LiveCutoverEffects(settings, coordinator, vault, time.time)
    return mailbox, CutoverDriver(coordinator, Cutovers(coordinator, vault), world), switch


def _answer(deployed: DeployedProcesses, mailbox: Mailbox) -> MailboxCutover:
    notes = RedisStore(connect(f"{deployed.url('producer')}/1")).cutover_notes(mailbox.import_id, "")
    return decode_mailbox(notes[mailbox.mailbox_id])


@pytest.mark.parametrize("role", ["worker", "producer"])
@pytest.mark.parametrize("what", ["source", "destination", "source_login", "destination_login"])
def test_a_mailbox_that_a_role_changed_is_turned_nowhere(
    shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path, role: str, what: str
) -> None:
    mailbox, driver, switch = _cut_over(shipped, attacker, tmp_path)
    with shipped.client(role) as client:
        _turn(client, mailbox, what, attacker.port)
    driver.turn()
    assert switch.read_text() == ""
    assert (_answer(shipped, mailbox).answer, "names another server" in _answer(shipped, mailbox).words) == (
        "refused",
        True,
    )


def test_a_mailbox_that_nobody_changed_is_turned(
    shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path
) -> None:
    """The negative control."""
    mailbox, driver, switch = _cut_over(shipped, attacker, tmp_path)
    driver.turn()
    assert "host=192.0.2.9" in switch.read_text()
    assert _answer(shipped, mailbox).answer == "done"


def test_a_cutover_that_was_written_without_the_key_turns_nobody(
    shipped: DeployedProcesses, attacker: Attacker, tmp_path: Path
) -> None:
    mailbox, driver, switch = _cut_over(shipped, attacker, tmp_path, _OTHERS_KEY)
    assert mailbox.import_id not in {view.cutover.import_id for view in driver.turn()}
    assert switch.read_text() == ""
    assert _answer(shipped, mailbox).answer == "asked", "as it was written"
