"""Tests the selection of mail, option by option, with the command line and two real Dovecots."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests import mail
from tests.acceptance.conftest import AdminEnvironment, Box
from tests.mail import Mail, Snapshot, expected, make_message
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import Gmail

MOMENT = datetime(2022, 6, 1, tzinfo=UTC)
#: Number of messages that is too large to look at each one without a search (`shared.mail.imap.choosing.FEW`).
MANY = 70


def letters(count: int = MANY) -> list[Mail]:
    """Returns messages around `MOMENT`, some within seconds of it, of 1 to 8 kB, with flags of all kinds."""
    near = [-1, 0, 1, -43_200, 43_200, -50_400, 50_400, -86_400, 86_400]
    made = []
    for n in range(count):
        away = near[n] if n < len(near) else (n - count // 2) * 400_000
        flags = [flag for bit, flag in enumerate(("\\Seen", "\\Flagged", "\\Deleted")) if n >> bit & 1]
        made.append(Mail(make_message(n, 1000 + n % 8 * 1000), flags, MOMENT + timedelta(seconds=away)))
    return made


def fill(box: Box, folders: dict[str, list[Mail]]) -> None:
    mail.populate(box.server.host, box.server.port, box.login, box.password, folders)


def held(messages: dict[str, list[Mail]], wanted: Callable[[Mail], bool]) -> Snapshot:
    """Returns what the destination should hold."""
    return expected({name: [one for one in some if wanted(one)] for name, some in messages.items()}, canon=bytes)


def has(flag: str) -> Callable[[Mail], bool]:
    return lambda one: flag in one.flags


CHOICES: dict[str, tuple[list[str], Callable[[Mail], bool]]] = {
    "since": (["--since", "2022-06-01"], lambda m: m.internaldate is not None and m.internaldate >= MOMENT),
    "before": (
        ["--before", "2022-06-01T03:00:00+03:00"],
        lambda m: m.internaldate is not None and m.internaldate < MOMENT,
    ),
    "larger": (["--larger", "4kB"], lambda m: len(m.body) > 4000),
    "smaller": (["--smaller", "4 kB"], lambda m: len(m.body) < 4000),
    "unseen": (["--unseen"], lambda m: not has("\\Seen")(m)),
    "flagged": (["--flagged"], has("\\Flagged")),
    "not_deleted": (["--not-deleted"], lambda m: not has("\\Deleted")(m)),
    "all of it": (
        ["--since", "2022-06-01", "--smaller", "6kB", "--unseen", "--flagged", "--not-deleted", "--newest-first"],
        lambda m: (
            m.internaldate is not None
            and m.internaldate >= MOMENT
            and len(m.body) < 6000
            and {"\\Seen", "\\Flagged", "\\Deleted"} & set(m.flags) == {"\\Flagged"}
        ),
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_only_what_is_wanted_is_copied_and_a_wider_choice_brings_the_rest(
    admin_env: AdminEnvironment, name: str
) -> None:
    arguments, wanted = CHOICES[name]
    login = f"choice-{name.replace(' ', '-')}"
    source, destination = admin_env.accounts(login)[login]
    there = {"INBOX": letters(), "Work": letters(12)}
    fill(source, there)
    before = source.uids()
    manifest = admin_env.manifest({login: f"pw-{login}"})

    dry = json.loads(admin_env.run("plan", manifest, *admin_env.ends, *arguments, "--json").out)
    assert destination.seen().total() == 0, "a rehearsal writes nothing"
    some = held(there, wanted)
    assert 0 < some.total() < MANY
    assert (dry["totals"]["messages"], dry["totals"]["skipped_messages"]) == (some.total(), MANY + 12 - some.total())

    first = admin_env.import_(manifest, *arguments)
    assert destination.seen() == some
    whole = first["import"]
    assert (whole["copied"], whole["skipped"], whole["messages"]) == (some.total(), MANY + 12 - some.total(), MANY + 12)
    assert whole["status"] == "complete"
    assert whole["done_bytes"] == whole["bytes"]
    inbox = next(one for one in first["mailboxes"][0]["folders"] if one["folder"] == "INBOX")
    assert sum(int(part.split()[0].replace(",", "")) for part in inbox["skipped_why"].split("; ")) == inbox["skipped"]

    if name == "all of it":
        again = admin_env.import_(manifest, *arguments)
        assert (again["import"]["copied"], again["import"]["skipped"]) == (whole["copied"], whole["skipped"])
        assert destination.seen() == some

    last = admin_env.import_(manifest)
    assert destination.seen() == source.seen()
    assert (last["import"]["copied"], last["import"]["skipped"]) == (MANY + 12, 0)
    assert last["import"]["done_bytes"] == last["import"]["bytes"] == whole["bytes"]
    assert source.uids() == before, "the source is never written to"


def test_a_narrower_choice_takes_nothing_away_and_leaves_out_what_is_new(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("narrow")["narrow"]
    fill(source, {"INBOX": letters()})
    manifest = admin_env.manifest({"narrow": "pw-narrow"})
    admin_env.import_(manifest)
    fill(source, {"INBOX": [Mail(make_message(900 + n, 2000), (), MOMENT + timedelta(days=n - 30)) for n in range(60)]})
    found = admin_env.import_(manifest, "--since", "2022-06-01")
    assert (found["import"]["copied"], found["import"]["skipped"]) == (MANY + 30, 30)
    assert (source.seen() - destination.seen()).total() == 30


def test_what_was_there_before_is_not_copied_again_when_it_is_wanted_after_all(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("present")["present"]
    there = letters()
    fill(source, {"INBOX": there})
    fill(destination, {"INBOX": [one for one in there if one.internaldate and one.internaldate < MOMENT][:5]})
    manifest = admin_env.manifest({"present": "pw-present"})
    admin_env.import_(manifest, "--since", "2022-06-01")
    found = admin_env.import_(manifest)
    assert (found["import"]["already_present"], found["import"]["copied"]) == (5, MANY - 5)
    assert destination.seen() == source.seen()


FOLDERS = {
    "INBOX": 3,
    "Work": 2,
    "Work/2024": 2,
    "Spam": 2,
    "Spam/deep": 1,
    "Trash": 2,
    "&BCcENQRABD0EPgQyBDgEOgQ4-": 1,
    "Mine/Trash": 1,
}


def boxed(admin_env: AdminEnvironment, login: str) -> tuple[Box, Box, Any]:
    source, destination = admin_env.accounts(login)[login]
    source.fill(FOLDERS)
    return source, destination, admin_env.manifest({login: f"pw-{login}"})


def places(box: Box) -> dict[bytes, int]:
    return {name: len(messages) for name, (_, messages) in box.uids().items() if messages}


def test_special_folders_are_left_out_by_name_with_what_lies_below(admin_env: AdminEnvironment) -> None:
    source, destination, manifest = boxed(admin_env, "special")
    found = admin_env.import_(manifest, "--skip-special", "spam,trash,Drafts")
    assert places(destination) == {b"INBOX": 3, b"Work": 2, b"Work/2024": 2, b"Mine/Trash": 1}
    assert found["import"]["messages"] == 8
    admin_env.import_(manifest)
    assert destination.seen() == source.seen()


def test_everything_goes_below_a_folder_and_stays_there(admin_env: AdminEnvironment) -> None:
    source, destination, manifest = boxed(admin_env, "below")
    admin_env.import_(manifest, "--into", "Archive/Old", "--exclude", "Work/2024")
    below = {b"Archive/Old/" + name.encode(): n for name, n in FOLDERS.items() if name != "Work/2024"}
    assert places(destination) == below
    # Without the option known folders keep their places, and new ones follow the current rules.
    source.fill({"INBOX": 1, "New": 1}, seed=7)
    admin_env.import_(manifest)
    assert places(destination) == below | {b"Archive/Old/INBOX": 4, b"Archive/Old/Work/2024": 2, b"New": 1}


def test_a_folder_map_is_previewed_and_followed(admin_env: AdminEnvironment) -> None:
    source, destination, manifest = boxed(admin_env, "mapped")
    rules = admin_env.home / "map.csv"
    rules.write_text('old,new\nWork,"Projects, old"\nTrash,INBOX/Bin\nЧерновики,Drafts/Русские\nNowhere,Somewhere\n')
    dry = admin_env.run("plan", manifest, *admin_env.ends, "--folder-map", str(rules)).out
    assert "Work → Projects, old" in dry
    assert "by the folder map" in dry
    assert "no mailbox has a folder 'Nowhere'" in dry
    admin_env.import_(manifest, "--folder-map", str(rules))
    found = places(destination)
    assert found == {
        b"INBOX": 3,
        b"Projects, old": 2,
        b"Projects, old/2024": 2,
        b"Spam": 2,
        b"Spam/deep": 1,
        b"INBOX/Bin": 2,
        b"Drafts/&BCAEQwRBBEEEOgQ4BDU-": 1,
        b"Mine/Trash": 1,
    }
    admin_env.import_(manifest)
    assert places(destination) == found, "what has a place keeps it"
    assert sorted(k[1:] for k in source.seen().elements()) == sorted(k[1:] for k in destination.seen().elements())


@pytest.mark.parametrize("mode", ["folders", "primary", "keywords"])
def test_gmails_labels(admin_env: AdminEnvironment, mode: str) -> None:
    """Does the same as `tests/integration/test_gmail.py`, with the command line."""
    login = f"gmail-{mode}"
    admin_env.destination.add_user(login, f"pw-{login}")
    destination = Box(admin_env.destination, login, f"pw-{login}")
    with FaultyServer() as server:
        gmail = Gmail(server, login, f"pw-{login}")
        for number, labels in enumerate([(b"\\Inbox", b"Work"), (b"Work", b"Home"), (), (b"Hidden",)]):
            gmail.add(make_message(number), *labels)
        gmail.hide(b"Hidden")
        ends = ["--source", f"imap://127.0.0.1:{server.port}", *admin_env.ends[2:], "--gmail-labels", mode]
        manifest = admin_env.manifest({login: f"pw-{login}"})
        dry = admin_env.run("plan", manifest, *ends).out
        assert "labels hidden from IMAP, whose messages come from here: Hidden" in dry
        found = json.loads(admin_env.run("import", manifest, *ends, "--json").out)
        wanted = {
            "folders": {b"INBOX": 1, b"Work": 2, b"Home": 1, b"[Gmail]/All Mail": 2},
            "primary": {b"INBOX": 1, b"Home": 1, b"[Gmail]/All Mail": 2},
            "keywords": {b"INBOX": 1, b"[Gmail]/All Mail": 3},
        }[mode]
        assert places(destination) == wanted
        assert found["import"]["copied"] == sum(wanted.values())
        assert f", {sum(wanted.values())} messages" in dry
        keywords = sorted(sorted(flag for flag in kept.flags if flag[0] != "\\") for kept in destination.seen())
        assert keywords == (
            [[], ["hidden"], ["home", "work"], ["work"]] if mode == "keywords" else [[]] * len(keywords)
        )


def test_every_fault_of_what_is_wanted_is_told_at_once_and_nothing_starts(admin_env: AdminEnvironment) -> None:
    manifest = admin_env.manifest({"a": "b"})
    rules = admin_env.home / "map.csv"
    rules.write_text("Work,Projects\nWork,Other\nA,Projects\nB\n,C\nD,INBOX\n")
    ended = admin_env.run(
        "import",
        manifest,
        *admin_env.ends,
        "--since",
        "yesterday",
        "--larger",
        "big",
        "--skip-special",
        "junk,foo",
        "--into",
        "a//b",
        "--folder-map",
        str(rules),
        "--gmail-labels",
        "some",
        code=2,
    )
    for said in (
        "--since",
        "--larger",
        "foo",
        "--into",
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "--gmail-labels",
    ):
        assert said in ended.said
    assert not (admin_env.home / "state").exists()


def test_a_maildrop_can_be_asked_for_age_and_size_but_not_for_flags(admin_env: AdminEnvironment) -> None:
    with Dovecot(pop3=True) as maildrops:
        for server in (maildrops, admin_env.destination):
            server.add_user("drop", "pw-drop")
        box, destination = Box(maildrops, "drop", "pw-drop"), Box(admin_env.destination, "drop", "pw-drop")
        # POP3 has no INTERNALDATE: the date of the topmost Received counts, else that of Date.
        bodies = [make_message(n, 1000 + n % 4 * 2000) for n in range(60)]
        fill(box, {"INBOX": [Mail(body) for body in bodies]})
        dates = [parsedate_to_datetime(body.split(b"\r\n\t")[1].split(b"\r\n")[0].decode()) for body in bodies]
        wanted = [n for n in range(60) if dates[n] >= MOMENT and len(bodies[n]) > 2000]
        assert 0 < len(wanted) < 40
        manifest = admin_env.manifest({"drop": "pw-drop"})
        ends = ["--source", f"pop3://127.0.0.1:{maildrops.pop3_port}", *admin_env.ends[2:]]
        choice = ["--since", "2022-06-01", "--larger", "2kB"]
        dry = json.loads(admin_env.run("plan", manifest, *ends, *choice, "--json").out)
        assert (dry["totals"]["messages"], dry["totals"]["skipped_messages"]) == (len(wanted), 60 - len(wanted))
        for arguments, copied in ((choice, len(wanted)), ([], 60)):
            found = json.loads(admin_env.run("import", manifest, *ends, *arguments, "--json").out)
            assert (found["import"]["copied"], found["import"]["skipped"]) == (copied, 60 - copied)
            assert destination.seen().total() == copied
        said = admin_env.run("import", manifest, *ends, "--unseen", "--flagged", code=2).said
        assert "--unseen: POP3 knows no flags" in said
        assert "--flagged: POP3 knows no flags" in said
