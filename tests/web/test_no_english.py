"""Tests that a Russian reader sees no English but data, names and servers' words: on every page, in its states."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from producer.cutover.dns_records import (
    IT_NAMES_NO_SERVER,
    ITS_SERVERS_CANNOT_BE_FOUND,
    NAME_SERVER_INSIDE_OF_NETWORK,
    SERVER_DOES_NOT_ANSWER,
)
from producer.cutover.facts import encode_domains
from producer.cutover.measured import DomainFacts
from producer.intake.providers import catalogue
from producer.notices.sending import OF_HOST
from producer.operations.ended import NOBODY
from producer.translations import said
from producer.translations.translate import Translator
from shared.model import Account, Endpoint, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.cutover import (
    BEFORE_SWITCH,
    DNS,
    NO_SWITCH,
    OVER,
    CopyBackState,
    Cutover,
    CutoverOptions,
    CutoverStep,
    MailboxCutover,
    Overruled,
    TurnAnswer,
    TurnedTo,
)
from shared.model.lifecycle import CutoverState
from shared.model.notices import KINDS, Notice
from shared.store.records.cutovers import Cutovers, KeptCutover, encode_mailbox
from shared.store.records.principals import Role, role_of
from shared.store.records.targets import Target, Targets
from shared.store.records.web_records import COMMAND_LINE
from shared.store.redis.redis_store import connect
from shared.switching.adapters.dovecot import MAKE_EMPTY_PASSDB
from shared.wording.kept import packed
from shared.wording.often_said import ASKS_TO_WAIT_S, NO_ANSWER_IN_TIME, THERE_IS_NO_FILE
from shared.wording.phrases import several
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer, http_client, serve_with
from tests.web.page_words import PageWords, latin
from tests.web.test_all_pages import Scenes, _checked, _staged

#: Words that servers said in these states, and the other language's name.
_SERVERS_SAID: Final = ("in the server's own words", "Connection refused", "so it is", "because", "English")
_PEOPLE: Final = ("анна@old.example", "борис@old.example")
#: Paths whose text is for programmers, in the language of what it describes.
_FOR_PROGRAMS: Final = ("/api/v1/docs",)


@dataclass
class EveryState(Scenes):
    """Scenes, and beside them every state of a cutover, every act of the audit log, every kind of a notice."""

    #: What stands on the pages and is nobody's sentence: names, logins, folders.
    data: set[str] = field(default_factory=set)

    def cutovers(self) -> None:
        """Puts a cutover of each state, with mailboxes and domains of every kind."""
        source, destination = (Endpoint(host="127.0.0.1", port=port, tls=Tls.NONE) for port in (1, 2))
        whole = Import(
            import_id=import_id("переезд", source, destination), name="переезд", source=source, destination=destination
        )
        boxes = [
            Mailbox(
                mailbox_id=mailbox_id(whole.import_id, f"{row}{login}", login),
                import_id=whole.import_id,
                row=row,
                source=Account(endpoint=source, login=f"{row}{login}"),
                destination=Account(endpoint=destination, login=f"{row}{login}"),
                wave=f"волна {at}",
            )
            for at, _ in enumerate(CutoverState)
            for row, login in enumerate(_PEOPLE * 3, start=2 + 6 * at)
        ]
        self.server.store.open_import(whole, boxes, 14)
        self.server.store.submit(whole.import_id)
        kept, now = Cutovers(self.server.store, self.server.vault), time.time()
        for at, state in enumerate(CutoverState):
            wave = f"волна {at}"
            cutover = Cutover(
                import_id=whole.import_id,
                wave=wave,
                state=state,
                since=now - 100,
                options=CutoverOptions(switch="office", domains=tuple(_domains(now))),
                overruled=(Overruled(guard="ttl", event="switch", reason="так надо", who="вера", at=now),),
                steps=(CutoverStep(state=state, at=now - 100),),
            )
            notes = {DNS: encode_domains(_domains(now))} | dict(
                zip((one.mailbox_id for one in boxes if one.wave == wave), _turns(state, now), strict=False)
            )
            if state is CutoverState.DRAFTED:
                notes[NO_SWITCH] = packed(THERE_IS_NO_FILE.says(file="/x"))
            assert kept.put(KeptCutover(), cutover, {name: ("", text) for name, text in notes.items()})
        there = f"/imports/{whole.import_id}"
        self.paths["/imports/{import_id}"].append(there)
        self.paths["/imports/{import_id}/cutovers/{event}"] = [
            f"{there}/cutovers/{event}?wave=волна {at}"
            for at in range(len(CutoverState))
            for event in said.CUTOVER_ACTS
        ]
        self.paths["report"] = [
            f"{there}/report/one-page.html",
            *(f"{path}/report/one-page.html" for path in self.paths["/imports/{import_id}"][:4]),
        ]

    def audit(self) -> None:
        """Notes every act, by a person and on the command line, with every detail."""
        detail: dict[str, Any] = {
            "login": _PEOPLE[0],
            "name": "имя",
            "role": "operator",
            "wave": "волна",
            "how": "link",
        }
        more: dict[str, Any] = {"server": "imap://10.0.0.1", "service": "mailcow", "place": "10.0.0.1", "mailboxes": 3}
        scopes = ("source_account.bytes_per_day", "destination_host:mail.example")
        for at, what in enumerate(said.EVENTS):
            who = ("вера (user:вера)", f"{COMMAND_LINE} (0 root)", f"{COMMAND_LINE} (1000)", NOBODY)[at % 4]
            place = "10.0.0.1" if at % 2 else COMMAND_LINE
            extra = more if at % 2 else {"scope": scopes[at % 4 // 2], "most": 5}
            self.server.records.note(who, what, {"from": place, "act": "import pause", **detail, **extra})
        self.data |= {"root"}

    def notices(self) -> None:
        """Has notices that could not be delivered, and a target of each way."""
        store, targets = self.server.store, Targets(connect(self.server.state_url), self.server.vault)
        made = [
            targets.add(Target(way=way, shown="10.0.0.1", kinds=tuple(KINDS), digest_minutes=61, logins=True))
            for way in said.WAYS_TO_TELL
        ]
        term = store.lead("of the test", 1, "sender")
        store.tell(Notice(notice_id="one", kind="state", at=1.5, name="переезд"), once="one")
        store.spread("one", [made[0].target_id])
        found = store.take_delivery(term, 30.0)
        assert found is not None
        store.settle_delivery(found, "never", OF_HOST.says(host="10.0.0.1", cause="so it is"))

    def everybody(self) -> None:
        """Has users and tokens in each role, limits that were set, and places that were allowed."""
        for role in Role:
            self.server.principals.set_user(f"вера{role.value}", role, "x")
            self.server.principals.make_token(f"программа{role.value}", role, time.time() + 1e6 * role.value)
        self.server.store.set_limit("source_host", 3)
        self.server.store.set_limit("source_account.bytes_per_day:mail.example", 5_000_000)


def _domains(now: float) -> dict[str, DomainFacts]:
    """Returns domains of every kind."""
    silent = (
        ITS_SERVERS_CANNOT_BE_FOUND.says(cause=NO_ANSWER_IN_TIME.says()),
        NAME_SERVER_INSIDE_OF_NETWORK.says(host="ns.a.example", address="10.0.0.1"),
        SERVER_DOES_NOT_ANSWER.says(host="ns.a.example", address="10.0.0.1", cause="Connection refused"),
        IT_NAMES_NO_SERVER.says(),
    )
    mx = ("mx.old.example",)
    return {
        one.domain: one
        for one in (
            DomainFacts(domain="a.example", at=now, faults=silent),
            DomainFacts(domain="b.example", at=now, servers=1, mx=mx, mx_ttl=86_400),
            DomainFacts(domain="c.example", at=now, servers=2, mx=mx, mx_before=mx, differ=True, mx_ttl=9, spf_ttl=9),
            DomainFacts(domain="d.example", at=now, servers=2, mx_before=mx, mx_ttl=9, cached_until=now + 9000),
            DomainFacts(domain="e.example", at=now - 9999, servers=3, mx_ttl=9),
            DomainFacts(domain="f.example", at=0.0),
        )
    }


def _turns(state: CutoverState, now: float) -> list[str]:
    """Returns what is noted of mailboxes, one of each kind."""
    refused = several((THERE_IS_NO_FILE.says(file="/x"), MAKE_EMPTY_PASSDB.says()))
    later = ASKS_TO_WAIT_S.says(service="hook /x", num=30)
    to = {
        CutoverState.SWITCHED: TurnedTo.NEW,
        CutoverState.DRAINING: TurnedTo.NEW,
        CutoverState.ROLLED_BACK: TurnedTo.OLD,
    }
    known = [
        MailboxCutover(answer=TurnAnswer.REFUSED, words=refused),
        MailboxCutover(answer=TurnAnswer.LATER, words=later),
        MailboxCutover(answer=TurnAnswer.ASKED),
        MailboxCutover(answer=TurnAnswer.DONE, back=CopyBackState.REFUSED, words=refused),
        MailboxCutover(answer=TurnAnswer.REFUSED, words="so it is"),
    ]
    side = to.get(state, TurnedTo.NOWHERE)
    return [
        encode_mailbox(
            MailboxCutover(
                to=side, answer=one.answer, words=one.words, at=now, back=one.back if side else CopyBackState.NONE
            )
        )
        for one in known
    ]


@contextmanager
def _every_state(begins_with: str = "") -> Iterator[EveryState]:
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="words-") as home:
        server = WebServer(redis, Path(home))
        found = EveryState(server, _staged(server).paths)
        try:
            for make in (found.cutovers, found.audit, found.notices, found.everybody):
                make()
            ports = {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": "1,2,993"}
            serve_with(server, begins_with, **ports, MAILHAUL_SWITCHES="office=by-hand:", MAILHAUL_WORKER_THREAD="3")
            _checked(found)
            _refusals(found)
            found.data |= _data(server)
            yield found
        finally:
            server.close()


def _refusals(scenes: EveryState) -> None:
    """Has acts refused, whose reasons then stand in the audit log."""
    api = scenes.server.client("admin")
    there = next(path for path in scenes.paths["/imports/{import_id}/cutovers/{event}"]).partition("/cutovers")[0]
    before = [one["state"] for one in api.get(f"{there}/cutovers").json()["cutovers"]]
    for at, state in enumerate(CutoverState):
        for event in ("announce", *(("switch", "rollback") if state in BEFORE_SWITCH else ("close",))):
            api.post(f"{there}/cutovers/{event}", json={"wave": f"волна {at}"})
        if state not in OVER:
            api.post(f"{there}/cutovers", json={"wave": f"волна {at}", "switch": "office"})
    api.post(f"{there}/cutovers/switch", json={"wave": "волна 4", "force": ["copied"], "reason": "x"})
    api.post(f"{there}/cutovers/switch", json={"wave": "волна 4", "force": ["weather"], "reason": "x"})
    api.post(f"{there}/cutovers", json={"wave": "волна 7", "switch": "office", "ttl": 0})
    api.put("/limits/weather", json={"most": 3})
    assert [one["state"] for one in api.get(f"{there}/cutovers").json()["cutovers"]] == before == list(CutoverState)


def _data(server: WebServer) -> set[str]:
    store, found = server.store, {"office", "a person", "weather", "many"}
    for import_ in store.imports():
        found |= {import_.name, *(wave.name for wave in store.waves(import_.import_id) if wave.name)}
        for mailbox, _ in store.mailboxes(import_.import_id):
            found |= {mailbox.source.login, mailbox.destination.login}
            found |= {folder.display for folder, _ in store.folders(mailbox.mailbox_id)}
    return found | {token.name for token in server.principals.tokens()}


class Reader:
    """A client with the language Russian, which finds the English of each page that it gets."""

    def __init__(self, scenes: EveryState, role: str = "admin") -> None:
        self._scenes = scenes
        base = f"http://127.0.0.1:{scenes.server.port}"
        headers = {"Accept-Language": "ru", "Origin": base}
        self._client = http_client(base_url=base, headers=headers, follow_redirects=True)
        _, token = scenes.server.principals.make_token("a person", role_of(role))
        self._client.post("/sign-in", data={"token": token})
        brands = [
            Translator("ru").word(text)
            for one in catalogue().providers
            for text in (one.title, *(site.name for site in one.sites))
        ]
        self._data = {*scenes.data, *brands}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def english_at(self, path: str) -> list[str]:
        """Returns what of a page is English."""
        return self.english(self._client.get(path))

    def english(self, answer: httpx2.Response) -> list[str]:
        """Returns what of an answer is English: the words, and what is marked as a server's without being so."""
        assert 'lang="ru">' in answer.text, answer.url
        words = PageWords(answer.text)
        found = [f"{word}: {line}" for line in words.lines for word in latin(line, self._data)]
        foreign = [one for one in words.quoted if not any(known in one for known in _SERVERS_SAID)]
        return found + [f"not a server's: {one}" for one in foreign if latin(one, self._data)]

    def posts(self, path: str, **fields: str) -> list[str]:
        """Returns what is English of the page that answers a form."""
        return self.english(self._client.post(path, data=fields))


