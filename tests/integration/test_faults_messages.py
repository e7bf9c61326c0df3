"""Tests that a faulty message affects only itself, and stands in the report with the server's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.model import Options
from shared.model.errors import ControlRequested, CredentialsError, LeaseLost, MessagesRefused
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import Action, Fault, lost_ok, reply
from tests.servers.faulty import Incoming, Quirk
from worker import failed_units, unit_work
from worker.copying.copy import BatchCopy, CopyRules
from worker.copying.forgotten_flags import ForgottenFlags
from worker.copying.writers import FolderWriters
from worker.decisions.closing import Divided

SINGLE = pytest.mark.parametrize("multiappend", [True, False])


def stage_of(wires: Wires, **options: object) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, **options)  # type: ignore[arg-type]


def refuse_spam(message: Incoming) -> bytes | None:
    return b"[CANNOT] contains a forbidden attachment (virus X)" if b"forbidden" in message.body else None


@SINGLE
def test_a_refused_message_is_found_by_halving_and_the_others_are_copied(wires: Wires, multiappend: bool) -> None:
    wires.fill(20)
    bad = wires.old.folder(b"INBOX").add(plain(99, text="forbidden"))
    wires.fill(16, first=100)
    wires.destination.behaviour.append.refuse = refuse_spam
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 36, "refused": 1}
    assert wires.bodies() == wires.sent() - Counter([bad.body])
    assert "contains a forbidden attachment (virus X)" in in_process.noted("refused")[bad.uid]
    note = next(note for note in in_process.notes() if note.what == "refused")
    assert note.message_id == "<99@example.org>"
    assert note.size_bytes == len(bad.body)
    assert in_process.mailbox().state == "complete"


def test_without_halving_the_neighbours_would_suffer(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up_at_once(self: BatchCopy) -> None:
        while self._flying.refused:
            group, error = self._flying.refused.pop()
            assert isinstance(error, MessagesRefused)
            self._outcomes.refuse([(sent, error) for sent in group])

    monkeypatch.setattr(BatchCopy, "_copy_refused", give_up_at_once)
    wires.fill(5)
    wires.old.folder(b"INBOX").add(plain(99, text="forbidden"))
    wires.destination.behaviour.append.refuse = refuse_spam
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies().total() < 5


@SINGLE
def test_a_refused_keyword_is_left_behind_and_noted(wires: Wires, multiappend: bool) -> None:
    wires.fill(6)
    odd = wires.old.folder(b"INBOX").add(plain(50), [b"\\Flagged", b"odd/keyword"])
    wires.destination.behaviour.append.refuse = lambda m: (
        b"[CANNOT] Invalid keyword" if b"odd/keyword" in m.flags else None
    )
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 7}
    assert wires.bodies() == wires.sent()
    (copy,) = [m for m in wires.new.folder(b"INBOX").messages if m.body == odd.body]
    assert copy.flags == (b"\\Flagged",)
    assert "odd/keyword" in in_process.noted("keywords_lost")[odd.uid]
    assert in_process.tally().keywords_lost == 1


def test_a_folder_without_room_for_keywords_gets_the_flags_it_can_hold(wires: Wires) -> None:
    wires.new.folder(b"INBOX").permanentflags = (
        b"\\Seen",
        b"\\Flagged",
        b"\\Answered",
        b"\\Deleted",
        b"\\Draft",
        b"Known",
    )
    wires.destination.behaviour.append.refuse_keywords = True
    odd = wires.old.folder(b"INBOX").add(plain(1), [b"\\Seen", b"KNOWN", b"unknown", b"$Forwarded"])
    wires.fill(3, first=2)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    (copy,) = [m for m in wires.new.folder(b"INBOX").messages if m.body == odd.body]
    assert {flag.lower() for flag in copy.flags} == {b"\\seen", b"known"}
    assert in_process.noted("keywords_lost").keys() == {odd.uid}
    assert "unknown $Forwarded" in in_process.noted("keywords_lost")[odd.uid]
    refused = [m for m in wires.destination.matching(rb"^APPEND") if b"unknown" in m.text]
    assert not refused, "it was asked for all the same"


#: Date in the header of every message of this module.
HEADER_DATE = datetime(2024, 1, 1, tzinfo=UTC)
DATES = {
    b"00-Jan-0000 00:00:00 +0000": HEADER_DATE,
    b"01-Jan-1900 00:00:00 +0000": datetime(1900, 1, 1, tzinfo=UTC),
    b"31-Dec-9999 23:59:59 +0000": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    b" 3-Mar-2021 04:05:06 +0530": datetime(2021, 3, 2, 22, 35, 6, tzinfo=UTC),
    b"3-Mar-2021 04:05:06 -1200": datetime(2021, 3, 3, 16, 5, 6, tzinfo=UTC),
    b"03-Mar-2021 04:05:06 +1400": datetime(2021, 3, 2, 14, 5, 6, tzinfo=UTC),
    b"rubbish": HEADER_DATE,
    None: HEADER_DATE,
    b"Tue, 31 Dec 2024 23:00:02 +9900": datetime(2024, 12, 31, 23, 0, 2, tzinfo=UTC),
    b"31-Dec-2024 23:00:02 +05:30": datetime(2024, 12, 31, 17, 30, 2, tzinfo=UTC),
    b"31-Dec-2024 23:00:02 EST": datetime(2025, 1, 1, 4, 0, 2, tzinfo=UTC),
    b"01 sept 2024 23:00:02 GMT": datetime(2024, 9, 1, 23, 0, 2, tzinfo=UTC),
}


def test_odd_dates_are_kept_and_those_that_are_none_are_noted(wires: Wires) -> None:
    for number, date in enumerate(DATES, start=1):
        wires.old.folder(b"INBOX").add(plain(number), internaldate=date)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": len(DATES)}
    assert not in_process.noted("date_clamped"), "this destination keeps any date"
    assert in_process.noted("date_unusable").keys() == {1, 7, 8, 9}
    assert "the date of the header was set" in in_process.noted("date_unusable")[7]
    assert "+9900" in in_process.noted("date_unusable")[9]
    assert in_process.tally().dates_changed == 4
    assert "rubbish" in in_process.noted("odd")[7]
    got = {m.body: m.internaldate for m in wires.new.folder(b"INBOX").messages}
    for number, wanted in enumerate(DATES.values(), start=1):
        text = (got[plain(number)] or b"").decode().strip()
        assert datetime.strptime(text, "%d-%b-%Y %H:%M:%S %z") == wanted
    assert b"+0530" in (got[plain(4)] or b""), "the zone is kept"
    assert not in_process.noted("normalised")


@pytest.mark.parametrize("verify", ["default", "full"])
def test_a_message_without_any_date_gets_that_of_its_header_or_none(wires: Wires, verify: str) -> None:
    received = "Received: by here; Thu, 18 Jul 1996 02:44:25 +0300\r\n"
    inbox = wires.old.folder(b"INBOX")
    large = plain(1, head=received, text="x" * 78 + "\r\n" + ("y" * 78 + "\r\n") * 8000)
    for body in (large, plain(2, head=received), b"Subject: none\r\n\r\ntext\r\n"):
        inbox.add(body, internaldate=None)
    in_process = stage_of(wires, options=Options(verify=verify))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    got = {m.body: m.internaldate for m in wires.new.folder(b"INBOX").messages}
    assert got[large] == got[plain(2, head=received)] == b"18-Jul-1996 02:44:25 +0300"
    assert in_process.noted("date_unusable").keys() == {1, 2, 3}
    assert "the destination sets its own" in in_process.noted("date_unusable")[3]
    assert (in_process.tally().altered, in_process.tally().normalised, in_process.tally().dates_changed) == (0, 0, 3)


def test_a_destination_that_alters_dates_or_bytes_is_reported(wires: Wires) -> None:
    wires.fill(8)
    policy = wires.destination.behaviour.append
    policy.alter_date = lambda date: (
        b"01-Jan-2030 00:00:00 +0000" if date and date.strip().lstrip(b"0").startswith(b"4-") else date
    )
    policy.alter_body = lambda body: body.replace(b"message 5", b"message five")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert in_process.noted("normalised").keys() == {3}
    assert "date" in in_process.noted("normalised")[3]
    assert in_process.noted("altered").keys() == {5}
    assert "content differs" in in_process.noted("altered")[5]
    assert (in_process.tally().altered, in_process.tally().normalised) == (1, 1)


@pytest.mark.parametrize("uidplus", [True, False])
def test_a_destination_that_says_ok_and_drops_a_message_is_found_out(wires: Wires, uidplus: bool) -> None:
    wires.fill(12)
    wires.destination.behaviour.append.drop = lambda message: b"message 7\r\n" in message.body
    if not uidplus:
        wires.destination.behaviour.capabilities.discard("UIDPLUS")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 11, "failed": 1}
    assert wires.bodies() == wires.sent() - Counter([plain(7)])
    assert "OK but does not show" in in_process.noted("failed")[7]


def test_wrong_appenduids_are_found_out(wires: Wires) -> None:
    wires.fill(12)
    wires.destination.behaviour.append.wrong_appenduid = 1_000
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent()
    assert in_process.tally().missing == 12


def test_a_server_without_appenduid_gets_each_message_once(wires: Wires) -> None:
    wires.fill(25)
    twin = plain(500)
    for _ in range(3):
        wires.old.folder(b"INBOX").add(twin)
    wires.destination.behaviour.append.without_appenduid = True
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 28}
    assert wires.bodies() == wires.sent()
    assert len(in_process.pairs()) == 28


@pytest.mark.parametrize("appenduid", [True, False])
def test_a_lost_ok_is_a_stored_message(wires: Wires, appenduid: bool) -> None:
    wires.fill(20)
    for _ in range(3):
        wires.old.folder(b"INBOX").add(plain(500))
    wires.destination.behaviour.append.without_appenduid = not appenduid
    wires.destination.faults.add(lost_ok(rb"^APPEND", skip=1))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 23}
    assert wires.bodies() == wires.sent()
    assert len(in_process.pairs()) == 23


# -- the source


def test_a_message_that_the_source_refuses_to_give_is_the_only_one_missing(wires: Wires) -> None:
    wires.fill(10)
    rotten = frozenset({Quirk.REFUSED, Quirk.MISSING})
    bad = [wires.old.folder(b"INBOX").add(plain(77 + n), quirks=rotten) for n in range(2)]
    wires.fill(10, first=100)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 20, "failed": 2}
    assert wires.bodies() == wires.sent() - Counter(message.body for message in bad)
    for message in bad:
        assert "[SERVERBUG] FETCH failed" in in_process.noted("failed")[message.uid]
    assert in_process.mailbox().state == "complete"


def test_a_folder_that_the_source_will_not_give_at_all_costs_the_others_nothing(wires: Wires) -> None:
    wires.fill(10)
    wires.fill(10, b"Other")
    wires.source.faults.add(
        reply(
            lambda c: wires.opened(c) == b"Other" and c.text.startswith(b"UID FETCH"),
            b"NO [SERVERBUG] rotten",
            times=None,
        )
    )
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 10, "failed": 10}
    assert wires.bodies() == wires.sent()
    assert set(in_process.noted("failed").values()) == {"[SERVERBUG] rotten"}


@pytest.mark.parametrize(
    "quirk", [Quirk.MISSING, Quirk.BODY_NIL, Quirk.BODY_ABSENT, Quirk.WITHOUT_UID, Quirk.WRONG_UID]
)
def test_a_message_without_a_body_is_not_called_copied(wires: Wires, quirk: Quirk) -> None:
    wires.fill(5)
    bad = wires.old.folder(b"INBOX").add(plain(77), quirks=frozenset({quirk}))
    wires.fill(5, first=100)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 10, "failed": 1}
    assert wires.bodies() == wires.sent() - Counter([bad.body])
    assert "gives no body" in in_process.noted("failed")[bad.uid]


@pytest.mark.parametrize("quirk", [Quirk.TWICE, Quirk.UNSOLICITED, Quirk.BODY_LITERAL8, Quirk.SIZE_ABSENT])
def test_odd_answers_bring_the_message_once_and_as_it_is(wires: Wires, quirk: Quirk) -> None:
    for number in range(1, 9):
        wires.old.folder(b"INBOX").add(plain(number), [b"\\Seen"], quirks=frozenset({quirk} if number % 2 else ()))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert wires.bodies() == wires.sent()
    assert {m.flags for m in wires.new.folder(b"INBOX").messages} == {(b"\\Seen",)}


def test_a_body_as_a_quoted_string_is_taken_as_it_is(wires: Wires) -> None:
    wires.old.folder(b"INBOX").add(b'Subject: "x\\y"', quirks=frozenset({Quirk.BODY_QUOTED}))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent()


@pytest.mark.parametrize("size", [0, 1, 10_000_000, 5_000_000_000])
def test_a_size_that_lies_decides_nothing(wires: Wires, size: int) -> None:
    for number in range(1, 9):
        wires.old.folder(b"INBOX").add(plain(number), size=size if number == 4 else None)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert wires.bodies() == wires.sent()
    assert not in_process.noted("altered")


def test_a_size_that_lies_is_not_called_an_alteration(wires: Wires) -> None:
    for number in range(1, 9):
        wires.old.folder(b"INBOX").add(plain(number), size=9 if number != 3 else None)
    wires.destination.behaviour.append.alter_body = lambda body: body.replace(b"message 5", b"message five")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.noted("altered").keys() == {5}


def test_an_empty_message_is_refused_with_a_reason(wires: Wires) -> None:
    wires.fill(3)
    wires.old.folder(b"INBOX").add(b"")
    wires.fill(3, first=10)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 6, "refused": 1}
    assert "zero byte" in in_process.noted("refused")[4]


def test_a_message_that_is_too_large_is_refused_before_it_is_sent(wires: Wires) -> None:
    wires.fill(3)
    wires.old.folder(b"INBOX").add(plain(50, text="x" * 3_000_000))
    wires.fill(3, first=10)
    wires.destination.behaviour.capabilities.add("APPENDLIMIT=1000000")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 6, "refused": 1}
    assert "1000000" in in_process.noted("refused")[4]
    assert not any(size > 1_000_000 for c in wires.destination.commands for size in (*c.waited, *c.hurried))


def test_a_message_gone_from_the_source_is_called_vanished(wires: Wires) -> None:
    wires.fill(12)
    in_process = stage_of(wires)
    in_process.submit()
    lane_plan = in_process.store.claim("planner")
    assert lane_plan is not None
    in_process.store.release(lane_plan, how="wait")
    wires.source.faults.add(
        reply(lambda c: gone(c.text), b"OK nothing more")  # the fetch of the body comes after the expunge
    )

    def gone(text: bytes) -> bool:
        if text.startswith(b"UID FETCH") and b"BODY.PEEK[]" in text:
            wires.old.folder(b"INBOX").remove(5)
        return False

    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 11, "vanished": 1}
    assert "no longer" in in_process.noted("vanished")[5]


@pytest.mark.parametrize("batch_messages", [4, 50])
def test_a_flag_that_an_append_forgets_is_set_afterwards(wires: Wires, batch_messages: int) -> None:
    """Exchange forgets \\Flagged of an APPEND; what it keeps is not set once more."""
    inbox = wires.old.folder(b"INBOX")
    for n in range(1, 9):
        inbox.add(plain(n), (b"\\Seen", b"\\Flagged") if n % 2 else (b"\\Seen",))
    wires.destination.behaviour.append.alter_flags = lambda flags: tuple(f for f in flags if f.lower() != b"\\flagged")
    in_process = stage_of(wires, batch_messages=batch_messages)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert in_process.held("destination") == in_process.held("source")


def test_without_it_the_flag_would_be_away(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForgottenFlags, "see_to", lambda *_: False)
    wires.old.folder(b"INBOX").add(plain(1), (b"\\Seen", b"\\Flagged"))
    wires.destination.behaviour.append.alter_flags = lambda flags: tuple(f for f in flags if f.lower() != b"\\flagged")
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 1}
    assert in_process.held("destination") != in_process.held("source")


def forgetful(wires: Wires, messages: int = 8) -> InProcessImport:
    """Prepares the import of flagged messages to a destination that forgets \\Flagged of an APPEND."""
    for n in range(1, messages + 1):
        wires.old.folder(b"INBOX").add(plain(n), (b"\\Seen", b"\\Flagged"))
    wires.destination.behaviour.append.alter_flags = lambda flags: tuple(f for f in flags if f.lower() != b"\\flagged")
    return stage_of(wires, copy_rules=CopyRules(group_messages=2, outstanding=1))


def test_a_flag_is_set_though_the_worker_died_before_it_saw_to_it(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that comes next knows nothing of the server."""
    in_process, see_to, died = forgetful(wires), ForgottenFlags.see_to, []

    def dies(self: ForgottenFlags, *given: Any) -> bool:
        if not died:
            died.append(self)
            self._memory.kept = self._memory.forgotten = frozenset()
            raise LeaseLost("the process was killed")
        return see_to(self, *given)

    monkeypatch.setattr(ForgottenFlags, "see_to", dies)
    in_process.to_the_end()
    assert died
    assert in_process.outcomes() == {"copied": 8}
    assert in_process.held("destination") == in_process.held("source")


