"""Tests random faults of all kinds during an import, and the judge of the results: a small run of `make chaos`."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.chaos.changes import TOUCHED, Changes
from bench.chaos.faults import BY_NAME, FAULTS, LATER, LATER_SEED, LATEST, LATEST_SEED
from bench.chaos.oracle import Kept, Verdict, compare, digests, read_maildir
from bench.chaos.trial import run, script
from tests import mail
from tests.servers.dovecot import Dovecot, available

KILLS = [BY_NAME[name] for name in ("worker_killed", "coordinator_killed", "redis_killed")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_kills_lose_nothing_and_double_nothing(seed: int) -> None:
    result = run(script(seed, 1_200, 12, KILLS))
    assert not result.wrong
    # Redis writes its file later than it answers while the disk is busy (appendfsync everysec): of a message whose record
    # went with the process, nothing but its bytes tells that it is there already.
    assert sum(result.outcomes.values()) == 1_200
    assert set(result.outcomes) <= {"copied", "already_present"}
    assert result.commands == 0, "nobody had to give the command again"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 3001])
def test_random_faults_of_all_kinds_end_with_each_message_once(seed: int) -> None:
    result = run(script(seed, 1_200))
    assert not result.wrong


def test_a_seed_always_draws_the_same_faults() -> None:
    assert script(17, 1_200) == script(17, 1_200)
    assert script(17, 1_200) != script(18, 1_200)
    drawn = Counter(fault.name for seed in range(300) for _, fault in script(seed, 1_200).faults)
    assert set(drawn) == {fault.name for fault in FAULTS}
    later = Counter(fault.name for seed in range(300) for _, fault in script(LATER_SEED + seed, 1_200).faults)
    assert set(later) == {fault.name for fault in (*FAULTS, *LATER)}
    latest = Counter(fault.name for seed in range(300) for _, fault in script(LATEST_SEED + seed, 1_200).faults)
    assert set(latest) == {fault.name for fault in (*FAULTS, *LATER, *LATEST)}


# -- people's changes explain what they changed, and nothing else


def _kept(name: str, folder: str = "INBOX", *flags: str) -> Kept:
    return Kept(folder, name, frozenset(flags), 1)


def test_the_changes_of_people_explain_only_what_they_changed() -> None:
    changes = Changes(names={"New": "Old"}, moved={"moved", "gone", "away"}, flagged={"flagged"})
    changes.spare["gone"] += 1
    changes.away["away"] += 1
    changes.spare_if_forgotten["moved"] += 1
    wanted = Counter([_kept(name) for name in ("moved", "away", "flagged", "plain")] + [_kept("old", "Old")])
    found = Counter(
        [_kept("moved", "Work"), _kept("gone"), _kept("flagged", "INBOX", TOUCHED), _kept("plain"), _kept("old", "New")]
    )
    assert changes.verdict(wanted, found, forgot=False).clean
    for more in (_kept("plain"), _kept("gone"), _kept("moved"), _kept("other")):
        verdict = changes.verdict(wanted, found + Counter([more]), forgot=False)
        assert (verdict.lost_messages, verdict.doubled) == (0, 1), more
    assert changes.verdict(wanted, found + Counter([_kept("moved")]), forgot=True).clean
    for less in (_kept("plain"), _kept("moved", "Work"), _kept("old", "New")):
        assert changes.verdict(wanted, found - Counter([less]), forgot=False).lost_messages == 1, less
    assert changes.verdict(
        wanted + Counter([_kept("x")]), found + Counter([_kept("x", "INBOX", TOUCHED)]), forgot=False
    ).changed


def test_what_the_report_names_is_told_and_nothing_else() -> None:
    """Two twins lack a keyword, of which one is named, and another message has both another date and a name in the report."""
    wanted = Counter({_kept("twin", "INBOX", "work"): 2, _kept("late", "INBOX", "work"): 1, _kept("lost"): 1})
    found = Counter({_kept("twin", "INBOX", "unknown-0"): 2, Kept("INBOX", "late", frozenset(), 2): 1})
    verdict = compare(wanted, found)
    assert (verdict.lost_messages, verdict.changed, verdict.told) == (1, 3, 0)
    verdict = Verdict(verdict.lost, verdict.surplus, Counter({"twin": 1, "late": 1, "lost": 1, "other": 1}))
    assert (verdict.lost_messages, verdict.changed, verdict.told, verdict.clean) == (1, 2, 1, False)
    assert Verdict(Counter([_kept("twin", "INBOX", "b")]), Counter([_kept("twin")]), Counter({"twin": 1})).clean


@pytest.mark.skipif(not available(), reason="needs Dovecot")
def test_the_judge_knows_messages_by_the_uids_that_dovecot_gave_them() -> None:
    with Dovecot() as server:
        server.add_user("u", "p")
        held = mail.make_mailbox(3, {"INBOX": 3, "Work": 2})
        mail.populate(server.host, server.port, "u", "p", held)
        root = server.mail_folder("u")
        found = digests(root)
        assert sorted(found) == [("INBOX", 1), ("INBOX", 2), ("INBOX", 3), ("Work", 1), ("Work", 2)]
        assert Counter(found.values()) == Counter(kept.sha256 for kept in read_maildir(root).elements())


def test_a_keyword_of_a_person_may_lose_its_name_and_takes_none_with_it() -> None:
    changes = Changes(flagged={"flagged"})
    wanted = Counter([_kept("flagged", "INBOX", "work"), _kept("plain")])
    assert changes.verdict(
        wanted, Counter([_kept("flagged", "INBOX", "work", "unknown-2"), _kept("plain")]), forgot=False
    ).clean
    for found in (
        [_kept("flagged", "INBOX", "unknown-2"), _kept("plain")],
        [_kept("flagged", "INBOX", "work"), _kept("plain", "INBOX", "unknown-2")],
    ):
        assert changes.verdict(wanted, Counter(found), forgot=False).changed == 1


# -- the judge is not blind


def _remove(path: Path) -> None:
    path.unlink()


def _double(path: Path) -> None:
    twin = path.with_name("1." + path.name)
    shutil.copy2(path, twin)


def _spoil(path: Path) -> None:
    kept = path.stat()
    path.write_bytes(path.read_bytes().replace(b"Subject", b"Subjecf", 1))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def _flag(path: Path) -> None:
    path.rename(path.with_name(path.name.split(":2,")[0] + ":2,DT"))


def _postpone(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))


def _move(path: Path) -> None:
    path.rename(path.parents[1] / ".Work" / "cur" / path.name)


@pytest.mark.parametrize(
    ("act", "lost", "doubled", "changed"),
    [
        (_remove, 1, 0, 0),
        (_double, 0, 1, 0),
        (_spoil, 1, 1, 0),
        (_flag, 0, 0, 1),
        (_postpone, 0, 0, 1),
        (_move, 1, 1, 0),
    ],
)
def test_the_judge_sees_one_message_that_is_wrong(
    act: Callable[[Path], None], lost: int, doubled: int, changed: int
) -> None:
    with Dovecot() as server:
        server.add_user("anna", "pw")
        mail.populate(server.host, server.port, "anna", "pw", mail.make_mailbox(1, {"INBOX": 5, "Work": 5}))
        root = server.mail_folder("anna")
        before = read_maildir(root)
        assert before.total() == 10
        assert {kept.folder for kept in before} == {"INBOX", "Work"}
        assert any("work" in kept.flags for kept in before), "keywords are read, too"
        act(next(path for path in sorted((root / "cur").iterdir())))
        verdict = compare(before, read_maildir(root))
    assert (verdict.lost_messages, verdict.doubled, verdict.changed) == (lost, doubled, changed)
    assert not verdict.clean
