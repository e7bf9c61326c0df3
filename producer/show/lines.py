"""Makes text for a terminal or a log: one line of progress, the summary, the errors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from producer.coordinator.tally import Progress, ProgressState
from producer.operations.trouble import HARMLESS, ErrorGroup, FailedMailbox
from producer.operations.trouble import word as word_of
from producer.show.waiting import full, moment, next_try, room_of, since, waiting_for, waiting_lines
from shared.model import Mailbox, Tally, WaitKind, Wave
from shared.model.lifecycle import SETTLED, Control, MailboxState, Outcome
from shared.runtime.logs import clean
from shared.wording.phrases import Phrase
from shared.wording.spoken import spoken_duration, spoken_size

ONE_UNDELIVERED: Final = Phrase(
    "notice_undelivered", "{num} notice could not be delivered within a day: mailhaul notify list says why"
)
UNDELIVERED: Final = Phrase(
    "notices_undelivered", "{num} notices could not be delivered within a day: mailhaul notify list says why"
)

#: Number of mailboxes named under one kind of error, unless all are asked for.
_NAMED = 5


def spoken_mailboxes(number: int) -> str:
    """Words a number of mailboxes."""
    return f"{number:,} mailbox{'es' if number != 1 else ''}"


def percent(share: float | None) -> str:
    """Words a share as a percentage; it is never "100%" before the share is 1."""
    return "?" if share is None else f"{int(share * 1000) / 10:.1f}%" if share < 1 else "100%"


def eta(progress: Progress) -> str:
    """Words the time left."""
    if progress.finished:
        return "finished"
    if progress.eta_range is None:
        return "ETA: calculating"
    low, high = map(spoken_duration, progress.eta_range)
    return f"about {low} left" if low == high else f"{low} to {high} left"


def time_left(progress: Progress) -> list[str]:
    """Words the time left; returns nothing while a wait explains why nothing moves."""
    return [] if progress.held and progress.eta_range is None else [eta(progress)]


def lost_worker(progress: Progress) -> str:
    """Words what waits for a silent worker's lease to expire; "" when nothing does."""
    stranded = progress.stranded
    if not stranded.units or progress.outage:
        return ""
    what = f"{stranded.messages:,} message{'s' if stranded.messages != 1 else ''}" if stranded.messages else "work"
    are = "are" if stranded.messages > 1 else "is"
    return f"{what} {are} held by a worker that stopped responding, free in about {spoken_duration(stranded.seconds)}"


def progress_line(progress: Progress) -> str:
    """Returns all progress in one line."""
    tally = progress.tally
    # How far it came is what the numbers say, once nothing goes on.
    over = progress.finished and progress.word is not ProgressState.COMPLETE
    parts = [progress.word if over else f"{progress.word}: {percent(progress.share)}"]
    if not progress.finished:
        parts += waiting_lines(progress)[:1]
    parts.append(f"{progress.mailboxes_complete:,} of {spoken_mailboxes(progress.mailboxes_total)}")
    parts += known_part(progress)
    if (
        not progress.finished
        and progress.import_.control is Control.RUN
        and progress.word not in (ProgressState.WAITING, ProgressState.INTERRUPTED)
    ):
        if progress.messages_per_second:
            rate = f"{progress.messages_per_second:,.0f} messages/s, {spoken_size(round(progress.bytes_per_second))}/s"
            parts.append(rate)
        parts += [*filter(None, [lost_worker(progress)]), *time_left(progress)]
    parts += mailbox_words(progress)
    if amiss := tally[Outcome.FAILED] + tally[Outcome.REFUSED]:
        parts.append(f"{amiss:,} messages refused or failed")
    parts += filter(None, [withheld(tally), folders_not_read(tally.unreadable)])
    return "; ".join(parts)


def known_part(progress: Progress) -> list[str]:
    """Words the messages and bytes counted so far.

    They are not the whole import while mailboxes are still to be counted.
    """
    tally, counting = progress.tally, "" if progress.counted else " counted so far"
    if not tally.messages:
        return [] if progress.finished else ["no message counted yet"]
    said = f"{progress.done_messages:,} of {tally.messages:,} messages{counting}"
    sizes = f"{spoken_size(tally.done_bytes)} of {spoken_size(tally.size_bytes)}"
    compared = f"{progress.compared:,} of {progress.to_compare:,} messages compared byte by byte"
    return [said, sizes, *([compared] if progress.comparing else [])]


#: Sign of each mailbox state in a bar of text, in the order of the bar.
BAR: Final = {
    MailboxState.COMPLETE: "#",
    MailboxState.VERIFYING: "=",
    MailboxState.COPYING: ">",
    MailboxState.PLANNING: "-",
    MailboxState.QUEUED: ".",
    MailboxState.PARKED: "!",
    MailboxState.CANCELLED: "x",
}


