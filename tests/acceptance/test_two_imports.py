"""Tests two imports that meet in one destination mailbox, as operators start them by mistake.

Every message arrives once, and the operator is told why one of them waits. Each protection has its control: without it
the same test finds second copies.
"""

from __future__ import annotations

import json
import os
import signal
import zlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import mail
from tests.acceptance.conftest import ROOT, AdminEnvironment, Box, until

FOLDERS = {"INBOX": 240, "Work": 160, "Work.Old": 60}
WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
#: Disables the lease of destinations. The second line disables what a worker knows of other imports.
NO_LEASE = """
from shared.store.redis import scripts
from worker.copying import neighbours
kept = scripts.sources
scripts.sources = lambda: {name: text.replace("if holder and holder ~= m", "if false") for name, text in kept().items()}
neighbours.Neighbours.beside = lambda self, folder: neighbours.ALONE
"""

#: Disables the wait for late mail and the check for other writers.
NO_LOOK = """
from worker.copying import arrivals
from worker import unit_work
unit_work.UnitWork._unsettled_seconds = lambda *_: 0.0
arrivals.Arrivals.before = lambda self, *_: ((), arrivals.NO_UIDS, 0)
arrivals.Arrivals.unlike = lambda self, *_: False
"""


def _unprotected(admin_env: AdminEnvironment, text: str) -> None:
    """Lets every process of this office begin with these lines."""
    place = admin_env.home / "unprotected"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(text)
    admin_env.variables["PYTHONPATH"] = f"{place}:{ROOT}"


def _doubles(*boxes: tuple[Box, Box]) -> int:
    """Returns the number of surplus messages at the destination; asserts that none is missing."""
    more = 0
    for old, new in boxes:
        theirs, ours = old.seen(), new.seen()
        assert not theirs - ours, "messages are missing"
        more += (ours - theirs).total()
    return more


@pytest.fixture
def people(admin_env: AdminEnvironment, request: pytest.FixtureRequest) -> dict[str, tuple[Box, Box]]:
    """Returns three accounts with mail, with names that no other test uses.

    The servers keep the mail of earlier tests.
    """
    whole = zlib.crc32(request.node.name.encode())  # the names alone begin alike in each parametrization
    names = [f"{name}-{request.node.name[5:25]}-{whole:08x}".replace("_", "-") for name in "abc"]
    accounts = admin_env.accounts(*names)
    for seed, (old, new) in enumerate(accounts.values(), start=1):
        assert not old.seen() + new.seen(), "another test has the name"
        old.fill(FOLDERS, seed=seed)
    return accounts


def _list(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]], name: str, picked: slice = slice(None)
) -> Path:
    return admin_env.manifest({login: old.password for login, (old, _) in list(people.items())[picked]}, f"{name}.csv")


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("second", ["the same", "overlapping"])
def test_two_at_once_in_one_state_folder(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]], second: str, *, protected: bool
) -> None:
    if not protected:
        _unprotected(admin_env, NO_LEASE + NO_LOOK)
        # So slowly that neither is done before the other has planned, however the machine schedules the two.
        admin_env.variables["MAILHAUL_DESTINATION_ACCOUNT_MESSAGES_PER_SECOND"] = "100"
    spans = (slice(0, 3), slice(0, 3)) if second == "the same" else (slice(0, 2), slice(1, 3))
    lists = [_list(admin_env, people, name, span) for name, span in zip(("pilot", "accounts"), spans, strict=True)]
    running = [admin_env.start("import", one, *admin_env.ends) for one in lists]
    ended = [admin_env.ended(one, code=0 if protected else None) for one in running]
    more = _doubles(*people.values())
    if not protected:
        assert more > 0, "the control is dead: nothing would be found without the protection"
        return
    assert more == 0
    assert all("complete" in one.said for one in ended)
    for span, one in zip(spans, ended, strict=True):
        counted = (span.stop - span.start) * sum(FOLDERS.values())
        assert f"messages:  {counted:,} (" in one.said, "each message is counted once"


