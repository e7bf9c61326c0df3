"""Tests forecasts against real runs: Dovecots, workers and limits that are small enough to decide how long it takes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from producer.forecast.gathering import FASTEST
from producer.notices.watching import NoticeWatch
from producer.operations import forecasting
from producer.show import foreseen
from shared.model import Import
from shared.model.lifecycle import ImportState, MailboxState
from shared.model.rates import DAY_SECONDS
from shared.rules.hours import read_hours
from tests.conftest import DovecotPair
from tests.integration.process_cluster import ProcessCluster, folders_of

#: Bytes a second that each account at the source gives.
RATE = 40_000


def _counted(admin_env: ProcessCluster, whole: Import) -> bool:
    rows = admin_env.store.mailboxes(whole.import_id)
    return all(mailbox.state not in (MailboxState.QUEUED, MailboxState.PLANNING) for mailbox, _ in rows)


def test_under_a_rate_it_ends_when_it_was_forecast_to(dovecot_pair: DovecotPair) -> None:
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env:
        admin_env.person(folders_of(81, {"INBOX": 60, "Work": 240}))
        admin_env.person(folders_of(82, {"INBOX": 40}))
        admin_env.store.set_limit("source_account.bytes_per_second", RATE)
        admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until(lambda: _counted(admin_env, whole), "the plans")
        watch = NoticeWatch(admin_env.store, 600)
        watch.look(time.time())
        left = max(tally.size_bytes - tally.done_bytes for _, tally in admin_env.store.mailboxes(whole.import_id))
        (first,) = admin_env.store.forecasts(whole.import_id)
        assert any("a second from each account at the source" in line for line in first.binds)
        admin_env.await_finished(whole)
        import_ = admin_env.store.import_(whole.import_id)
        assert import_ is not None
        assert import_.state is ImportState.FINISHED
        (score,) = forecasting.scored(admin_env.store, import_)
        took, forecast = import_.finished_at - first.made_at, first.ends_at - first.made_at
        # Some of it had gone before `left` was counted. A busy machine may be late, and is never early.
        assert forecast > 0.6 * left / RATE - 2
        assert 0.6 * forecast - 2 < took < 1.6 * forecast + 180, "what a lane may do at once, and a busy machine"
        assert score.late_seconds is not None
        assert "it ended" in foreseen.score_line(score)
        # The control: without the rate it would have been forecast far earlier.
        admin_env.store.set_limit("source_account.bytes_per_second", None)


def test_a_budget_a_day_is_forecast_in_days_and_what_was_spent_counts(dovecot_pair: DovecotPair) -> None:
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env:
        frugal = admin_env.person(folders_of(83, {"INBOX": 100, "Work": 400}))
        admin_env.store.set_limit("source_account.bytes_per_day", 100_000)
        admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()

        def waits() -> bool:
            ((mailbox, _),) = admin_env.store.mailboxes(whole.import_id)
            return bool(mailbox.failure and mailbox.failure.code == "rate_waiting" and not admin_env.leased())

        admin_env.until(waits, "the day to be spent")
        ((mailbox, tally),) = admin_env.store.mailboxes(whole.import_id)
        import_ = admin_env.store.import_(whole.import_id)
        assert import_ is not None
        assert mailbox.source.login == frugal.login
        found = forecasting.made_and_kept(admin_env.store, import_)
        left = tally.size_bytes - tally.done_bytes
        days = -(-left // 100_000)  # the first of them begins when this one is over
        assert mailbox.failure is not None
        expected = mailbox.failure.next_at + (days - 1) * DAY_SECONDS
        assert abs(found.kept.ends_at - expected) < 600
        assert "1 of 1 mailboxes need more than a day at 100.0 kB a day" in found.kept.binds[0]
        assert FASTEST.size_bytes > left, "by speed alone it would be a second"


def test_outside_its_hours_an_import_ends_after_they_begin(dovecot_pair: DovecotPair) -> None:
    # Each message is a group of its own and puts the account into half a minute of debt: ten minutes in all. In groups of
    # twenty all mail went at once, and a slow machine found the import at its end before it had hours.
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="1") as admin_env:
        admin_env.person(folders_of(84, {"INBOX": 20}))
        admin_env.start_worker()
        admin_env.start_coordinator()
        admin_env.store.set_limit("destination_account.bytes_per_second", 50)
        whole = admin_env.submit()
        admin_env.until(lambda: _counted(admin_env, whole), "the plan")
        begins = (datetime.now(UTC) + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
        hours = read_hours(f"{begins:%H}:00-{begins:%H}:59 UTC")
        span = hours.span(time.time())
        admin_env.store.set_window(whole.import_id, hours.text, span.opens_at, span.shuts_at)
        import_ = admin_env.store.import_(whole.import_id)
        assert import_ is not None
        assert import_.state is ImportState.RUNNING, "the control: something is left to forecast"
        found = forecasting.made_and_kept(admin_env.store, import_)
        assert begins.timestamp() < found.kept.ends_at < begins.timestamp() + 1800
        assert "the hours in which it may work" in " ".join(found.kept.binds)
