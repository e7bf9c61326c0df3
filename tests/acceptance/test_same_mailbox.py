"""Tests a source and a destination that are one mailbox, under another name or protocol, or were swapped.

Check, plan and import notice it before anything is written.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import AdminEnvironment, Box
from tests.servers.dovecot import Dovecot

SENTENCE = "source and destination are the same mailbox"
SWAPPED = "were source and destination swapped?"


def _people(admin_env: AdminEnvironment, server: Dovecot, *names: str) -> tuple[Path, dict[str, Box]]:
    """Adds accounts to one server. Returns their list and the accounts."""
    boxes = {name: Box(server, name, f"pw-{name}") for name in names}
    for name, box in boxes.items():
        server.add_user(name, box.password)
    return admin_env.manifest({name: box.password for name, box in boxes.items()}), boxes


@pytest.mark.parametrize("door", ["imap://localhost:{imap}", "pop3://127.0.0.1:{pop3}"])
def test_into_itself_is_refused_before_anything_is_written(admin_env: AdminEnvironment, door: str) -> None:
    protocol = door.partition(":")[0]
    with Dovecot(pop3=True) as server:
        listed, boxes = _people(admin_env, server, "ivan", "noah")
        for seed, box in enumerate(boxes.values(), start=1):
            box.fill({"INBOX": 20, "Work": 5}, seed=seed)
        before = {name: box.uids() for name, box in boxes.items()}
        ends = (
            "--source",
            door.format(imap=server.port, pop3=server.pop3_port),
            "--destination",
            f"imap://127.0.0.1:{server.port}",
        )
        checked = admin_env.run("check", listed, *ends, code=3)
        assert checked.out.count(SENTENCE) == 3, checked.out  # for each row, and once more for both at the end
        assert "0 of 2 mailboxes work" in checked.out
        assert SENTENCE in admin_env.run("plan", listed, *ends, code=3).out
        refused = admin_env.run("import", listed, *ends, code=3)
        assert SENTENCE in refused.said
        assert "--same-mailbox" in refused.said
        assert {name: box.uids() for name, box in boxes.items()} == before
        if protocol == "imap":  # an allowed import runs and finds everything there
            admin_env.run("check", listed, *ends, "--same-mailbox")
            admin_env.run("import", listed, *ends, "--same-mailbox")


def test_the_wrong_way_round_is_asked_about(admin_env: AdminEnvironment) -> None:
    with Dovecot() as new, Dovecot() as old:
        listed, boxes = _people(admin_env, old, "ivan", "noah", "olga")
        for seed, box in enumerate(boxes.values(), start=1):
            box.fill({"INBOX": 6, "Work": 2}, seed=seed)
            new.add_user(box.login, box.password)
        right = ("--source", f"imap://127.0.0.1:{old.port}", "--destination", f"imap://127.0.0.1:{new.port}")
        wrong = ("--source", f"imap://127.0.0.1:{new.port}", "--destination", f"imap://127.0.0.1:{old.port}")
        before = {name: box.uids() for name, box in boxes.items()}
        for verb in ("check", "plan"):
            assert SWAPPED in admin_env.run(verb, listed, *wrong, code=3).out
        assert json.loads(admin_env.run("check", listed, *wrong, "--json", code=3).out)["swapped"] is True
        refused = admin_env.run("import", listed, *wrong, code=3)
        assert SWAPPED in refused.said
        assert {name: box.uids() for name, box in boxes.items()} == before
        admin_env.run("import", listed, *wrong, "--same-mailbox")
        admin_env.run("check", listed, *right)
        admin_env.run("import", listed, *right)
        one = Box(new, "ivan", boxes["ivan"].password)
        assert one.seen() == boxes["ivan"].seen()


def test_one_that_is_empty_among_others_is_no_reason(admin_env: AdminEnvironment) -> None:
    """Puts a user without mail, whose new mailbox has a welcome message, first in the list."""
    accounts = admin_env.accounts("empty-one", "full-one")
    accounts["empty-one"][1].fill({"INBOX": 1})
    accounts["full-one"][0].fill({"INBOX": 30})
    listed = admin_env.manifest({name: old.password for name, (old, _) in accounts.items()})
    admin_env.run("check", listed, *admin_env.ends)
    whole = admin_env.import_(listed)
    assert whole["import"]["copied"] == 30
