"""Tests that what people want to know reaches them: from a real store to real receivers, by processes that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from producer import telling
from producer.notices import listing
from producer.notices.notifier import Notifier
from producer.notices.setup import TargetAsked, target_of
from shared.model import Failure
from shared.model.lifecycle import Control, CutoverState, ImportState
from shared.rules.standing import Standing
from shared.runtime.credentials import Vault
from shared.store.records.targets import Targets
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore, connect
from tests.contract.store_kit import Clock, copy, person, planned, redis_store, request, run_out, start, take
from tests.crash.cutover_stage import CutoverStage
from tests.integration.notifier_process import EFFECTS
from tests.servers.http_api import Asked, HttpApi, Said
from tests.servers.redis_server import RedisServer
from tests.servers.smtp_server import SmtpServer

KEY = Fernet.generate_key()
REFUSED = Failure(
    code="source_auth_refused", sentence="source: the server refused the password", advice="mend it", at=5.0
)


class Receiver(HttpApi):
    """A receiver of webhooks."""

    def answer(self, asked: Asked) -> Said:
        return Said(body={"ok": True})

    @property
    def told(self) -> list[dict[str, Any]]:
        """The documents, in their order."""
        return [asked.json for asked in self.asked]

    @property
    def kinds(self) -> list[str]:
        """The kinds that were told, with the state where there is one."""
        return [" ".join(filter(None, (one["kind"], one["values"].get("word", ""), one["wave"]))) for one in self.told]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@dataclass
class Room:
    """A store with a clock, its targets, and a notifier that the test turns."""

    store: RedisStore
    clock: Clock
    targets: Targets
    url: str

    def notifier(self, **settings: Any) -> Notifier:
        """Returns a notifier."""
        usual: dict[str, Any] = {"holder": "n", "reach": None, "still_seconds": 600.0, "look_seconds": 0.0}
        return Notifier(store=self.store, targets=self.targets, now=self.clock, **(usual | settings))


@pytest.fixture
def room(server: RedisServer) -> Room:
    url = f"unix://{server.socket}?db=1"
    client = connect(url)
    client.flushdb()
    clock = Clock(client)
    return Room(redis_store(client), clock, Targets(client, Vault([KEY])), url)


def _add(room: Room, receiver: Receiver, **fields: Any) -> str:
    """Sets up a target, long before the clock of the test's store begins."""
    asked = TargetAsked(way="webhook", to=receiver.url, secret="s", **fields)
    return room.targets.add(target_of(asked), made_at=1.0).target_id


def test_states_of_an_import_and_its_end_are_told_once(room: Room, receiver: Receiver) -> None:
    _add(room, receiver)
    notifier = room.notifier()
    start(room.store, 1, "other")
    notifier.turn()
    assert receiver.kinds == [], "nothing has begun"
    run_out(room.store)
    planned(room.store, (1, 10))
    lease = take(room.store)
    notifier.turn()
    copy(room.store, lease, 1)
    run_out(room.store)
    notifier.turn()
    notifier.turn()
    room.notifier(holder="n").turn()
    assert sorted(receiver.kinds) == ["state complete", "state complete", "state running"]
    assert receiver.told[-1]["values"]["complete"] == 1
    ends = [one["subject"] for one in receiver.told if one["values"]["word"] == "complete"]
    assert sorted(ends) == ["import move: complete", "import other: complete"]


def _again(room: Room, notifier: Notifier) -> None:
    """Plays a pass of the mailbox that is queued, with a look of the notifier before and after its end."""
    room.clock.forward(60)
    lease = take(room.store)
    notifier.turn()
    room.store.finish(lease)
    run_out(room.store)
    notifier.turn()


def test_while_an_import_stands_its_end_is_told_once_a_pass_that_a_person_began(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    whole, (mailbox,) = start(room.store)
    room.store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"sealed"})
    notifier = room.notifier()
    _again(room, notifier)
    assert receiver.kinds.count("state complete") == 1
    assert room.store.set_standing(whole.import_id, "", Standing(least_seconds=60, most_seconds=60))
    ended, ends = room.store.ends(whole.import_id), set()
    for _ in range(3):
        room.clock.forward(100)
        room.store.reap(5)
        lease = take(room.store)
        room.store.looked(lease, found=True)
        _again(room, notifier)
        import_ = room.store.import_(whole.import_id)
        assert import_ is not None
        assert import_.state is ImportState.FINISHED
        ends.add(import_.finished_at)
    assert len(ends) == 3, "the control: it ended three times more"
    assert room.store.ends(whole.import_id) == ended, "its forecast is scored by its own end"
    assert 0 < ended[1, ""] < min(ends)
    assert receiver.kinds.count("state complete") == 1
    start(room.store)  # a person begins a pass
    _again(room, notifier)
    assert receiver.kinds.count("state complete") == 2


