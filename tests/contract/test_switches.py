"""Tests every kind of switch with one suite: files, programs, and doubles that answer as the documentation says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.model.errors import UsageError
from shared.model.sides import Side
from shared.runtime.config import load_settings
from shared.switching import (
    Switch,
    SwitchedMailbox,
    Turned,
    TurnedBefore,
    TurnLater,
    TurnRefused,
)
from shared.switching.configured import open_switch, switches
from shared.switching.kinds import kinds
from tests.servers.account_apis import SECRET
from tests.servers.http_api import Said
from tests.servers.postfix import postmap
from tests.servers.switch_apis import StalwartLists, SwitchWebhook

NEW, OLD = Side.DESTINATION, Side.SOURCE
ANNA = SwitchedMailbox(
    address="Anna@corp.example",
    old_login="anna",
    new_login="anna@corp.example",
    old_host="10.0.0.1",
    new_host="10.0.0.2",
    key="k1",
)
HOOK = """
import json, os, sys
told = json.load(sys.stdin)
assert os.environ["MAILHAUL_HOOK_SECRET"] == {secret!r} and "MAILHAUL_STATE_DIR" not in os.environ
path = {path!r}
known = json.load(open(path)) if os.path.exists(path) else {{}}
if told["address"].startswith("no"):
    print(json.dumps({{"reason": "not this one ({secret})", "advice": "ask the boss"}})); sys.exit(30)
if told["address"].startswith("wait"):
    print(json.dumps({{"retry_after": 7}})); sys.exit(20)
if known.get(told["address"], "source") == told["to"]: sys.exit(10)
if told["action"] == "turn":
    known[told["address"]] = told["to"]
    json.dump(known, open(path, "w"))