def test_a_flag_is_set_before_the_rest_of_a_batch_is_shared_out(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    in_process, parts, shared = forgetful(wires), FolderWriters.parts, []

    def shares(self: FolderWriters, remaining: UidSet, *given: Any) -> Iterator[UidSet]:
        if shared:
            yield from parts(self, remaining, *given)
            return
        here, rest = remaining.take(4)
        yield here
        shared.extend(rest.take(2))
        raise Divided(shared)

    monkeypatch.setattr(FolderWriters, "parts", shares)
    in_process.to_the_end()
    assert len(shared) == 2
    assert in_process.outcomes() == {"copied": 8}
    assert in_process.held("destination") == in_process.held("source")


@pytest.mark.parametrize("protected", [True, False], ids=["seen to", "control: left"])
def test_a_keyword_is_set_on_a_copy_that_a_killed_server_kept_without_it(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Dovecot stores a message, is killed, and has not written what its keywords are called."""
    if not protected:
        monkeypatch.setattr(ForgottenFlags, "complete", lambda *_: None)
    for n in range(1, 4):
        wires.old.folder(b"INBOX").add(plain(n), (b"\\Seen", b"$Forwarded"))
    wires.destination.behaviour.append.alter_flags = lambda flags: tuple(f for f in flags if f != b"$Forwarded")
    lost = wires.destination.faults.add(lost_ok(b"^APPEND"))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert lost.struck
    assert in_process.outcomes() == {"copied": 3}
    assert (in_process.held("destination") == in_process.held("source")) is protected
    again = wires.destination.matching(b"UID STORE")
    in_process.to_the_end()
    assert wires.destination.matching(b"UID STORE") == again, "a later pass leaves what people clear"


@pytest.mark.parametrize("protected", [True, False], ids=["seen to", "control: left"])
@pytest.mark.parametrize("number", [6, 8], ids=["halved", "given up alone"])
def test_a_flag_is_set_though_the_destination_breaks_off_over_a_later_message(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, number: int, *, protected: bool
) -> None:
    """The message that it breaks off over fails by name; the batch was halved until that stood alone."""
    if not protected:
        monkeypatch.setattr(unit_work, "see_to_brought", lambda *_: None)
    in_process = forgetful(wires)
    subject = b"Subject: %d\r\n" % number
    wires.destination.faults.add(
        Fault(lambda c: any(subject in one for one in c.literals), Action.CLOSE, times=None),
    )
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 7, "failed": 1}
    flags = [{flag.lower() for flag in message.flags} for message in wires.new.folder(b"INBOX").messages]
    assert all(b"\\flagged" in one for one in flags) is protected


def broken_halfway(wires: Wires) -> InProcessImport:
    """Brings some messages to a destination that forgets \\Flagged; then nobody can open the source folder any more."""
    in_process = forgetful(wires)
    in_process.stopping = lambda: in_process.tally()[Outcome.COPIED] > 0
    in_process.submit()
    in_process.work()
    in_process.stopping = lambda: False
    wires.source.faults.add(reply(b"^EXAMINE", b"NO broken", times=None))
    return in_process


@pytest.mark.parametrize("protected", [True, False], ids=["seen to", "control: left"])
def test_a_flag_is_set_though_the_source_folder_cannot_be_opened_any_more(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(failed_units, "see_to_brought", lambda *_: None)
    in_process = broken_halfway(wires)
    in_process.to_the_end()
    assert in_process.outcomes()["failed"] > 0
    flags = [{flag.lower() for flag in message.flags} for message in wires.new.folder(b"INBOX").messages]
    assert flags
    assert all(b"\\flagged" in one for one in flags) is protected


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "control: shut before"])
def test_a_batch_is_given_up_without_another_sign_in(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """The destination may be away by then, and each try would wait for it."""
    handle, sign_ins = failed_units.FailedUnits.handle, []

    def counted(failed: failed_units.FailedUnits, *given: Any, **named: Any) -> str:
        if not kept:
            failed._sessions.abort()
        before = wires.destination.logins()
        code = handle(failed, *given, **named)
        sign_ins.append(wires.destination.logins() - before)
        return code

    monkeypatch.setattr(failed_units.FailedUnits, "handle", counted)
    in_process = broken_halfway(wires)
    in_process.to_the_end()
    assert in_process.outcomes()["failed"] > 0
    assert sum(sign_ins) == (not kept)


@pytest.mark.parametrize("error", [ControlRequested("pause"), CredentialsError("no key opens them"), LookupError()])
def test_a_batch_is_given_up_although_nobody_may_sign_in_for_its_flags(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An error that mailhaul does not know by name is the control: it leaves the lane, and the batch held."""

    def stopped(*_: object) -> None:
        raise error

    monkeypatch.setattr(failed_units, "see_to_brought", stopped)
    in_process = broken_halfway(wires)
    if isinstance(error, LookupError):
        with pytest.raises(LookupError):
            in_process.to_the_end()
        return
    in_process.to_the_end()
    assert in_process.outcomes()["failed"] > 0


def test_a_destination_that_breaks_off_when_it_is_asked_for_flags_keeps_no_batch_open(wires: Wires) -> None:
    in_process = forgetful(wires)
    wires.destination.faults.add(
        Fault(lambda c: c.text.startswith(b"UID FETCH") and b"FLAGS" in c.text, Action.CLOSE, times=None)
    )
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert wires.bodies() == wires.sent()
