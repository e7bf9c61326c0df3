"""The numbers of an import: how far, how fast, how long still, how it ended."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from producer.coordinator.estimate import Caps
from producer.coordinator.pace import EARLY_SECONDS, WINDOW_SECONDS, Sample, Window, may_move
from producer.coordinator.tally import Progress, exit_code, progress
from producer.show.lines import cells, mailbox_line, progress_line, state_bar, summary
from producer.show.live import _drawn
from shared.model import Account, Endpoint, Import, Mailbox, Options, Stranded, Tally, Tls, Wait, WaitKind
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome

M = MailboxState


def _import(state: ImportState = ImportState.RUNNING, control: Control = Control.RUN) -> Import:
    end = Endpoint(host="h", port=993, tls=Tls.IMPLICIT)
    return Import(import_id="i", name="n", source=end, destination=end, state=state, control=control)


def _tally(copied: int = 0, messages: int = 100, done: int = 0, size: int = 1000, **outcomes: int) -> Tally:
    found = {Outcome.COPIED: copied} | {Outcome(name): n for name, n in outcomes.items()}
    return Tally(messages=messages, size_bytes=size, done_bytes=done, outcomes=found)


def _window(*samples: tuple[float, int, int]) -> Window:
    window = Window()
    for at, messages, size_bytes in samples:
        window = window.with_sample(Sample(at=at, messages=messages, size_bytes=size_bytes))
    return window


def test_percent_is_none_before_anything_is_known_and_never_whole_while_a_message_is_pending() -> None:
    assert progress(_import(), Tally(), {M.QUEUED: 1}).share_messages is None
    # Servers state wrong sizes: more bytes are done than there are.
    almost = progress(_import(), _tally(99, done=5000), {M.COPYING: 1})
    assert almost.share_bytes == 0.999
    assert progress(_import(), _tally(100, done=900), {M.COMPLETE: 1}).share_bytes == 1.0


def test_mailboxes_that_are_not_counted_are_taken_for_as_large_as_the_others() -> None:
    window = _window((0, 0, 0), (10, 50, 500))
    assert progress(_import(), _tally(50, done=500), {M.COPYING: 2}, window).eta_seconds == pytest.approx(10)
    half = progress(_import(), _tally(50, done=500), {M.PLANNING: 1, M.COPYING: 1}, window)
    assert half.eta_seconds == pytest.approx(30), "50 left of this one, and 100 of the other"
    whole = progress(_import(), _tally(50, done=500), {M.COPYING: 2}, window)
    assert half.eta_range is not None
    assert whole.eta_range is not None
    assert half.eta_range[1] / 30 > whole.eta_range[1] / 10, "the range is wider where less is known"
    none = progress(_import(), _tally(50, done=500), {M.PLANNING: 99, M.COPYING: 1}, window)
    assert none.eta_seconds is None, "one of a hundred says nothing of the others"


def test_the_share_is_of_the_import_and_not_of_what_was_counted_so_far() -> None:
    # 28 of 300 mailboxes are complete, and every message counted so far is copied.
    known = progress(_import(), _tally(100, done=1000), {M.COMPLETE: 28, M.PLANNING: 16, M.QUEUED: 256})
    assert known.share == pytest.approx(28 / 300)
    assert "100%" not in progress_line(known)
    assert "9.3%" in progress_line(known)
    assert "28 of 300 mailboxes; 100 of 100 messages counted so far" in progress_line(known)


def test_the_share_is_whole_only_when_the_import_is_complete() -> None:
    assert progress(_import(), _tally(100), {M.COMPLETE: 2}).share == 0.999
    assert progress(_import(ImportState.FINISHED), _tally(100), {M.COMPLETE: 2}).share == 1.0
    # Finished, with one of 60 complete.
    assert progress(_import(ImportState.FINISHED), _tally(100), {M.COMPLETE: 1, M.PARKED: 59}).share == 1 / 60
    assert progress(_import(), Tally(), {}).share is None
    assert progress(_import(), Tally(), {M.COMPLETE: 1831, M.QUEUED: 18107}).share == pytest.approx(1831 / 19938)


def _row(state: M, tally: Tally) -> tuple[Mailbox, Tally]:
    end = Account(endpoint=Endpoint(host="h", port=993, tls=Tls.IMPLICIT), login="l")
    return Mailbox(mailbox_id="m", import_id="i", row=1, source=end, destination=end, state=state), tally


def test_the_share_never_goes_back_when_more_mailboxes_are_counted() -> None:
    one = [_row(M.COPYING, _tally(50)), _row(M.QUEUED, Tally())]
    before = progress(_import(), _tally(50), {M.COPYING: 1, M.QUEUED: 1}, rows=one).share
    assert before == pytest.approx(0.25)
    # The other mailbox turns out to be a hundred times as large.
    two = [_row(M.COPYING, _tally(51)), _row(M.COPYING, _tally(0, messages=10_000))]
    after = progress(_import(), _tally(51, messages=10_100), {M.COPYING: 2}, rows=two).share
    assert after is not None
    assert before is not None
    assert after > before
    # A later pass begins at 0, whatever the first one did.
    again = replace(_import(), passes=2)
    assert progress(again, _tally(100), {M.QUEUED: 1}, rows=[_row(M.QUEUED, _tally(100))]).share == 0


def test_time_in_which_nothing_can_move_counts_for_no_rate() -> None:
    window = _window((0, 0, 0), (10, 100, 100))
    held = window.with_sample(Sample(at=40, messages=100, size_bytes=100), moving=False)
    assert held.messages_per_second == 0
    again = held.with_sample(Sample(at=70, messages=100, size_bytes=100)).with_sample(
        Sample(at=80, messages=200, size_bytes=200)
    )
    assert again.messages_per_second == pytest.approx(10)
    assert not may_move(_import(ImportState.OPENING), ())
    assert not may_move(_import(control=Control.PAUSE), ())
    assert not may_move(_import(), [Wait(what=WaitKind.WINDOW)])
    assert may_move(_import(), [Wait(what=WaitKind.ROOM)])


def test_while_mail_may_still_arrive_there_is_a_cause_and_no_rate_and_no_time() -> None:
    wait = Wait(what=WaitKind.SETTLE, until=2000.0, mailboxes=2)
    window = _window((0, 0, 0), (10, 100, 1000))
    assert may_move(_import(), [wait], window, at=12), "other mailboxes moved lately"
    assert not may_move(_import(), [wait], window, at=16)
    assert may_move(_import(), [], window, at=16), "the control"
    done = _tally(100, done=1000)
    known = progress(_import(), done, {M.VERIFYING: 2}, Window(), waits=[wait])
    assert "; 2 mailboxes wait until " in progress_line(known)
    assert ": what was sent before may still arrive at the destination; " in progress_line(known)
    assert "messages/s" not in progress_line(known)
    assert "left" not in progress_line(known)
    assert "ETA" not in progress_line(known)
    assert "ETA" in progress_line(progress(_import(), done, {M.VERIFYING: 2}, Window())), "the control"


def test_a_pass_with_nothing_new_is_estimated_by_mailboxes() -> None:
    window = Window()
    for second in range(11):
        window = window.with_sample(Sample(at=second, messages=0, size_bytes=0, mailboxes=second))
    known = progress(replace(_import(), passes=2), Tally(), {M.COMPLETE: 10, M.QUEUED: 50}, window)
    assert known.eta_seconds == pytest.approx(50)


def test_the_rates_that_are_set_are_a_floor_of_the_estimate() -> None:
    window = _window((0, 0, 0), (10, 50, 500))
    caps = Caps(given={"source_host.bytes_per_second": 5})
    known = progress(_import(), _tally(50, done=500), {M.COPYING: 1}, window, caps=caps)
    assert known.eta_seconds == pytest.approx(100)
    assert known.eta_range is not None
    assert known.eta_range[0] >= 100
    rows = [_row(M.COPYING, _tally(50, done=500))]
    daily = Caps(given={"source_account.bytes_per_day:imaps://h:993/l": 100})
    slow = progress(_import(), _tally(50, done=500), {M.COPYING: 1}, window, rows=rows, caps=daily)
    assert slow.eta_seconds == pytest.approx(4 * 86_400, abs=10), "500 bytes at 100 a day: today's, and four days more"


def test_without_its_rows_an_import_is_not_taken_for_one_account() -> None:
    window = _window((0, 0, 0), (10, 50, 500))
    daily = {"source_account.bytes_per_day": 100}
    known = progress(_import(), _tally(50, done=500), {M.COPYING: 1}, window, caps=Caps(given=daily))
    assert known.eta_seconds == pytest.approx(10, rel=0.2)
    foreseen = Caps(given=daily, foreseen_at=1000.0, now=100.0)
    later = progress(_import(), _tally(50, done=500), {M.COPYING: 1}, window, caps=foreseen)
    assert later.eta_seconds == pytest.approx(900), "what was forecast from its rows"


def test_a_spent_day_leaves_an_estimate_though_nothing_moves() -> None:
    rows = [_row(M.COPYING, _tally(50, done=500))]
    daily = Caps(given={"source_account.bytes_per_day:imaps://h:993/l": 100})
    known = progress(_import(), _tally(50, done=500), {M.COPYING: 1}, Window(), rows=rows, caps=daily)
    assert known.eta_seconds == pytest.approx(4 * 86_400, abs=10)
    assert progress(_import(), _tally(50, done=500), {M.COPYING: 1}, Window(), rows=rows).eta_seconds is None, (
        "the control"
    )


def test_a_bar_shows_every_state_that_occurs() -> None:
    mailboxes = {M.COMPLETE: 997, M.COPYING: 2, M.PARKED: 1}
    found = dict(cells(mailboxes, 40))
    assert sum(found.values()) == 40
    assert all(count >= 1 for count in found.values())
    assert found[M.COMPLETE] == 38
    assert state_bar(mailboxes).endswith("] # 997 complete, > 2 copying, ! 1 parked")


def test_the_estimate_waits_for_some_seconds_of_copying() -> None:
    window = _window((0, 0, 0), (EARLY_SECONDS / 2, 50, 500))
    assert progress(_import(), _tally(50, done=500), {M.COPYING: 1}, window).eta_seconds is None


def test_the_slower_of_messages_and_bytes_decides() -> None:
    window = _window((0, 0, 0), (10, 90, 100))
    assert progress(_import(), _tally(90, done=100), {M.COPYING: 1}, window).eta_seconds == pytest.approx(90)


def test_the_window_forgets_what_is_old_and_begins_anew_when_counts_go_back() -> None:
    window = _window(*((float(at), at * 10, at * 10) for at in range(200)))
    assert window.seconds <= WINDOW_SECONDS
    assert window.messages_per_second == pytest.approx(10)
    assert window.with_sample(Sample(at=201, messages=5, size_bytes=5)).samples == (
        Sample(at=201, messages=5, size_bytes=5),
    )


def test_many_looks_a_second_do_not_grow_the_window() -> None:
    window = _window(*((at / 50, at, at) for at in range(5000)))
    assert len(window.samples) <= 300
    assert window.messages_per_second == pytest.approx(50, rel=0.05)


def _compared(number: int, passes: int = 2, done: int = 100, state: ImportState = ImportState.RUNNING) -> Progress:
    """Returns the progress of an import of one mailbox with 100 messages, of which `number` are compared."""
    import_ = replace(_import(state), options=Options(verify="full"), passes=passes)
    counts = replace(_tally(done), compared=number)
    mailbox, _ = _row(M.VERIFYING if done == 100 else M.COPYING, counts)
    window = _window((0, 0, 0), (10, done + number, 0))
    rows = [(replace(mailbox, compared=number), counts)]
    return progress(import_, counts, {mailbox.state: 1}, window, rows=rows)


def test_a_comparison_says_how_far_it_is() -> None:
    quarter, whole = _compared(25), _compared(100)
    assert "25 of 100 messages compared byte by byte" in progress_line(quarter)
    assert (quarter.to_compare, quarter.compared, quarter.comparing) == (100, 25, True)
    assert quarter.share == pytest.approx(0.1 + 0.9 * 0.25), "the copying is over, and was little"
    assert quarter.eta_seconds == pytest.approx(75 / 12.5), "at 12.5 messages a second"
    assert whole.share == 0.999, "its last word is not spoken"
    assert _compared(0).share == pytest.approx(0.1)
    first = _compared(0, passes=1, done=50)
    assert first.share == pytest.approx(0.25), "half of it is copied, which is half the work"
    assert first.eta_seconds == pytest.approx((50 + 100) / 5), "what is not copied is to be compared too"
    assert not first.comparing
    assert "compared" not in progress_line(first)


def test_who_compares_no_bytes_says_nothing_of_it() -> None:
    known = progress(_import(), replace(_tally(100), compared=25), {M.VERIFYING: 1})
    assert (known.to_compare, known.comparing) == (0, False)
    assert "compared" not in progress_line(known)
    over = _compared(100, state=ImportState.FINISHED)
    assert (over.to_compare, over.comparing) == (0, False)


@pytest.mark.parametrize(
    ("tally", "mailboxes", "unreadable", "code"),
    [
        (_tally(100), {M.COMPLETE: 2}, 0, 0),
        (_tally(90, skipped=5, vanished=5), {M.COMPLETE: 2}, 0, 0),
        (_tally(0, already_present=100), {M.COMPLETE: 2}, 0, 0),
        (_tally(99, refused=1), {M.COMPLETE: 2}, 0, 3),
        (_tally(99, failed=1), {M.COMPLETE: 2}, 0, 3),
        (_tally(100), {M.COMPLETE: 1, M.PARKED: 1}, 0, 3),
        (_tally(100), {M.COMPLETE: 1, M.CANCELLED: 1}, 0, 3),
        (_tally(100), {M.COMPLETE: 2}, 1, 3),
        (Tally(messages=1, outcomes={Outcome.COPIED: 1}, missing=1), {M.COMPLETE: 1}, 0, 3),
        (Tally(messages=1, outcomes={Outcome.COPIED: 1}, altered=1), {M.COMPLETE: 1}, 0, 3),
        (
            Tally(
                messages=1,
                outcomes={Outcome.COPIED: 1},
                normalised=1,
                dates_changed=1,
                keywords_lost=1,
                doubled=1,
                undone=1,
            ),
            {M.COMPLETE: 1},
            0,
            0,
        ),
        (Tally(), {M.COMPLETE: 1}, 0, 0),
    ],
)
def test_how_it_ended(tally: Tally, mailboxes: dict[MailboxState, int], unreadable: int, code: int) -> None:
    known = progress(_import(ImportState.FINISHED), replace(tally, unreadable=unreadable), mailboxes)
    assert exit_code(known) == code
    assert known.word == ("incomplete" if code else "complete")


def test_second_copies_stand_in_the_summary_with_what_was_done() -> None:
    known = progress(_import(ImportState.FINISHED), replace(_tally(100), doubled=1, undone=2), {M.COMPLETE: 1})
    said = "\n".join(summary(known, None, 1.0, ()))
    assert "  1 message may stand twice at the destination: nothing was removed (notes.csv of the report)" in said
    assert "  2 messages: a second copy of ours was removed at the destination" in said
    assert "twice" not in "\n".join(summary(replace(known, tally=_tally(100)), None, 1.0, ()))


def test_the_summary_says_what_a_comparison_found() -> None:
    def said(**found: int) -> str:
        known = progress(_import(ImportState.FINISHED), replace(_tally(100), **found), {M.COMPLETE: 1})
        return "\n".join(summary(known, None, 1.0, ()))

    assert "  verified:  100 messages read on both sides, all equal\n" in f"{said(compared=100)}\n"
    assert "  verified:  100 messages read on both sides, 2 not equal\n" in said(compared=100, altered=2)
    assert "read on both sides, equal but for what the destination normalised\n" in said(compared=100, normalised=1)
    assert "verified" not in said()


def test_the_word_for_it() -> None:
    assert progress(_import(control=Control.PAUSE), Tally(), {M.COPYING: 1}).word == "paused"
    assert progress(_import(), Tally(), {M.COPYING: 1}).word == "running"
    assert progress(_import(ImportState.FINISHED), Tally(), {M.COMPLETE: 1}).word == "complete"
    assert progress(_import(ImportState.FINISHED), Tally(), {M.PARKED: 1}).word == "incomplete"


def test_nothing_ends_before_the_lease_of_a_lost_worker_has() -> None:
    window = _window((0, 0, 0), (10, 50, 500))

    def eta(stranded: Stranded, copied: int = 50) -> float | None:
        tally = _tally(copied, done=10 * copied)
        return progress(_import(), tally, {M.COPYING: 2}, window, stranded).eta_seconds

    assert eta(Stranded()) == pytest.approx(10)
    assert eta(Stranded(units=1, messages=10, seconds=5)) == pytest.approx(10), "others have more to do than that"
    assert eta(Stranded(units=1, messages=10, seconds=40)) == pytest.approx(40)
    assert eta(Stranded(units=1, messages=50, seconds=40)) == pytest.approx(50), "all of it waits, and is copied then"
    assert eta(Stranded(units=1, seconds=40), copied=100) == pytest.approx(40), "nothing but a verification"


def test_the_line_says_what_waits_for_a_lost_worker() -> None:
    def line(stranded: Stranded, control: Control = Control.RUN) -> str:
        return progress_line(progress(_import(control=control), _tally(50), {M.COPYING: 1}, None, stranded))

    assert "held" not in line(Stranded())
    many = line(Stranded(units=2, messages=1234, seconds=43))
    assert "1,234 messages are held by a worker that stopped responding, free in about 43 s; ETA: calculating" in many
    assert "1 message is held by a worker that stopped responding, free in about 43 s" in line(
        Stranded(units=1, messages=1, seconds=43)
    )
    assert "work is held by a worker that stopped responding, free in about 43 s" in line(Stranded(units=1, seconds=43))
    assert "held" not in line(Stranded(units=2, messages=9, seconds=43), Control.PAUSE)


def test_a_mailbox_that_waits_for_a_person_is_not_done() -> None:
    line = progress_line(progress(_import(), _tally(50), {M.COMPLETE: 1, M.PARKED: 2, M.COPYING: 1}))
    assert "; 1 of 4 mailboxes;" in line
    assert "2 parked" in line


def test_a_full_mailbox_is_a_parked_one_in_every_line() -> None:
    full = (Wait(what=WaitKind.ROOM, mailboxes=2),)
    known = progress(_import(), _tally(50), {M.COMPLETE: 1, M.PARKED: 3}, waits=full)
    assert progress_line(known).endswith("; 2 parked (full); 1 parked")
    assert "! 3 parked" in state_bar(known.mailboxes)
    parked = replace(_row(M.PARKED, Tally())[0], again_at=1.0)
    assert "  parked: full (next attempt at " in mailbox_line(parked, Tally())


def test_an_incomplete_import_names_no_share_beside_its_messages() -> None:
    over = progress(_import(ImportState.FINISHED), _tally(100), {M.COMPLETE: 3, M.PARKED: 1})
    assert progress_line(over).startswith("incomplete; 3 of 4 mailboxes; 100 of 100 messages; ")
    whole = progress(_import(ImportState.FINISHED), _tally(100), {M.COMPLETE: 4})
    assert progress_line(whole).startswith("complete: 100%; 4 of 4 mailboxes; ")


def test_the_bar_measures_the_messages_that_stand_below_it() -> None:
    def drawn(states: dict[MailboxState, int]) -> str:
        stream = StringIO()
        known = progress(_import(), _tally(70), states)
        Console(file=stream, width=120).print(_drawn(known, (), ()))
        return stream.getvalue()

    counted = drawn({M.COMPLETE: 2, M.COPYING: 2})
    assert re.search(r"messages +\S+ +70.0%", counted)
    assert "70 of 100 messages" in counted
    assert re.search(r"import +\S+ +25.0%", drawn({M.COMPLETE: 1, M.QUEUED: 3})), "nobody knows how many there are"