def test_without_standing_each_end_is_told(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    notifier = room.notifier()
    for number in (1, 2, 3):
        start(room.store)
        _again(room, notifier)
        assert receiver.kinds.count("state complete") == number


def test_waves_are_told_as_they_begin_and_end(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    whole, (mailbox,) = start(room.store)
    room.store.move(whole.import_id, mailbox.mailbox_id, wave="pilot")
    lease = take(room.store)
    notifier = room.notifier()
    notifier.turn()
    room.store.finish(lease)
    run_out(room.store)
    notifier.turn()
    assert sorted(receiver.kinds) == ["state complete", "state complete pilot", "state running pilot"]


def test_mailboxes_that_wait_for_a_person_are_told_by_cause_and_at_most_once_an_hour(
    room: Room, receiver: Receiver
) -> None:
    _add(room, receiver, kinds=("person",))
    _, people = start(room.store, 3)
    notifier = room.notifier()
    room.store.release(take(room.store), how="park", failure=replace(REFUSED, at=room.clock()))
    notifier.turn()
    room.clock.forward(60)
    room.store.release(take(room.store), how="park", failure=replace(REFUSED, at=room.clock()))
    notifier.turn()
    assert [one["values"]["mailboxes"] for one in receiver.told] == [1], "within the hour"
    room.clock.forward(3600)
    notifier.turn()
    notifier.turn()
    assert [one["values"]["mailboxes"] for one in receiver.told] == [1, 2], "and what came meanwhile is not lost"
    room.clock.forward(7200)
    notifier.turn()
    assert len(receiver.told) == 2, "nobody has joined them"
    assert not any(person.source.login in str(receiver.told) for person in people)
    assert receiver.told[0]["lines"][0] == "Authentication failed at the source"


def test_logins_are_told_to_who_asked_for_them(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("person",), logins=True)
    _, (mailbox,) = start(room.store)
    room.store.release(take(room.store), how="park", failure=REFUSED)
    room.notifier().turn()
    assert receiver.told[0]["logins"] == [mailbox.source.login]
    assert f"These are: {mailbox.source.login}" in receiver.told[0]["lines"]


def test_a_login_without_an_at_sign_is_struck_out_of_servers_words(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("person",))
    whole = request()
    people = person(whole, 1)
    old, new = replace(people.source, login="anna"), replace(people.destination, login="anna.new")
    room.store.open_import(whole, [replace(people, source=old, destination=new)], 14)
    room.store.submit(whole.import_id)
    said = "source: no mailbox for anna (anna.new, anna@old.example), ask Joanna"
    failure = replace(REFUSED, code="odd", sentence=said, advice="unlock anna.")
    room.store.release(take(room.store), how="park", failure=failure)
    room.notifier().turn()
    assert receiver.told[0]["lines"] == ["source: no mailbox for … (…, …), ask Joanna", "unlock …."]


def test_nothing_moved_is_told_with_its_cause_and_not_while_somebody_paused_it(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("still",))
    whole, _, _ = planned(room.store, (1, 10), (11, 20))
    notifier = room.notifier()
    notifier.turn()
    room.clock.forward(599)
    copy(room.store, take(room.store), 1)
    notifier.turn()
    room.clock.forward(599)
    notifier.turn()
    assert receiver.told == [], "it moved"
    room.clock.forward(2)
    notifier.turn()
    notifier.turn()
    (told,) = receiver.told
    assert told["subject"] == "import move: nothing has moved for 10\u00a0min"
    assert told["lines"][1].startswith("no worker is running")
    room.store.control(whole.import_id, None, Control.PAUSE)
    room.clock.forward(2000)
    notifier.turn()
    notifier.turn()
    assert len(receiver.told) == 1, "a person paused it"


def test_a_cutover_is_told_once_of_each_state_however_often_it_goes_to_and_fro(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("cutover",), language="ru")
    in_process = CutoverStage()
    notifier = replace(room.notifier(), store=in_process.store, now=lambda: in_process.time)
    in_process.begin()
    states = [in_process.state]
    for _ in range(6):  # without a look it falls behind, and comes back with the next
        in_process.turn()
        notifier.turn()
        states.append(in_process.state)
        in_process.time += 3600
        in_process.turn()
        notifier.turn()
        states.append(in_process.state)
        in_process.looks()
    assert states.count(CutoverState.SYNCED) > 1, "the control: it went to and fro"
    assert states.count(CutoverState.STAGING) > 1
    in_process.turn()
    in_process.send("announce")
    in_process.turn()
    notifier.turn()
    notifier.turn()
    assert receiver.kinds == ["cutover synced", "cutover announced"], "each once, as docs/cutover.md says"
    assert all("переключение — " in one["subject"] for one in receiver.told)
    assert all(any("\u0430" <= letter <= "\u044f" for letter in one["lines"][0]) for one in receiver.told), (
        "what comes next"
    )


def test_an_end_that_slips_by_a_fifth_is_told_and_each_further_fifth(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("slipped",))
    whole, _, _ = planned(room.store, (1, 100), (101, 200))
    # The mailbox is looked at by the clock of this machine; its end by limits alone.
    room.store.set_limit("source_account.messages_per_second", 1)
    look = room.notifier()
    look.turn()
    (first,) = room.store.forecasts(whole.import_id)
    assert receiver.told == []
    seconds = first.ends_at - first.made_at
    now = room.clock

    def at(later: float) -> Notifier:
        found = room.notifier()
        found.now = lambda: now() + later
        return found

    at(seconds * 0.1).turn()
    assert receiver.told == [], "a tenth is nothing"
    at(seconds * 0.3).turn()
    at(seconds * 0.35).turn()
    assert [one["values"]["fifths"] for one in receiver.told] == [1], "once for a fifth"
    at(seconds * 0.7).turn()
    assert [one["values"]["fifths"] for one in receiver.told] == [1, 3]
    assert "the end is forecast" in receiver.told[0]["subject"]
    assert len(room.store.forecasts(whole.import_id)) == 3, "and what was told is kept"


def test_a_digest_comes_once_a_day_in_the_readers_language_at_its_hour(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("slipped",), digest="23:00", zone="Europe/Moscow", language="ru")
    start(room.store)  # the clock of the tests begins at 22:13 UTC, which is 01:13 in Moscow
    notifier = room.notifier()
    notifier.turn()
    assert receiver.told == []
    room.clock.forward(22 * 3600)
    notifier.turn()
    notifier.turn()
    (told,) = receiver.told
    assert (told["kind"], told["subject"]) == (
        "digest",
        "mailhaul: как обстоят дела, 15 ноября 2023\u202fг.".replace("\u202f", told["subject"][-3]),
    )
    assert told["lines"][0] == "импорт move: начало"
    room.clock.forward(86_400)
    notifier.turn()
    assert len(receiver.told) == 2


def test_what_happened_before_a_target_was_set_up_is_not_told_to_it(room: Room, receiver: Receiver) -> None:
    start(room.store)
    run_out(room.store)
    room.targets.add(target_of(TargetAsked(way="webhook", to=receiver.url, secret="s")))
    room.notifier().turn()
    assert (receiver.told, room.store.notices(), room.store.deliveries()) == ([], [], [])


def test_a_target_that_was_written_without_the_key_is_told_nothing(room: Room, receiver: Receiver) -> None:
    _add(room, receiver)
    client = connect(room.url)
    ((name, row),) = client.hgetall(keys.TARGETS).items()
    client.hset(keys.TARGETS, name, row.replace(b'"logins": false', b'"logins": true'))
    client.hset(keys.TARGETS, "ffff", row)
    assert room.targets.all() == []
    client.hset(keys.TARGETS, name, row)
    assert len(room.targets.all()) == 1, "the control: the row as it was signed"


def test_a_target_that_nobody_understands_holds_up_no_other(room: Room, receiver: Receiver) -> None:
    asked = TargetAsked(way="webhook", to=receiver.url, secret="s", digest="23:00")
    lost = room.targets.add(replace(target_of(asked), zone="Mars/North"), made_at=1.0)  # no zone of this machine
    _add(room, receiver, kinds=("state",), digest="23:00", zone="Europe/Moscow")
    start(room.store)
    run_out(room.store)
    notifier = room.notifier()
    notifier.turn()
    assert receiver.kinds == ["state complete"]
    (left,) = room.store.deliveries()
    assert (left.target_id, "Mars/North" in left.why) == (lost.target_id, True)
    assert "Mars/North" in listing.tried(room.store, lost, None)
    room.clock.forward(22 * 3600)
    notifier.turn()
    assert receiver.kinds[1:] == ["digest"]
    start(room.store)
    run_out(room.store)
    notifier.last_words()
    assert receiver.kinds[2:] == ["state complete"]


def test_a_turn_that_fails_ends_no_thread(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    start(room.store)
    run_out(room.store)
    faults = [ValueError("a fault of a library")]
    notifier = room.notifier()

    def now() -> float:
        if faults:
            raise faults.pop()
        return room.clock()

    notifier.now = now
    notifier.last_words()
    assert (receiver.kinds, faults) == ([], []), "the turn failed"
    notifier.last_words()
    assert receiver.kinds == ["state complete"]


def test_a_target_that_is_removed_gets_nothing_more(room: Room, receiver: Receiver) -> None:
    target = _add(room, receiver)
    start(room.store)
    run_out(room.store)
    receiver.instead.append(Said(status=503))
    notifier = room.notifier()
    notifier.turn()
    room.targets.remove(target)
    room.clock.forward(4000)
    notifier.turn()
    assert (len(room.store.deliveries()), len(room.store.undelivered())) == (0, 0)


def test_a_receiver_that_is_away_for_hours_is_told_when_it_is_back(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    start(room.store)
    run_out(room.store)
    receiver.instead.extend([Said(status=503)] * 12)
    notifier = room.notifier()
    for _ in range(40):
        notifier.turn()
        room.clock.forward(900)
    assert (room.store.deliveries(), room.store.undelivered()) == ([], [])
    ids = Counter(one["id"] for one in receiver.told)
    assert list(ids.values()) == [13], "every repeat had the id of the first"


def test_one_that_is_away_for_a_day_is_told_no_more_and_that_is_known(room: Room, receiver: Receiver) -> None:
    _add(room, receiver, kinds=("state",))
    start(room.store)
    run_out(room.store)
    receiver.instead.extend([Said(status=503, body="down")] * 99)
    notifier = room.notifier()
    for _ in range(26):
        notifier.turn()
        room.clock.forward(3600)
    (lost,) = room.store.undelivered()
    assert (lost.notice.kind, lost.why) == ("state", '127.0.0.1 answers 503 "down"')


def test_keys_are_rotated(room: Room, receiver: Receiver) -> None:
    _add(room, receiver)
    new = Fernet.generate_key()
    client = connect(room.url)
    both = Targets(client, Vault([new, KEY]))
    assert (both.resign().renewed, both.resign().lost) == (1, 0)
    (target,) = Targets(client, Vault([new])).all()
    assert target.secret["url"] == receiver.url
    assert Targets(client, Vault([KEY])).all() == [], "the control"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_a_notifier_killed_at_any_effect_loses_nothing_and_repeats_have_one_id(
    room: Room, server: RedisServer, receiver: Receiver, tmp_path: Path, effect: str, when: str
) -> None:
    with SmtpServer(tmp_path / "mail", tls="none") as mail:
        _add(room, receiver, kinds=("state", "cutover"))
        to_mail = TargetAsked(way="email", to="a@b.example", server=f"smtp://localhost:{mail.port}", kinds=("cutover",))
        room.targets.add(target_of(to_mail))
        store = RedisStore(connect(room.url))  # by the server's clock, as the processes
        whole, _ = start(store)
        run_out(store)
        telling.cutover_reached(store, whole, "pilot", "switched", 4e9)
        killed = [_run(room.url, effect, when, nth) for nth in (1, 2)]
        assert killed[0] == -9
        assert _run(room.url, "none", "", 0) == 0
        ids = Counter((one["id"], kind) for one, kind in zip(receiver.told, receiver.kinds, strict=True))
        assert sorted(kind for _, kind in ids) == ["cutover switched pilot", "state complete"], (
            "nothing lost, one id each"
        )
        assert {message["Message-ID"] for message in mail.mails} == {mail.mails[0]["Message-ID"]}
        repeats = ids.total() - len(ids) + len(mail.mails) - 1
        assert (repeats > 0) == ((effect, when) in (("send", "after"), ("settle_delivery", "before")))


def _run(url: str, effect: str, when: str, nth: int) -> int:
    arguments = [url, KEY.decode(), effect, when, str(nth)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.notifier_process", *arguments],
        env=os.environ,
        timeout=240,
        check=False,
    )
    # A sender that was killed is dead for certain: the next need not wait for its post.
    store = RedisStore(connect(url))
    store.bury([one for one in store.processes() if one.startswith("process-")])
    return done.returncode