@pytest.fixture(scope="module")
def scenes() -> Iterator[EveryState]:
    with _every_state() as found:
        yield found


def test_no_page_has_a_word_of_english(scenes: EveryState) -> None:
    paths = [path for some in scenes.paths.values() for path in some if path not in _FOR_PROGRAMS]
    with Reader(scenes) as reader:
        found = {path: english for path in paths if (english := reader.english_at(path))}
    assert found == {}, "\n".join(f"{path}\n    " + "\n    ".join(dict.fromkeys(some)) for path, some in found.items())


def test_no_answer_to_a_form_has_a_word_of_english(scenes: EveryState) -> None:
    there = scenes.paths["report"][0].partition("/report")[0]
    forms: list[tuple[str, dict[str, str]]] = [
        (f"{there}/cutovers", {"wave": "волна 0", "switch": "office", "act": "plan"}),
        (f"{there}/cutovers", {"wave": "волна 0", "switch": "office", "act": "start"}),
        (f"{there}/cutovers", {"wave": "", "switch": "office", "act": "start"}),
        (f"{there}/cutovers", {"wave": "волна 8", "switch": "weather", "act": "start"}),
        *((f"{there}/cutovers/{event}", {"wave": f"волна {at}"}) for at in range(9) for event in ("close", "switch")),
        (f"{there}/wave", {"wave": "волна 0", "weight": "1000"}),
        (f"{there}/wave", {"wave": "нет такой", "weight": "1"}),
        (f"{there}/wave", {"wave": "волна 0", "starts_at": "weather"}),
        (f"{there}/window", {"window": "weather"}),
        (f"{there}/window", {"window": "25:00-26:00 Mars/North"}),
        (f"{there}/standing", {"least": "weather"}),
        (f"{there}/verify", {}),
        ("/admin/limits", {"scope": "source_host", "most": "weather"}),
        ("/admin/limits", {"scope": "source_account", "rate": "bytes_per_day", "most": "weather"}),
        ("/admin/users", {"name": "x", "password": "short", "role": "viewer"}),
        ("/admin/users", {"name": " ", "password": "long enough, I think", "role": "viewer"}),
        ("/admin/tokens", {"name": "x", "role": "viewer", "expires": "weather"}),
        ("/admin/reach", {"place": "http://weather"}),
        ("/admin/erase", {"login": "weather", "sure": "other"}),
        ("/admin/accounts", {"kind": "mailcow", "name": "x", "place": "weather"}),
        ("/targets", {"way": "email", "to": "weather", "zone": "Mars/North", "kinds": "state"}),
        ("/targets", {"way": "slack", "to": "weather", "zone": "Mars/North", "kinds": "state"}),
        ("/targets", {"way": "pigeon", "to": "weather"}),
    ]
    with Reader(scenes) as reader:
        found = {f"{path} {fields}": english for path, fields in forms if (english := reader.posts(path, **fields))}
    assert found == {}, "\n".join(f"{path}\n    " + "\n    ".join(dict.fromkeys(some)) for path, some in found.items())