"""


@dataclass
class Turning:
    """A switch, and what it turned."""

    switch: Switch
    #: Returns all that it may have written.
    written: Callable[[], Any]
    #: Tells where Anna is now.
    at: Callable[[], Side]
    #: The API in this process, if the switch speaks to a double.
    api: Any = None


def _opened(url: str, place: Path, *, secret: bool = False) -> Switch:
    file = place / "secret"
    file.write_text(SECRET + "\n")
    return open_switch(load_settings(switches=f"x={url}", switch_secret_files=f"x={file}" if secret else None), "x")


def _turning(kind: str, place: Path, stack: ExitStack, more: str = "") -> Turning:
    if kind == "hook":
        script, known = place / "hook.py", place / "known.json"
        script.write_text(HOOK.format(secret=SECRET, path=str(known)))
        told = lambda: json.loads(known.read_text()) if known.exists() else {}  # noqa: E731
        switch = _opened(f"hook:{sys.executable}?arg={quote(str(script))}&{more}", place, secret=True)
        return Turning(switch, told, lambda: Side(told().get(ANNA.address, "source")))
    if kind == "webhook":
        hook = stack.enter_context(SwitchWebhook())
        switch = _opened(f"webhook+{hook.url}/x?{more}", place, secret=True)
        at = lambda: Side(hook.turned.get(ANNA.address, "source"))  # noqa: E731
        return Turning(switch, lambda: dict(hook.turned), at, hook)
    if kind == "stalwart":
        lists = stack.enter_context(StalwartLists())
        switch = _opened(f"stalwart+{lists.url}?{more}", place, secret=True)
        at = lambda: NEW if lists.built.get("anna@corp.example") == "local" else OLD  # noqa: E731
        return Turning(switch, lambda: (dict(lists.entries), dict(lists.built)), at, lists)
    path = place / "table"
    if kind == "dovecot":
        path.write_text("# ours\nbob@corp.example:{PLAIN}x:1:2::/h::userdb_x=1 proxy=y host=10.9.9.9\n")
        at = lambda: NEW if "host=10.0.0.2" in path.read_text() else OLD  # noqa: E731
        return Turning(_opened(f"dovecot:{path}?new=10.0.0.2&old=10.0.0.1&{more}", place), path.read_text, at)
    path.write_text("# ours\nbob@corp.example smtp:[x]\n\nlong@corp.example\n  smtp:[y]\n")
    at = lambda: NEW if "anna@corp.example\tsmtp:[10.0.0.2]" in path.read_text() else OLD  # noqa: E731
    if kind == "texthash":
        return Turning(_opened(f"postfix:{path}?type=texthash&new=smtp:[10.0.0.2]&{more}", place), path.read_text, at)
    program = postmap(place)
    if program is None:
        pytest.skip("no postmap here: tests/install-servers unpacks it")
    return Turning(_opened(f"postfix:{path}?postmap={program}&new=smtp:[10.0.0.2]&{more}", place), path.read_text, at)


KINDS = ["hook", "webhook", "stalwart", "dovecot", "texthash", "postmap"]


@pytest.fixture(params=KINDS)
def turning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Turning]:
    with ExitStack() as stack:
        yield _turning(request.param, tmp_path, stack)


def test_it_turns_there_and_back_and_each_time_once(turning: Turning) -> None:
    switch, before = turning.switch, turning.written()
    assert isinstance(switch.rehearse(ANNA, NEW), Turned)
    assert turning.written() == before, "a rehearsal writes nothing"
    assert isinstance(switch.rehearse(ANNA, OLD), TurnedBefore)
    assert isinstance(switch.turn(ANNA, OLD), TurnedBefore), "back, and never away"
    for to in (NEW, OLD, NEW):
        assert isinstance(switch.turn(ANNA, to), Turned)
        assert turning.at() is to
        stands = turning.written()
        assert isinstance(switch.turn(ANNA, to), TurnedBefore)
        assert isinstance(switch.rehearse(ANNA, to), TurnedBefore)
        assert turning.written() == stands


def test_others_are_left_alone(turning: Turning) -> None:
    before = turning.written()
    turning.switch.turn(replace(ANNA, address="cyd@corp.example"), NEW)
    turning.switch.turn(ANNA, NEW)
    turning.switch.turn(ANNA, OLD)
    if isinstance(before, str):
        now = turning.written()
        assert now.startswith(before), "every row that was there, byte for byte and in its place"
        assert "cyd@corp.example" in now
    else:
        assert "cyd@corp.example" in str(turning.written())


def test_no_word_repeats_the_secret(tmp_path: Path) -> None:
    for kind in ("hook", "webhook"):
        with ExitStack() as stack:
            turning = _turning(kind, tmp_path, stack)
            outcome = turning.switch.turn(replace(ANNA, address="no@corp.example"), NEW)
            assert isinstance(outcome, TurnRefused)
            assert "not this one" in outcome.words
            assert outcome.advice == "ask the boss"
            assert SECRET not in outcome.words


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("dovecot", "anna@corp.example:::::::proxy=y host=7.7.7.7\n"),
        ("texthash", "anna@corp.example smtp:[elsewhere]\n"),
    ],
)
def test_a_row_that_somebody_else_made_is_refused_and_stays(kind: str, row: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        turning = _turning(kind, tmp_path, stack)
        (tmp_path / "table").write_text(row)
        for to in (NEW, OLD):
            outcome = turning.switch.turn(ANNA, to)
            assert isinstance(outcome, TurnRefused)
            assert "neither" in outcome.words
        assert turning.written() == row


@pytest.mark.parametrize("kind", ["dovecot", "texthash"])
def test_a_missing_file_is_refused_and_not_made(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        turning = _turning(kind, tmp_path, stack)
        (tmp_path / "table").unlink()
        for outcome in (turning.switch.rehearse(ANNA, NEW), turning.switch.turn(ANNA, NEW)):
            assert isinstance(outcome, TurnRefused)
            assert "there is no file" in outcome.words
        assert not (tmp_path / "table").exists()


def test_a_turn_that_died_before_the_table_was_made_is_completed(tmp_path: Path) -> None:
    program = postmap(tmp_path)
    if program is None:
        pytest.skip("no postmap here: tests/install-servers unpacks it")
    table = tmp_path / "transport"
    table.write_text("anna@corp.example\tsmtp:[10.0.0.2]\n")  # the text was written, and postmap did not run
    switch = _opened(f"postfix:{table}?postmap={program}&new=smtp:[10.0.0.2]", tmp_path)
    assert isinstance(switch.turn(ANNA, NEW), Turned)
    assert isinstance(switch.turn(ANNA, NEW), TurnedBefore)


def test_a_mailbox_that_never_had_a_row_is_back_with_any_old_route(tmp_path: Path) -> None:
    program = postmap(tmp_path)
    if program is None:
        pytest.skip("no postmap here: tests/install-servers unpacks it")
    table = tmp_path / "transport"
    table.write_text("bob@corp.example smtp:[x]\n")
    switch = _opened(f"postfix:{table}?new=smtp:[10.0.0.2]&old=smtp:[10.0.0.1]&postmap={program}", tmp_path)
    assert isinstance(switch.turn(ANNA, OLD), TurnedBefore)
    for to in (NEW, OLD):
        assert isinstance(switch.turn(ANNA, to), Turned)
        assert isinstance(switch.turn(ANNA, to), TurnedBefore)
    assert "anna@corp.example\tsmtp:[10.0.0.1]\n" in table.read_text()


@pytest.mark.parametrize("per", ["mailbox", "domain"])
@pytest.mark.parametrize("address", ["anna", "anna@", "anna@*", "anna@.example"])
@pytest.mark.parametrize("kind", ["stalwart", "hook", "webhook", "postfix", "by-hand"])
def test_what_has_no_domain_is_turned_by_no_switch_of_domains(
    kind: str, per: str, address: str, tmp_path: Path
) -> None:
    nobody = replace(ANNA, address=address)
    with ExitStack() as stack:
        if kind == "by-hand":
            switch, written = _opened("by-hand:", tmp_path), lambda: None
        elif kind == "postfix":
            (tmp_path / "table").write_text("")
            switch = _opened(f"postfix:{tmp_path / 'table'}?type=texthash&new=smtp:[x]&per={per}", tmp_path)
            written = (tmp_path / "table").read_text
        else:
            turning = _turning(kind, tmp_path, stack, f"per={per}")
            switch, written = turning.switch, turning.written
        before = written()
        if per == "mailbox" and kind in ("hook", "webhook"):
            assert isinstance(switch.rehearse(nobody, NEW), Turned), (
                "a program of the administrator's may know the login"
            )
            return
        for outcome in (switch.rehearse(nobody, NEW), switch.turn(nobody, NEW)):
            assert isinstance(outcome, TurnRefused)
            assert outcome.advice
        assert written() == before


def test_a_rebuild_that_failed_is_asked_for_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        turning = _turning("stalwart", tmp_path, stack)
        turning.api.fails = True
        refused = turning.switch.turn(ANNA, NEW)
        assert isinstance(refused, TurnRefused)
        assert "could not be rebuilt" in refused.words
        assert turning.at() is OLD
        assert isinstance(turning.switch.turn(ANNA, NEW), TurnedBefore)
        assert turning.at() is NEW


@pytest.mark.parametrize("kind", ["webhook", "stalwart"])
def test_a_turn_whose_answer_was_lost_is_asked_for_again(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        turning = _turning(kind, tmp_path, stack)
        # Of Stalwart the entry is written in the second request, and takes effect by the third.
        for _ in range(1 if kind == "webhook" else 3):
            turning.switch.turn(ANNA, OLD)
            turning.api.lost = [Said(status=502)]
            outcome = turning.switch.turn(ANNA, NEW)
            assert isinstance(outcome, TurnLater)
            turning.api.lost = []
            assert isinstance(turning.switch.turn(ANNA, NEW), Turned | TurnedBefore)
            assert turning.at() is NEW


#: The mailbox of somebody who opened an import between servers of their own, with another one's login.
FOREIGN = replace(ANNA, old_host="attacker1.example", new_host="attacker2.example")


def test_no_host_of_an_import_gets_into_a_table(turning: Turning) -> None:
    for to in (NEW, OLD, NEW):
        assert isinstance(turning.switch.turn(FOREIGN, to), Turned | TurnedBefore)
        assert "attacker" not in str(turning.written())


CHIEF = replace(ANNA, address="chief@other.example", new_login="chief@other.example")


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_switch_that_is_bound_to_domains_turns_nobody_else(kind: str, bound: bool, tmp_path: Path) -> None:
    """Also shows that without the binding the same mailbox would be turned."""
    with ExitStack() as stack:
        here = _turning(kind, tmp_path, stack, "domains=Corp.example" if bound else "")
        before = here.written()
        outcomes = [done(CHIEF, to) for to in (NEW, OLD) for done in (here.switch.rehearse, here.switch.turn)]
        assert all(isinstance(one, TurnRefused) and "nobody else" in one.words for one in outcomes) is bound
        if bound:
            assert here.written() == before
            assert isinstance(here.switch.turn(ANNA, NEW), Turned)


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_row_by_a_login_is_bound_by_that_login(which: str, tmp_path: Path) -> None:
    (tmp_path / "table").write_text("")
    switch = _opened(f"dovecot:{tmp_path / 'table'}?new=n&old=o&user={which}&domains=corp.example", tmp_path)
    ours = replace(ANNA, old_login="anna@corp.example")
    foreign = replace(ours, **{f"{which}_login": "chief@other.example"})
    assert isinstance(switch.turn(foreign, NEW), TurnRefused)
    assert isinstance(switch.turn(ours, NEW), Turned)


#: Rehearses and turns as somebody who is not root, and prints what each answered.
_AS_NOBODY = """
import os, sys
from shared.runtime.config import load_settings
from shared.model.sides import Side
from shared.switching import SwitchedMailbox
from shared.switching.configured import open_switch
switch = open_switch(load_settings(switches="x=" + sys.argv[1]), "x")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
anna = SwitchedMailbox(address="a@b.example", old_login="a", new_login="a", old_host="o", new_host="n")
print(*(type(done(anna, Side.DESTINATION)).__name__ for done in (switch.rehearse, switch.turn)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of somebody else's")
@pytest.mark.parametrize("kind", ["dovecot:{}?new=n&old=o", "postfix:{}?type=texthash&new=smtp:[n]"])
@pytest.mark.parametrize(
    ("owner", "group", "folder", "said"),
    [
        (65534, 65534, 0o700, "Turned Turned"),
        (0, 65534, 0o700, "TurnRefused TurnRefused"),
        (65534, 0, 0o700, "TurnRefused TurnRefused"),
        (65534, 0, 0o2700, "Turned Turned"),  # what is made in the folder gets the folder's group, 0
    ],
)
def test_a_rehearsal_knows_whose_the_file_is(kind: str, owner: int, group: int, folder: int, said: str) -> None:
    with tempfile.TemporaryDirectory(prefix="switched-") as name:
        place, table = Path(name), Path(name) / "table"
        table.touch()
        os.chown(table, owner, group)
        table.chmod(0o664)
        os.chown(place, 65534, group if folder & 0o2000 else 65534)
        place.chmod(folder)
        argv = [sys.executable, "-c", _AS_NOBODY, kind.format(table)]
        ended = subprocess.run(argv, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert ended.stdout.strip() == said, ended.stderr
        assert (table.stat().st_uid, table.stat().st_gid, table.stat().st_mode & 0o777) == (owner, group, 0o664)


def test_a_domain_is_turned_once_for_all(tmp_path: Path) -> None:
    table = tmp_path / "transport"
    table.write_text("")
    switch = _opened(f"postfix:{table}?type=texthash&per=domain&new=smtp:[mx.new.example]", tmp_path)
    assert switch.per_domain
    assert isinstance(switch.turn(ANNA, NEW), Turned)
    assert table.read_text() == "corp.example\tsmtp:[mx.new.example]\n"
    assert isinstance(switch.turn(replace(ANNA, address="bob@CORP.example"), NEW), TurnedBefore)
    assert isinstance(switch.turn(ANNA, OLD), Turned)
    assert table.read_text() == ""


def test_waiting_is_told_as_waiting(tmp_path: Path) -> None:
    with ExitStack() as stack:
        hook = _turning("hook", tmp_path, stack)
        waits = hook.switch.turn(replace(ANNA, address="wait@corp.example"), NEW)
        assert isinstance(waits, TurnLater)
        assert waits.after_seconds == 7
        web = _turning("webhook", tmp_path, stack)
        web.api.instead += [Said(status=503, headers={"Retry-After": "9"}), Said(status=202), Said(status=500)]
        outcomes = [web.switch.turn(ANNA, NEW) for _ in range(3)]
        assert [type(one) for one in outcomes] == [TurnLater] * 3
        assert [one.after_seconds for one in outcomes if isinstance(one, TurnLater)] == [9, 30, 15]
        assert isinstance(web.switch.turn(ANNA, NEW), Turned)
        assert len(set(web.api.keys)) == 1


def test_a_person_is_told_what_to_do(tmp_path: Path) -> None:
    switch = _opened("by-hand:?new=mx.new.example", tmp_path)
    outcome = switch.turn(ANNA, NEW)
    assert isinstance(outcome, Turned)
    assert "MX record of corp.example" in outcome.words
    assert "mx.new.example" in outcome.words
    assert isinstance(switch.rehearse(replace(ANNA, address="anna"), NEW), TurnRefused)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x=dovecot:relative", "whole path"),
        ("x=dovecot://host/x", "write dovecot:"),
        ("x=hook:/x?tok=canary", "is no option"),
        ("x=webhook+http://hooks.example/x", "in the clear"),
        ("x=webhook+https://u:canary@hooks.example/x", "MAILHAUL_SWITCH_SECRET_FILES"),
        ("x=webhook+https://hooks.example/x", "needs its file"),
        ("x=ftp://canary", "no such kind"),
        ("canary", "is not NAME="),
        ("x=by-hand: x=by-hand:", "each name once"),
        ("x=postfix:/x?type=canary&new=smtp:[x]", "type must be"),
        ("x=postfix:/x", "say new="),
        ("x=dovecot:/x?new=", "say new=… and old="),
        ("x=dovecot:/x?new=n", "say old="),
        ("x=by-hand:?domains=", "is no mail domain"),
        ("x=by-hand:?domains=corp.example,*", "is no mail domain"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        open_switch(load_settings(switches=text), "x")


def test_every_kind_is_known_by_its_file_alone() -> None:
    assert set(kinds()) == {"by-hand", "dovecot", "hook", "postfix", "stalwart", "webhook"}
    assert switches(load_settings()) == {}
    with pytest.raises(UsageError, match="none is set"):
        open_switch(load_settings(), "x")
