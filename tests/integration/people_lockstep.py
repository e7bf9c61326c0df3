"""Steps of the lockstep test about what operators do to imports, waves and mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from shared.model import Options, part_id
from shared.model.lifecycle import Control
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import batch, broken_off, drawn_wave
from tests.integration.lockstep_draws import LIMITS, LOST, SPANS, STANDING, WAVES


def act(life: Any, data: st.DataObject, what: str) -> None:
    """Does what operators do, seldom in comparison with lanes."""
    n, lost = data.draw(st.integers(0, 3)), data.draw(LOST)
    mailbox, one = life.people[n % len(life.people)], life.imports[n % len(life.imports)].import_id
    if what == "again":
        _again(life, n, lost, data.draw(st.booleans()), data.draw(st.sampled_from(["default", "default", "full"])))
    elif what == "control":
        word = data.draw(st.sampled_from([Control.RUN, Control.RUN, *Control]))
        _control(life, n, data.draw(st.booleans()), word, lost)
    elif what == "retry":
        _retry(life, n, data.draw(st.booleans()), lost)
    elif what == "stand":
        life.both("set_standing", one, data.draw(WAVES) or "", data.draw(STANDING), lost=lost)
    elif what == "cutover":
        before, after, note, then = (data.draw(st.sampled_from(["", "r", "s"])) for _ in range(4))
        life.both("set_cutover", one, "a", before, after, {mailbox.mailbox_id: (note, then)}, lost=lost)
        life.both("cutover_rows", one)
        life.both("cutover_notes", one, "a")
    elif what == "die":
        _die(life, data, one)
    elif what == "erase":
        life.both("erase", mailbox.import_id, mailbox.mailbox_id, lost=lost)
    elif what == "window":
        window, renew = data.draw(st.sampled_from(["", "", "Sat UTC", "Sun UTC"])), data.draw(st.booleans())
        span = [life.clock.at + seconds for seconds in data.draw(SPANS)]
        life.both("set_window", one, window, *span, renew=renew, wave=data.draw(WAVES) or "", lost=lost)
    elif what == "wave":
        name = data.draw(WAVES) or ""
        if name and data.draw(st.booleans()):
            word = data.draw(st.sampled_from([*Control, Control.RUN]))
            life.both("control", one, None, word, wave=name, lost=lost)
        else:
            life.both("set_wave", one, name, **drawn_wave(data, life.clock, timed=bool(name)), lost=lost)
    elif what == "move":
        where = {"wave": data.draw(WAVES), "priority": data.draw(st.sampled_from([None, 0, -1, 100]))}
        life.both("move", mailbox.import_id, mailbox.mailbox_id, **where, lost=lost)
    elif what == "usual":
        server = data.draw(st.sampled_from(["source_host:old.example", "destination_account:imap://new.example:143"]))
        life.both("set_usual", {server: data.draw(st.sampled_from([1, 2, 40]))}, lost=True)
    else:
        scopes = st.sampled_from([*LIMITS, "source_host:old.example"])
        life.both("set_limit", data.draw(scopes), data.draw(st.sampled_from([None, None, 1, 5])), lost=True)


def _again(life: Any, n: int, lost: bool, submit: bool, verify: str) -> None:
    """Runs the same command again, after the pass or during it, perhaps with other options."""
    mailbox = life.people[n % len(life.people)]
    whole = next(i for i in life.imports if i.import_id == mailbox.import_id)
    whole = replace(whole, options=Options(verify=verify))
    life.both("open_import", whole, [mailbox], 14, lost=lost)
    if submit:
        life.both("submit", whole.import_id, lost=lost)


def _die(life: Any, data: st.DataObject, import_id: str) -> None:
    """Dies at a change of a whole import, or of a wave, after some of its mailboxes followed."""
    wave, after = data.draw(WAVES) or "", data.draw(st.integers(0, 2))
    what = data.draw(st.sampled_from(["submit", "control", "set_standing", "set_window"]))
    word, stands = data.draw(st.sampled_from(list(Control))), data.draw(STANDING)
    acts: dict[str, Callable[[Store], object]] = {
        "submit": lambda store: store.submit(import_id),
        "control": lambda store: store.control(import_id, None, word, wave=wave),
        "set_standing": lambda store: store.set_standing(import_id, wave, stands),
        "set_window": lambda store: store.set_window(import_id, "", wave=wave),
    }
    for store in (life.real, life.model):
        with broken_off(store, after):
            acts[what](store)


def _control(life: Any, n: int, one: bool, word: Control, lost: bool) -> None:
    """Says a word about a mailbox, or about its import."""
    mailbox = life.people[n % len(life.people)]
    life.both("control", mailbox.import_id, mailbox.mailbox_id if one else None, word, lost=lost)


def _retry(life: Any, n: int, messages: bool, lost: bool) -> None:
    """Queues a mailbox again, perhaps with the messages that were refused or failed."""
    mailbox = life.people[n % len(life.people)]
    batches = []
    for folder, _ in life.model.folders(mailbox.mailbox_id) if messages else ():
        notes = [note for note in life.model.notes(folder.folder_id) if note.what in ("refused", "failed")]
        if notes:
            uids = UidSet.of(note.uid for note in notes)
            batches.append((replace(batch(folder, uids), unit_id=part_id(folder.folder_id, uids)), notes))
    life.both("retry", mailbox.import_id, mailbox.mailbox_id, batches, lost=lost)
