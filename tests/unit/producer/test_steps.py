"""The lines of `--verbose` about mailboxes, look by look."""

from __future__ import annotations

import json
from pathlib import Path

from producer.cli.overheard import Overheard
from producer.show.steps import Steps, settled_of
from shared.model import Account, Endpoint, Mailbox, Tally, Tls
from shared.model.lifecycle import MailboxState as M
from shared.model.lifecycle import Outcome
from shared.store.memory.memory_store import MemoryStore

END = Endpoint(host="a.example", port=993, tls=Tls.IMPLICIT)


def _row(state: M, number: int = 1, login: str = "a") -> tuple[Mailbox, Tally]:
    account = Account(endpoint=END, login=login)
    mailbox = Mailbox(
        mailbox_id=f"m{number}", import_id="i", row=number, source=account, destination=account, state=state
    )
    return mailbox, Tally(messages=2, outcomes={Outcome.COPIED: 2})


def _said(steps: Steps, *rows: tuple[Mailbox, Tally]) -> list[str]:
    return list(steps.lines(MemoryStore(), rows))


def test_each_look_tells_only_what_is_new() -> None:
    steps = Steps()
    assert _said(steps, _row(M.QUEUED)) == []
    assert _said(steps, _row(M.PLANNING)) == ["row 1  a  started"]
    assert _said(steps, _row(M.COPYING)) == []
    assert _said(steps, _row(M.QUEUED)) == [], "planned anew: it has started all the same"
    assert _said(steps, _row(M.VERIFYING)) == []
    assert _said(steps, _row(M.COMPLETE)) == ["row 1  a  complete  2 copied"]
    assert _said(steps, _row(M.COMPLETE)) == []
    assert _said(steps, _row(M.QUEUED)) == []
    assert _said(steps, _row(M.PLANNING)) == ["row 1  a  started"], "once more, in another pass"


def test_who_was_not_seen_at_work_starts_before_it_ends() -> None:
    assert _said(Steps(), _row(M.PARKED)) == ["row 1  a  started", "row 1  a  parked  2 copied"]


def test_what_ended_before_is_not_told_until_it_goes_on() -> None:
    before = [_row(M.COMPLETE), _row(M.QUEUED, 2)]
    steps = Steps(settled_of(before))
    assert _said(steps, *before) == []
    assert _said(steps, _row(M.COMPLETE), _row(M.CANCELLED, 2)) == [
        "row 2  a  started",
        "row 2  a  cancelled  2 copied",
    ]
    assert _said(steps, _row(M.COPYING), _row(M.CANCELLED, 2)) == ["row 1  a  started"]


def test_a_login_cannot_steer_the_terminal() -> None:
    assert _said(Steps(), _row(M.COPYING, login="a\x1b[2J")) == ["row 1  a\\x1b[2J  started"]


def test_logs_are_read_from_where_they_were_and_each_extension_is_told_once(tmp_path: Path) -> None:
    def line(extension: str) -> str:
        return json.dumps(
            {"event": "extension_left_out", "server": "a:993", "extension": extension, "without": "w", "said": "no\n"}
        )

    first, second = tmp_path / "worker-1.log", tmp_path / "worker-2.log"
    first.write_text(line("BEFORE") + "\n")
    heard = Overheard(tmp_path)
    with first.open("a") as log:
        log.write(f"no JSON\n[]\n{line('ID')}\n{line('QUOTA')[:20]}")
    second.write_text(line("ID") + "\n")
    assert list(heard.lines()) == ["a:993 announces ID and refuses it: w (it said: no\\n)"]
    with first.open("a") as log:
        log.write(f"{line('QUOTA')[20:]}\n")
    assert list(heard.lines()) == ["a:993 announces QUOTA and refuses it: w (it said: no\\n)"]
    first.write_text(line("ENABLE") + "\n")  # the log was rotated, and begun anew
    assert list(heard.lines()) == ["a:993 announces ENABLE and refuses it: w (it said: no\\n)"]
