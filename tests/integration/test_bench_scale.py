"""Tests small runs of `python -m bench.scale`: what they simulate is copied whole, and errors are seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scale import migration
from bench.scale.page import Section, put
from bench.scale.rig import Rig
from bench.scale.synthetic import SyntheticFolder, body_of
from shared.model.lifecycle import ImportState, Outcome


def test_a_simulated_migration_is_copied_once_by_the_real_lanes() -> None:
    with Rig({b"INBOX": 150, b"Work": 30}, threads=4) as rig:
        request = rig.submit("small", 12)
        rig.coordinate()
        rig.work(lambda: _finished(rig, request.import_id), seconds=600)
        assert _finished(rig, request.import_id)
        tally = rig.store.import_tally(request.import_id)[0]
        assert tally[Outcome.COPIED] == tally.messages == 12 * 180
        logins = [f"small{n}@simulated.example" for n in range(1, 13)]
        assert [rig.dialer.lost_and_twice(login) for login in logins] == [(0, 0)] * 12
        # The negative controls: one more copy, and one missing message.
        inbox = rig.dialer.kept.folder(logins[0], b"INBOX")
        seed = SyntheticFolder(logins[0], b"INBOX")._seed
        inbox.add(body_of(seed, 7))
        assert rig.dialer.lost_and_twice(logins[0]) == (0, 1)
        assert rig.dialer.lost_and_twice("nobody@simulated.example") == (180, 0)


def _finished(rig: Rig, import_id: str) -> bool:
    found = rig.store.import_(import_id)
    return found is not None and found.state is ImportState.FINISHED


def test_a_message_that_was_altered_on_its_way_is_not_taken() -> None:
    folder = SyntheticFolder("a@simulated.example", b"INBOX")
    folder.add(body_of(folder._seed, 1))
    with pytest.raises(AssertionError, match="not what the source holds"):
        folder.add(body_of(folder._seed, 2).replace(b"Nothing", b"Something"))


def test_numbers_are_kept_as_runs_and_come_back_as_they_were_sent() -> None:
    folder = SyntheticFolder("a@simulated.example", b"INBOX")
    sent = [1, 2, 3, 7, 8, 4, 5]
    for number in sent:
        folder.add(body_of(folder._seed, number))
    assert [stored.body for stored in folder.messages.values()] == [body_of(folder._seed, n) for n in sent]
    assert folder.lost_and_twice(8) == (1, 0)
    folder.add(body_of(folder._seed, 3))
    assert folder.lost_and_twice(8) == (1, 1)


def test_a_part_writes_between_its_own_marks_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    marks = "<!-- measured: {0} -->\nold\n<!-- end: {0} -->\n"
    page.write_text(f"By hand.\n{marks.format('one')}Between.\n{marks.format('two')}")
    put(Section(name="one", title="One", lines=("new",)), page)
    text = page.read_text()
    assert "By hand." in text
    assert "Between." in text
    assert text.count("old") == 1
    assert "new\n<!-- end: one -->" in text
    with pytest.raises(ValueError, match="no place for three"):
        put(Section(name="three", title="Three", lines=()), page)


def test_the_figures_of_a_small_migration_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "QUIET_SECONDS", 0.1)
    section = migration.run(6, 600, 600)
    assert "600 messages (100 %) were copied, lost 0, twice 0." in " ".join(section.lines)
    assert {"coordinator_bytes", "coordinator_share_quiet"} <= set(section.facts)
