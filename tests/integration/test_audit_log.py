"""Tests the audit log as lists of months: no role shortens it, strangers do not fill it, and an older one is read on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from deploy.make_secrets import users
from shared.store.records import audit_log
from shared.store.records.web_records import WebRecords
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase
from tests.deploy.commands import SCRIPTS
from tests.deploy.test_acl import TEMPLATE
from tests.servers.redis_server import RedisServer

ROLES = sorted(SCRIPTS)
#: Commands that shorten, replace, move or hide a key, as somebody with the password of a role would send them.
ENDING = (
    ("DEL", "KEY"),
    ("UNLINK", "KEY"),
    ("EXPIRE", "KEY", "1"),
    ("PEXPIRE", "KEY", "1"),
    ("SET", "KEY", "x"),
    ("GETDEL", "KEY"),
    ("LTRIM", "KEY", "1", "0"),
    ("LPOP", "KEY"),
    ("RPOP", "KEY"),
    ("LREM", "KEY", "0", "x"),
    ("LSET", "KEY", "0", "x"),
    ("LPUSH", "KEY", "x"),
    ("BLMOVE", "KEY", "mailhaul:x", "LEFT", "LEFT", "1"),
    ("LMOVE", "KEY", "mailhaul:x", "LEFT", "LEFT"),
    ("RENAME", "KEY", "mailhaul:x"),
    ("RENAME", "mailhaul:x", "KEY"),
    ("COPY", "mailhaul:x", "KEY", "REPLACE"),
    ("RESTORE", "KEY", "0", "x", "REPLACE"),
    ("XDEL", "KEY", "1-0"),
    ("XTRIM", "KEY", "MAXLEN", "0"),
    ("XADD", "KEY", "MAXLEN", "0", "*", "a", "b"),
    ("SORT", "mailhaul:x", "STORE", "KEY"),
    ("ZUNIONSTORE", "KEY", "1", "mailhaul:x"),
    ("FLUSHDB",),
)


def _month(at: datetime) -> str:
    return keys.audit(f"{at:%Y%m}")


NOW = datetime.now(UTC)


class Shipped:
    """A Redis with an ACL file, and a connection as each of its roles."""

    def __init__(self, home: Path, template: str) -> None:
        acl = home / "users.acl"
        acl.write_text(users(template, {role: role for role in ("worker", "coordinator", "producer", "admin")}))
        self._server = RedisServer(home, options={"aclfile": str(acl)})

    def __enter__(self) -> Shipped:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)  # type: ignore[arg-type]

    def client(self, role: str) -> Any:
        """Returns a connection as this role."""
        return connect(f"unix://{role}:{role}@{self._server.socket}?db=1")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    with Shipped(tmp_path_factory.mktemp("audit"), TEMPLATE.read_text()) as server:
        yield server


@pytest.mark.parametrize("role", ROLES)
def test_no_role_shortens_replaces_or_deletes_it(shipped: Shipped, role: str) -> None:
    records = WebRecords(shipped.client("producer"), 1095)
    records.note("anna", "import pause", {"login": "x"})
    shipped.client("admin").xadd(keys.AUDIT, {"who": "a", "what": "b", "detail": "{}"})
    before = records.audit()
    client = shipped.client(role)
    for key in (_month(NOW), keys.AUDIT):
        for command in ENDING:
            with pytest.raises(NoPermissionError):
                client.execute_command(*(key if word == "KEY" else word for word in command))
            # In a script that the role loads itself, too.
            with pytest.raises(
                redis.ResponseError, match=r"ACL failure|user executing the script can't|not allowed from script"
            ):
                client.evalsha(
                    client.script_load("return redis.call(unpack(ARGV))"),
                    0,
                    *(key if word == "KEY" else word for word in command),
                )
    assert records.audit() == before
    shipped.client("admin").delete(keys.AUDIT)


def test_no_other_key_begins_as_the_log_does() -> None:
    """The pattern of the producer leaves out what begins with desk:a, since a pattern cannot leave out one key."""
    source = Path(keys.__file__).read_text()
    assert set(re.findall(r"desk:(a\w*)", source)) == {"a", "audit"}


def test_with_the_rights_of_before_the_producer_could(tmp_path: Path) -> None:
    """The negative control: the pattern without exceptions that the producer had."""
    line = next(line for line in TEMPLATE.read_text().splitlines() if line.startswith("user producer "))
    before, _, _ = line.partition(" (")
    template = TEMPLATE.read_text().replace(line, before.replace(" ~mailhaul ", " ~mailhaul ~mailhaul:* "))
    with Shipped(tmp_path, template) as server:
        records = WebRecords(server.client("producer"), 1095)
        records.note("anna", "import pause", {})
        assert server.client("producer").delete(_month(NOW)) == 1
        assert records.audit() == []


def test_the_producer_adds_reads_and_counts_it(shipped: Shipped) -> None:
    records = WebRecords(shipped.client("producer"), 1095)
    entry = records.note("anna", "limit set", {"import_id": "1", "most": 3})
    records.refused(entry, [Phrase("of_the_test", "no such limit").at()])
    told = [(one["what"], one["detail"].get("why")) for one in records.audit()[-2:]]
    assert told == [("limit set", None), ("act refused", "no such limit")], "nothing is taken back"
    assert [one["what"] for one in records.audit_back(count=2)] == ["act refused", "limit set"]
    events = shipped.client("producer").xrange(keys.events("1"))
    assert [row[b"what"] for _, row in events] == [b"act refused"], "the story of the import has the refusal alone"


def test_what_somebody_else_pushes_stops_no_reader(shipped: Shipped) -> None:
    records = WebRecords(shipped.client("producer"), 1095)
    for row in ("{", "[]", "3", '{"at": 1}', '{"at": "x", "who": 1, "what": 2, "detail": {}}', "[" * 60_000):
        shipped.client("producer").rpush(_month(NOW), row)
    records.note("anna", "last", {})
    assert records.audit_back(count=1)[0]["what"] == "last"
    assert records.audit(count=5000)[-1]["what"] == "last"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Any]:
    with RedisServer(tmp_path) as server:
        yield connect(server.url(1))


def _wrote(client: Any, at: datetime, what: str) -> None:
    row = {"at": at.timestamp(), "who": "x", "what": what, "detail": {}}
    client.rpush(_month(at), json.dumps(row))


def test_a_log_of_before_is_read_first_and_pages_go_on_over_months(own: Any) -> None:
    for days in (200, 199):
        when = NOW - timedelta(days=days)
        fields = {"who": "x", "what": f"stream {days}", "detail": "{}"}
        own.xadd(keys.AUDIT, fields, id=f"{int(when.timestamp() * 1000)}-0")
    for days in (150, 90, 89, 1):
        _wrote(own, NOW - timedelta(days=days), f"list {days}")
    whole = ["stream 200", "stream 199", "list 150", "list 90", "list 89", "list 1"]
    records = WebRecords(own, 365)
    for size in (1, 2, 4, 100):
        assert [one["what"] for page in records.audit_pages(count=size) for one in page] == whole
        forward, after = list[str](), ""
        while page := records.audit(after, size):
            forward += [one["what"] for one in page]
            after = page[-1]["id"]
        backward, before = list[str](), ""
        while page := records.audit_back(before, size):
            backward += [one["what"] for one in page]
            before = page[-1]["id"]
        assert (forward, backward) == (whole, whole[::-1])
    since = (NOW - timedelta(days=120)).timestamp()
    assert [one["what"] for page in records.audit_pages(since) for one in page] == whole[3:]


def test_what_is_over_is_not_told_and_goes_with_its_month(own: Any) -> None:
    for days in (400, 100, 99, 1):
        _wrote(own, NOW - timedelta(days=days), str(days))
    # A month that this process writes to for the first time is when it looks.
    own.delete(_month(NOW))
    records = WebRecords(own, 99.5)
    assert "100" not in [one["what"] for one in records.audit()]
    records.note("x", "now", {})
    assert not own.exists(_month(NOW - timedelta(days=400)))
    assert own.exists(_month(NOW - timedelta(days=99))), "a month with an entry that is told stays"
    assert [one["what"] for one in records.audit_back(count=1)] == ["now"]


def _guessed(client: Any, number: int) -> list[dict[str, object]]:
    records = WebRecords(client, 365)
    for _ in range(number):
        records.add_guess("?", {"from": "2001:db8::1", "how": "token"})
    return [one["detail"] for one in records.audit(count=10_000)]


def test_a_stranger_with_many_addresses_does_not_fill_it(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis takes no writes once it is full, and an entry is kept for years: each address may guess 20 times a minute."""
    hour = time.time() // 3600 * 3600 + 60
    monkeypatch.setattr("shared.store.records.audit_log.time.time", lambda: hour)
    told = _guessed(own, 1700)
    assert len(told) == 104
    assert [one["in_this_hour"] for one in told if "in_this_hour" in one] == [200, 400, 800, 1600]
    monkeypatch.setattr("shared.store.records.audit_log.time.time", lambda: hour + 3600)
    assert len(_guessed(own, 3)) == 107, "the next hour is told again"


def test_without_the_bound_each_guess_stays(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(audit_log, "MOST_GUESSES", 10**9)
    assert len(_guessed(own, 300)) == 300
