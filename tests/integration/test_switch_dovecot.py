"""Tests the switch of a Dovecot proxy with three real Dovecots: the user is passed on to the right one, before and after."""

from __future__ import annotations

import imaplib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from shared.model.sides import Side
from shared.runtime.config import load_settings
from shared.switching import Switch, SwitchedMailbox, Turned
from shared.switching.adapters import dovecot
from shared.switching.adapters.dovecot import DovecotPassdb
from shared.switching.configured import open_switch
from tests.servers.dovecot import Dovecot, available
from tests.servers.process import await_ready

if not available():
    pytest.skip("no Dovecot here", allow_module_level=True)

NEW, OLD = Side.DESTINATION, Side.SOURCE
HOSTS = {NEW: "n", OLD: "o"}


@pytest.fixture
def table() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="switched-") as place:
        os.chmod(place, 0o755)
        path = Path(place) / "switched"
        path.touch(0o644)
        yield path


def _mailbox(old: Dovecot, new: Dovecot) -> SwitchedMailbox:
    return SwitchedMailbox(
        address="anna@corp.example", old_login="anna", new_login="anna.new", old_host=old.host, new_host=new.host
    )


def _folders(proxy: Dovecot) -> set[str]:
    with imaplib.IMAP4(proxy.host, proxy.port) as client:
        client.login("anna@corp.example", "secret")
        return {line.rpartition(b" ")[2].decode() for line in client.list()[1] if isinstance(line, bytes)}


def _at(proxy: Dovecot) -> str:
    """Tells by its one folder at which server the proxy's user is."""
    return next(name for name in _folders(proxy) if name.startswith("At"))


def _next_second() -> None:
    # Dovecot looks at a passwd-file once in each second of the clock.
    second = int(time.time())
    await_ready(lambda: int(time.time()) > second + 1, what="the next second")


def test_the_proxy_passes_the_user_on_to_the_right_server(table: Path) -> None:
    with Dovecot() as old, Dovecot() as new:
        old.add_user("anna", "secret")
        new.add_user("anna.new", "secret")
        for server, login, folder in ((old, "anna", "AtOld"), (new, "anna.new", "AtNew")):
            with imaplib.IMAP4(server.host, server.port) as client:
                client.login(login, "secret")
                client.create(folder)
        passed_on = f"passdb {{\n  driver = passwd-file\n  args = username_format=%u {table}\n}}\n"
        everybody = (
            "passdb {\n  driver = static\n"
            f"  args = proxy=y host={old.host} port={old.port} nopassword=y destuser=anna\n}}\n"
        )
        with Dovecot(extra=passed_on + everybody) as proxy:
            owner = proxy.home.stat()
            os.chown(table, owner.st_uid, owner.st_gid)
            url = f"dovecot:{table}?new={new.host}:{new.port}&old={old.host}:{old.port}"
            switch = open_switch(load_settings(switches=f"x={url}"), "x")
            anna = _mailbox(old, new)
            assert _at(proxy) == "AtOld", "before any switch the other passdb decides"
            for to, place in ((NEW, "AtNew"), (OLD, "AtOld"), (NEW, "AtNew")):
                assert isinstance(switch.turn(anna, to), Turned)
                _next_second()
                assert _at(proxy) == place
            assert table.stat().st_uid == owner.st_uid


def _crossed(switch: Switch, table: Path) -> list[str]:
    """Lets a second writer start between the first one's read and write, and returns the users in the file."""

    def mailbox(name: str) -> SwitchedMailbox:
        return SwitchedMailbox(address=name, old_login=name, new_login=name, old_host="o", new_host="n")

    second = threading.Thread(target=switch.turn, args=(mailbox("second"), NEW))

    class Slow(DovecotPassdb):
        def _change(self, content, mailbox, to):  # type: ignore[no-untyped-def]
            second.start()
            second.join(0.5)  # with the lock the second writer waits; without it, it has this time to do harm
            return super()._change(content, mailbox, to)

    Slow(str(table), HOSTS).turn(mailbox("first"), NEW)
    second.join(180)
    return sorted(line.split(":")[0] for line in table.read_text().splitlines())


def test_two_writers_lose_nobody(table: Path) -> None:
    assert _crossed(DovecotPassdb(str(table), HOSTS), table) == ["first", "second"]


def test_without_the_lock_one_would_be_lost(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dovecot, "locked", lambda path: nullcontext())
    assert _crossed(DovecotPassdb(str(table), HOSTS), table) == ["first"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_writer_that_dies_leaves_the_old_file_or_the_new_one(
    step: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends a child process before and after each effect, as kill -9 does."""
    table.write_text("bob:::::::proxy=y host=b\n")
    anna = SwitchedMailbox(address="anna", old_login="anna", new_login="anna", old_host="o", new_host="n")
    switch = DovecotPassdb(str(table), HOSTS)
    before, after = "bob:::::::proxy=y host=b\n", "bob:::::::proxy=y host=b\nanna:::::::proxy=y host=n nopassword=y\n"
    for late in (False, True):
        table.write_text(before)
        child = os.fork()
        if child == 0:
            name = {"write": "fdopen", "fsync": "fsync", "rename": "rename"}[step]
            real = getattr(os, name)

            def dies(*args, real=real, late=late):  # type: ignore[no-untyped-def]
                if late:
                    real(*args)
                os._exit(9)

            setattr(os, name, dies)
            switch.turn(anna, NEW)
            os._exit(0)
        os.waitpid(child, 0)
        assert table.read_text() == (after if step == "rename" and late else before)
        switch.turn(anna, NEW)
        assert table.read_text() == after