def test_who_waits_is_told_for_which_import_and_what_to_do(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    first, second = (_list(admin_env, people, name, slice(0, 1)) for name in ("pilot", "accounts"))
    box = next(iter(people.values()))[1]
    # So slowly that the pilot cannot end before it is paused, however busy this machine is.
    admin_env.variables["MAILHAUL_DESTINATION_ACCOUNT_MESSAGES_PER_SECOND"] = "1"
    pilot = admin_env.start("import", first, *admin_env.ends)
    until(lambda: box.seen().total() > 0, "mail")
    admin_env.run("pause", "pilot")
    accounts = admin_env.start("import", second, *admin_env.ends)

    def told() -> str:
        return admin_env.run("status", "accounts", code=None).out

    until(lambda: "import pilot has" in told(), "the cause")
    said = told()
    assert "is paused; end that with: mailhaul resume pilot" in said
    assert f"{box.login}  queued (waits for import pilot)" in said
    waits = json.loads(admin_env.run("status", "accounts", "--json").out)["import"]["waits"]
    assert [wait["what"] for wait in waits] == ["destination_paused"]
    admin_env.run("limits", "destination_account.messages_per_second", "1000")
    admin_env.run("resume", "pilot")
    assert admin_env.ended(pilot).code == admin_env.ended(accounts).code == 0
    assert _doubles(next(iter(people.values()))) == 0


def test_the_same_list_under_another_name_finds_the_ledger(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Includes mail that the destination stored in another form: a final bare CR, which Dovecot drops."""
    for old, _ in people.values():
        place = (old.server.host, old.server.port, old.login, old.password)
        mail.populate(*place, {"INBOX": [mail.Mail(b"a line\r", (), WHEN)]})
    admin_env.import_(_list(admin_env, people, "pilot", slice(0, 2)))
    grown = _list(admin_env, people, "accounts")
    whole = admin_env.import_(grown)
    total = sum(FOLDERS.values()) + 1
    assert (whole["import"]["copied"], whole["import"]["already_present"]) == (total, 2 * total)
    again = admin_env.import_(grown, "--name", "third")
    assert (again["import"]["copied"], again["import"]["already_present"]) == (0, 3 * total)
    assert "comparing_bytes" not in admin_env.logs(), "the ledger knows it"
    held = [new.seen().total() for _, new in people.values()]
    assert held == [total] * 3, held


def test_mail_that_came_between_is_copied_by_one_of_them(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Runs pilot, then accounts with new mail, then pilot again, whose ledger does not hold what accounts copied."""
    lists = {name: _list(admin_env, people, name) for name in ("pilot", "accounts")}
    admin_env.import_(lists["pilot"])
    for old, _ in people.values():
        old.fill({"INBOX": 7}, seed=50)
    assert admin_env.import_(lists["accounts"])["import"]["copied"] == 21
    again = admin_env.import_(lists["pilot"])
    assert again["import"]["already_present"] == 21
    assert _doubles(*people.values()) == 0


def test_what_was_killed_goes_on_under_another_name(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Kills the machine during the import, and starts another import under another name; later the first name again."""
    # Mail that was sent again is verified after five settle times. With those of production no command would end in
    # time.
    admin_env.variables["MAILHAUL_SETTLE_SECONDS"] = "2"
    lists = {name: _list(admin_env, people, name) for name in ("pilot", "accounts")}
    box = next(iter(people.values()))[1]
    for name in ("pilot", "accounts"):
        before = box.seen().total()
        running = admin_env.start("import", lists[name], *admin_env.ends)
        until(lambda before=before: box.seen().total() > before, "mail")  # type: ignore[misc]
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    admin_env.import_(lists["accounts"])
    admin_env.import_(lists["pilot"])
    assert _doubles(*people.values()) == 0


def test_two_at_once_that_are_killed_twice_bring_each_message_once(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Kills both commands, with all their workers and the store, while one fills the mailboxes and the other waits.

    `test_two_at_once_in_one_state_folder` and the kills of `tests/crash` have the controls.
    """
    admin_env.variables["MAILHAUL_SETTLE_SECONDS"] = "2"
    lists = [_list(admin_env, people, name) for name in ("pilot", "accounts")]

    def there() -> int:
        return sum(new.seen().total() for _, new in people.values())

    for _ in range(2):
        before = there()
        running = [admin_env.start("import", one, *admin_env.ends) for one in lists]
        until(lambda before=before: there() > before, "mail")  # type: ignore[misc]
        for one in running:
            os.killpg(one.pid, signal.SIGKILL)
        for one in running:
            one.communicate()
    running = [admin_env.start("import", one, *admin_env.ends) for one in lists]
    ended = [admin_env.ended(one) for one in running]
    assert _doubles(*people.values()) == 0
    assert all("complete" in one.said for one in ended)


def test_the_same_login_in_other_capitals_is_refused(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    login, (old, new) = next(iter(people.items()))
    listed = admin_env.manifest([f"{login},{old.password}", f"{login.upper()},{old.password}"], "capitals.csv")
    for verb in ("check", "plan", "import"):
        refused = admin_env.run(verb, listed, *admin_env.ends, code=2)
        assert "row 2" in refused.said or "line 2" in refused.said
        assert "capital letters" in refused.said
    assert new.seen() == Counter()


def test_several_people_into_one_mailbox_on_purpose(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Includes mail that all of them have: each gets its own copy, and none is taken for another's."""
    logins = list(people)
    shared = mail.make_mailbox(9, {"INBOX": 30}, 400)
    for old, _ in people.values():
        mail.populate(old.server.host, old.server.port, old.login, old.password, shared)
    target = people[logins[0]][1]
    rows = [f"{login},{people[login][0].password},{logins[0]},{target.password}" for login in logins]
    listed = admin_env.manifest(rows, "shared.csv")
    refused = admin_env.run("import", listed, *admin_env.ends, code=2)
    assert "--share-destination" in refused.said
    admin_env.import_(listed, "--share-destination")
    wanted = sum((people[login][0].seen() for login in logins), start=Counter())
    assert target.seen() == wanted
    admin_env.import_(listed, "--share-destination")
    assert target.seen() == wanted, "a second pass changes nothing"


@pytest.mark.parametrize("protected", [True, False])
def test_two_state_folders_at_once(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]], *, protected: bool
) -> None:
    """Runs two stores that do not know of each other.

    The second import sees the first by the UIDs, stops, and goes on when the operator says so.
    """
    if not protected:
        _unprotected(admin_env, NO_LOOK)
        # The import is slow enough that the second one begins long before the first is done.
        admin_env.variables["MAILHAUL_DESTINATION_ACCOUNT_MESSAGES_PER_SECOND"] = "100"
    listed = _list(admin_env, people, "people")
    other = replace(admin_env, home=admin_env.home / "other")
    other.home.mkdir()
    running = [one.start("import", listed, *admin_env.ends) for one in (admin_env, other)]
    ended = [admin_env.ended(one, code=None) for one in running]
    more = _doubles(*people.values()) if not protected else _more(people)
    if not protected:
        assert more > 0, "the control is dead: nothing would be found without the protection"
        return
    assert more == 0
    assert {one.code for one in ended} <= {0, 3}
    for one in ended:
        assert one.code == 0 or "somebody else writes into this mailbox" in one.said
    for one in (admin_env, other):  # now in turn: each recognises what the other copied
        whole = one.import_(listed)
        assert _doubles(*people.values()) == 0
        assert whole["import"]["messages"] == len(people) * sum(FOLDERS.values()), "each is counted once"


def test_two_state_folders_in_turn(admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]) -> None:
    """Runs later passes too, which the other's ledger does not know."""
    listed = _list(admin_env, people, "people")
    other = replace(admin_env, home=admin_env.home / "other")
    other.home.mkdir()
    for turn, one in enumerate((admin_env, other, admin_env, other), start=1):
        one.import_(listed)
        assert _doubles(*people.values()) == 0
        for old, _ in people.values():
            old.fill({"INBOX": 5, "Work": 5}, seed=100 * turn)


def test_the_post_delivers_meanwhile_and_nobody_is_alarmed(
    admin_env: AdminEnvironment, people: dict[str, tuple[Box, Box]]
) -> None:
    """Delivers new mail at the destination all the time, also into folders being filled: this is no reason to stop."""
    admin_env.variables["MAILHAUL_DESTINATION_ACCOUNT_MESSAGES_PER_SECOND"] = "200"
    running = admin_env.start("import", _list(admin_env, people, "people"), *admin_env.ends)
    delivered = 0
    while running.poll() is None:
        for _, new in people.values():
            new.fill({"INBOX": 1, "Work": 1}, seed=1000 + delivered)
        delivered += 2
    admin_env.ended(running)
    assert delivered > 4, "too fast to tell"
    assert _doubles(*people.values()) == delivered * len(people)


def _more(people: dict[str, tuple[Box, Box]]) -> int:
    """Returns the number of surplus messages at the destination; some may still be missing."""
    return sum((new.seen() - old.seen()).total() for old, new in people.values())