#: A catalogue of Russian without one text, as if nobody had translated it.
_ONE_LESS: Final = """
import producer.translations as t
whole = t.catalog
def catalog(language):
    found = whole(language)
    found.delete({text!r})
    return found
t.catalog = catalog
"""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("every public address", "/admin/reach"),
        ("state folder {path}, {size} free", "/admin/doctor"),
    ],
)
def test_a_text_that_nobody_translated_is_found(text: str, path: str) -> None:
    with _every_state(_ONE_LESS.format(text=text)) as scenes, Reader(scenes) as reader:
        found = reader.english_at(path)
        assert found
        assert all(line.partition(": ")[0] in text for line in found)
        assert reader.english_at("/search") == [], "elsewhere nothing is"


def test_words_that_stay_are_told_from_english() -> None:
    assert latin("IMAP, см. imap.x.org: mailhaul up --state-dir MAILHAUL_WEB_ALLOW 16:00-18:00 UTC 2GB", {"анна"}) == []
    assert latin("synced: ящик complete, wave x2", {"x2"}) == ["synced", "complete", "wave"]
    words = PageWords('<html lang="ru"><p title="over">It is <q lang="">NO go</q><code>x y</code></p>Порт</html>')
    assert (words.lines, words.quoted) == (["over", "It is", "Порт"], ["NO go"])