def cells(mailboxes: Mapping[MailboxState, int], width: int) -> list[tuple[MailboxState, int]]:
    """Divides a bar of `width` cells by state: at least one cell for each state that occurs, the others by share."""
    there = [(state, mailboxes.get(state, 0)) for state in BAR if mailboxes.get(state)]
    total, free = sum(number for _, number in there), max(0, width - len(there))
    found = {state: 1 + number * free // total for state, number in there}
    if found:
        largest = max(there, key=lambda pair: pair[1])[0]
        found[largest] += max(0, width - sum(found.values()))
    return list(found.items())


def state_bar(mailboxes: Mapping[MailboxState, int], width: int = 40) -> str:
    """Returns the bar with its legend: "[####>>..] # 4 complete, > 2 copying, . 2 queued"."""
    bar = "".join(BAR[state] * count for state, count in cells(mailboxes, width))
    legend = ", ".join(f"{BAR[state]} {mailboxes[state]:,} {state}" for state in BAR if mailboxes.get(state))
    return f"[{bar}] {legend}"


def mailbox_words(progress: Progress) -> list[str]:
    """Words how many mailboxes do not go on.

    Full ones, which go on by themselves, are counted apart from those that wait for the operator.
    """
    full_ones = sum(wait.mailboxes for wait in progress.waits if wait.what is WaitKind.ROOM)
    counts = {
        "parked (full)": full_ones,
        "parked": progress.mailboxes.get(MailboxState.PARKED, 0) - full_ones,
        "cancelled": progress.mailboxes.get(MailboxState.CANCELLED, 0),
    }
    return [f"{number} {word}" for word, number in counts.items() if number > 0]


def wave_line(wave: Wave) -> str:
    """Returns a wave in one line: how many of its mailboxes are in which state, and what is set of it."""
    name = clean(wave.name) if wave.name else "(without a wave)"
    states = ", ".join(f"{wave.mailboxes[state]:,} {state}" for state in BAR if wave.mailboxes.get(state))
    said = ["paused"] if wave.control is Control.PAUSE else []
    said += [f"starts {moment(wave.starts_at)}"] if wave.starts_at else []
    said += [f"hours {clean(wave.window)}"] if wave.window else []
    said += [f"weight {wave.weight}"] if wave.weight != 1 else []
    said += [f"order {wave.order}"] if wave.order else []
    return f"{name}: {'; '.join([states or 'no mailbox', *said])}"


def outcome_words(tally: Tally) -> str:
    """Words every outcome that occurred; they add up to the messages."""
    names = {
        "copied": tally[Outcome.COPIED],
        "already there": tally[Outcome.ALREADY_PRESENT],
        "skipped": tally[Outcome.SKIPPED],
        "refused": tally[Outcome.REFUSED],
        "vanished": tally[Outcome.VANISHED],
        "failed": tally[Outcome.FAILED],
        "withheld by the source": tally.withheld,
        "pending": tally.pending,
    }
    said = [f"{number:,} {name}" for name, number in names.items() if number]
    return ", ".join(said) or "nothing to copy"


def summary(progress: Progress, copied_now: int | None, seconds: float, groups: Sequence[ErrorGroup]) -> Iterator[str]:
    """Yields the lines printed at the end; `copied_now` is None for a command that only watched."""
    tally, import_ = progress.tally, progress.import_
    states = ", ".join(f"{n} {state}" for state, n in progress.mailboxes.items() if n)
    yield f"import {clean(import_.name)} ({import_.import_id[:8]}): {progress.word} after {spoken_duration(seconds)}"
    yield f"  mailboxes: {states}"
    if tally.messages or progress.mailboxes_total == progress.mailboxes.get(MailboxState.COMPLETE):
        yield f"  messages:  {tally.messages:,} ({spoken_size(tally.size_bytes)}): {outcome_words(tally)}"
    if copied_now is not None and (import_.passes > 1 or copied_now != tally[Outcome.COPIED]):
        yield f"  this run:  {copied_now:,} copied"
    if tally.compared:
        yield f"  verified:  {_messages(tally.compared)} read on both sides, {_how_equal(tally)}"
    for name, number in (
        ("missing", tally.missing),
        ("flags or keywords lost", tally.keywords_lost),
        ("sent in another size than announced", tally.resized),
    ):
        if number:
            yield f"  {name}: {number:,}"
    yield from (f"  {line}" for line in difference_lines(tally))
    yield from (f"  {line}" for line in waiting_lines(progress))
    if groups:
        yield ""
        yield from error_lines(groups)


def _how_equal(tally: Tally) -> str:
    """Words what a comparison byte by byte found."""
    if tally.altered:
        return f"{tally.altered:,} not equal"
    return "equal but for what the destination normalised" if tally.normalised else "all equal"


def quiet_summary(progress: Progress, seconds: float, groups: Sequence[ErrorGroup]) -> Iterator[str]:
    """Yields the errors and one line, for an operator who asked for no more (``--quiet``)."""
    yield from error_lines([group for group in groups if group.code not in HARMLESS])
    yield next(summary(progress, None, seconds, ()))


def difference_lines(tally: Tally) -> Iterator[str]:
    """Yields how copies differ from their originals: faults first, then harmless differences."""
    if tally.altered:
        are = "messages at the destination are" if tally.altered > 1 else "message at the destination is"
        yield f"{tally.altered:,} {are} not what was copied (failures.csv of the report)"
    if tally.normalised:
        yield f"{_messages(tally.normalised)}: the destination normalised line endings or dates (harmless)"
    if tally.doubled:
        may = "messages may stand" if tally.doubled > 1 else "message may stand"
        yield f"{tally.doubled:,} {may} twice at the destination: nothing was removed (notes.csv of the report)"
    if tally.undone:
        yield f"{_messages(tally.undone)}: a second copy of ours was removed at the destination"
    if tally.moved:
        yield f"{_messages(tally.moved)}: moved by their user at the destination (notes.csv of the report)"
    if tally.removed:
        yield f"{_messages(tally.removed)}: removed by their user at the destination; not copied again (notes.csv of the report)"
    if tally.moved_at_source:
        number = _messages(tally.moved_at_source)
        yield f"{number}: moved at the source, and their copies with them (notes.csv of the report)"
    if tally.deleted_at_source:
        number = _messages(tally.deleted_at_source)
        yield f"{number}: deleted at the source after they were copied (notes.csv of the report says which copies stay)"
    if tally.dates_changed:
        yield f"{_messages(tally.dates_changed)}: another date, since the source's cannot be used or kept (notes.csv of the report)"


def _messages(number: int) -> str:
    return f"{number:,} message{'s' if number > 1 else ''}"


def error_lines(groups: Iterable[ErrorGroup], *, everyone: bool = False) -> Iterator[str]:
    """Yields each kind of trouble: what happened, to which mailboxes, what the server said, what to do."""
    for group in groups:
        times = len(group.sufferers)
        where = f", at {group.server}" if group.server else ""
        yield f"{group.code}: {clean(group.sentence)}{where}" + (f" ({times} times)" if times > 1 else "")
        shown = group.sufferers if everyone else group.sufferers[:_NAMED]
        for who in shown:
            folder = f", folder {clean(who.folder)}" if who.folder else ""
            count = f", {who.messages:,} message{'s' if who.messages != 1 else ''}" if who.messages else ""
            said = f": {clean(who.detail)}" if who.detail else ""
            to = f" → {clean(who.destination_login)}" if group.code.startswith("destination") else ""
            room = full(who.missing_bytes, who.again_at) or times_of(who)
            yield f"    row {who.row}, {clean(who.login)}{to}{folder}{count}{said}{room and f' ({room})'}"
        if times > len(shown):
            yield f"    … and {times - len(shown)} more: mailhaul errors"
        if group.advice:
            yield f"    → {clean(group.advice)}"


def withheld(tally: Tally) -> str:
    """Words how many messages the source counts and does not show; "" for none."""
    return (
        f"the source shows {tally.messages - tally.withheld:,} of {tally.messages:,} messages" if tally.withheld else ""
    )


def times_of(who: FailedMailbox) -> str:
    """Words since when the trouble lasts and when the next try is, or since when it is over; "" if neither is known."""
    if who.over_at:
        return f"over since {moment(who.over_at)}"
    then = next_try(who.next_at) if who.next_at else ""
    return ", ".join(filter(None, [since(who.since).strip() if then else "", then]))


def folders_not_read(number: int) -> str:
    """Words how many folders cannot be read at the source; "" for none."""
    return f"{number:,} folder{'s' if number != 1 else ''} cannot be read at the source" if number else ""


def mailbox_line(mailbox: Mailbox, tally: Tally) -> str:
    """Returns the line of one mailbox in a short table."""
    to = "" if mailbox.destination.login == mailbox.source.login else f" → {clean(mailbox.destination.login)}"
    settled = mailbox.state in SETTLED or mailbox.control is Control.RUN
    word = word_of(mailbox, tally) if settled else f"{mailbox.state} ({mailbox.control} wanted)"
    if mailbox.again_at:
        word = f"{word}: full ({room_of(mailbox)})"
    if mailbox.state is MailboxState.VERIFYING and mailbox.compared:
        word = f"{word} ({mailbox.compared:,} messages compared byte by byte)"
    if mailbox.behind:
        word = f"{word} ({waiting_for(mailbox)})"
    counted = tally.messages or mailbox.state is MailboxState.COMPLETE
    words = outcome_words(tally) if counted else "nothing counted yet"
    if tally.unreadable:
        words += f"; {folders_not_read(tally.unreadable)}"
    for number, what in (
        (tally.missing, "missing"),
        (tally.moved, "moved by the user"),
        (tally.removed, "removed by the user"),
        (tally.moved_at_source, "moved at the source"),
        (tally.deleted_at_source, "deleted at the source"),
    ):
        words += f"; {number:,} {what}" if number else ""
    return f"  row {mailbox.row}  {clean(mailbox.source.login)}{to}  {word}  {words}"


def undelivered_line(number: int) -> str:
    """Words how many notices could not be delivered; "" for none."""
    if not number:
        return ""
    return (UNDELIVERED if number > 1 else ONE_UNDELIVERED).says(num=f"{number:,}")
