"""Cases for each alert in the form of promtool's unit tests.

Each alert has a case in which it fires, and a similar one in which it does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Series of a healthy migration, a sample a minute: no alert fires on it.
WELL = {
    'mailhaul_backlog_messages{instance="c1"}': "100000-100x180",
    'mailhaul_backlog_messages{instance="c2"}': "0x180",
    'mailhaul_units{instance="c1",state="ready"}': "20x180",
    'mailhaul_units{instance="c1",state="leased"}': "16x180",
    'mailhaul_holds{instance="c1"}': "0x180",
    'mailhaul_rates_owing{instance="c1"}': "0x180",
    'mailhaul_messages_total{instance="w1",outcome="copied"}': "0+100x180",
    'mailhaul_runnable_oldest_age_seconds{instance="c1"}': "30x180",
    'mailhaul_look_lag_seconds{instance="c1"}': "60x180",
    'mailhaul_cutover_state_seconds{import="1",instance="c1",state="announced",wave="a"}': "0+60x180",
    'mailhaul_cutover_guard_met{import="1",instance="c1",guard="copied",wave="a"}': "1x180",
    'mailhaul_cutover_refused{import="1",instance="c1",wave="a"}': "0x180",
    'mailhaul_workers{instance="c1"}': "1x180",
    'mailhaul_leader{instance="c1"}': "1x180",
    'mailhaul_leader{instance="c2"}': "0x180",
    'mailhaul_mailboxes{instance="c1",state="parked"}': "0x180",
    'mailhaul_verify_mismatch_total{instance="w1",what="missing"}': "0x180",
    'mailhaul_duplicates_removed_total{instance="w1"}': "0x180",
    'mailhaul_withheld_messages_total{instance="w1"}': "0x180",
    'mailhaul_lease_lost_total{instance="w1"}': "0x180",
    'mailhaul_imap_logins_total{instance="w1",side="source",result="ok"}': "0+10x180",
    'mailhaul_imap_logins_total{instance="w1",side="source",result="auth_refused"}': "0x180",
    'mailhaul_units_total{instance="w1",kind="copy",result="finished"}': "0+10x180",
    'mailhaul_units_total{instance="w1",kind="copy",result="source_unreachable"}': "0+1x180",
    'mailhaul_store_up{instance="c1"}': "1x180",
    'mailhaul_redis_memory_used_bytes{instance="c1"}': "100x180",
    'mailhaul_redis_memory_limit_bytes{instance="c1"}': "1000x180",
    'mailhaul_redis_aof_ok{instance="c1"}': "1x180",
    'mailhaul_redis_clock_skew_seconds{instance="c1"}': "0.1x180",
    'mailhaul_dead_letters{instance="c1",queue="copy"}': "0x180",
    'mailhaul_notices_waiting{instance="c1"}': "0x180",
    'mailhaul_notices_undelivered{instance="c1"}': "0x180",
    'up{job="mailhaul-coordinator",instance="c1"}': "1x180",
    'up{job="mailhaul-worker",instance="w1"}': "1x180",
    'up{job="mailhaul-web",instance="p1"}': "1x180",
    'mailhaul_web_requests_total{instance="p1",status="2xx"}': "0+100x180",
    'mailhaul_web_requests_total{instance="p1",status="5xx"}': "0+4x180",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change to a healthy migration."""

    #: Description of the change.
    what: str
    #: Series that differ; None for series that do not exist.
    series: dict[str, str | None]
    #: Labels, beside severity, of each alert that fires after `minutes`.
    fires: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Minute at which the alerts are evaluated.
    minutes: int = 40


_NOTHING = {'mailhaul_messages_total{instance="w1",outcome="copied"}': "50x180"}
_IDLE = {'mailhaul_units{instance="c1",state="leased"}': "0x180"}
_IN = 'mailhaul_cutover_state_seconds{{import="1",instance="c1",state="{}",wave="b"}}'
_COPIED = 'mailhaul_cutover_guard_met{import="1",instance="c1",guard="copied",wave="b"}'
CASES = (
    Case(what="all is well", series={}),
    Case(what="nothing is copied", series=_NOTHING, fires={"MailhaulStalled": {}}),
    Case(
        what="nothing is copied: it is paused",
        series=_NOTHING | _IDLE | {'mailhaul_units{instance="c1",state="ready"}': "0x180"},
    ),
    Case(
        what="nothing is copied: servers asked to wait, a while",
        series=_NOTHING | {'mailhaul_holds{instance="c1"}': "0x20 1x160"},
    ),
    Case(
        what="nothing is copied: the day's bytes are used up",
        series=_NOTHING
        | _IDLE
        | {
            'mailhaul_rates_owing{instance="c1"}': "40x180",
            'mailhaul_runnable_oldest_age_seconds{instance="c1"}': "0+60x180",
        },
    ),
    Case(
        what="servers ask to wait, and go on asking",
        series={'mailhaul_holds{instance="c1"}': "3x180"},
        fires={"MailhaulThrottled": {}},
    ),
    Case(
        what="work is there and nobody takes it",
        series=_IDLE | {'mailhaul_runnable_oldest_age_seconds{instance="c1"}': "0+60x180"},
        fires={"MailhaulNothingClaimed": {}},
    ),
    Case(
        what="thousands wait for their turn while others are served",
        series={'mailhaul_runnable_oldest_age_seconds{instance="c1"}': "0+60x180"},
    ),
    Case(
        what="looks come late, and then too late",
        series={'mailhaul_look_lag_seconds{instance="c1"}': "0+60x180"},
        fires={"MailhaulLooksLate": {}},
        minutes=45,
    ),
    Case(
        what="looks come late for a while",
        series={'mailhaul_look_lag_seconds{instance="c1"}': "0x20 2000x5 0x150"},
    ),
    *(
        Case(
            what=f"a cutover is {state} for too long",
            series={_IN.format(state): "0+60x180"},
            fires={"MailhaulCutoverWaits": {"import": "1", "wave": "b", "state": state}},
        )
        for state in ("drafted", "checked", "switched")
    ),
    *(
        Case(what=f"a cutover is {state}, for a person decides", series={_IN.format(state): "90000+60x180"})
        for state in ("synced", "announced")
    ),
    Case(what="a cutover is switched within minutes", series={_IN.format("switched"): "0+60x10 _x170"}),
    Case(
        what="everybody is copied, and yet not in sync",
        series={_IN.format("staging"): "0+60x180", _COPIED: "1x180"},
        fires={"MailhaulCutoverWaits": {"import": "1", "wave": "b", "state": "staging"}},
        minutes=80,
    ),
    Case(
        what="the first pass of a wave takes hours",
        series={_IN.format("staging"): "0+60x180", _COPIED: "0x180"},
        minutes=80,
    ),
    Case(
        what="the old server gets mail for days",
        series={_IN.format("draining"): "259000+60x180"},
        fires={"MailhaulCutoverWaits": {"import": "1", "wave": "b", "state": "draining"}},
    ),
    Case(what="a wave drains for a day", series={_IN.format("draining"): "86400+60x180"}),
    Case(
        what="a switch refused some",
        series={'mailhaul_cutover_refused{import="1",instance="c1",wave="b"}': "0x10 3x170"},
        fires={"MailhaulSwitchRefused": {"import": "1", "wave": "b"}},
    ),
    Case(what="no worker", series={'mailhaul_workers{instance="c1"}': "0x180"}, fires={"MailhaulNoWorkers": {}}),
    Case(
        what="no worker, and nothing to do",
        series={'mailhaul_workers{instance="c1"}': "0x180", 'mailhaul_backlog_messages{instance="c1"}': "0x180"},
    ),
    Case(what="nobody leads", series={'mailhaul_leader{instance="c1"}': "0x180"}, fires={"MailhaulNoLeader": {}}),
    Case(
        what="no coordinator at all",
        series={name: None for name in WELL if "c1" in name or "c2" in name},
        fires={"MailhaulNoLeader": {}, "MailhaulTargetAbsent": {"job": "mailhaul-coordinator"}},
    ),
    Case(
        what="a coordinator is killed and back within a minute",
        series={
            'mailhaul_leader{instance="c1"}': "1x20 0x1 1x150",
            'up{job="mailhaul-coordinator",instance="c1"}': "1x20 0x1 1x150",
        },
        minutes=24,
    ),
    Case(
        what="a worker is killed and back",
        series={
            'up{job="mailhaul-worker",instance="w1"}': "1x20 0x1 1x150",
            'mailhaul_workers{instance="c1"}': "1x20 0x1 1x150",
            'mailhaul_messages_total{instance="w1",outcome="copied"}': "0+100x20 _ 0+100x150",
        },
        minutes=24,
    ),
    Case(
        what="Redis is killed and back",
        series={'mailhaul_store_up{instance="c1"}': "1x20 0x1 1x150"},
        minutes=24,
    ),
    Case(
        what="mailboxes are parked",
        series={'mailhaul_mailboxes{instance="c1",state="parked"}': "0x10 4x170"},
        fires={"MailhaulParked": {}},
    ),
    Case(
        what="verification misses messages",
        series={'mailhaul_verify_mismatch_total{instance="w1",what="missing"}': "0x30 2x150"},
        fires={"MailhaulVerifyMismatch": {"what": "missing"}},
    ),
    Case(
        what="verification finds other content",
        series={'mailhaul_verify_mismatch_total{instance="w1",what="altered"}': "0x30 3x150"},
        fires={"MailhaulVerifyMismatch": {"what": "altered"}},
    ),
    Case(
        what="a destination normalises line ends",
        series={'mailhaul_verify_mismatch_total{instance="w1",what="normalised"}': "0x30 77x150"},
    ),
    Case(
        what="verification missed messages long ago",
        series={'mailhaul_verify_mismatch_total{instance="w1",what="missing"}': "0x5 2x175"},
        minutes=120,
    ),
    Case(
        what="a source shows fewer messages than it counts",
        series={'mailhaul_withheld_messages_total{instance="w1"}': "0x30 1500x150"},
        fires={"MailhaulSourceWithholds": {}},
    ),
    Case(
        what="a source showed fewer messages than it counted long ago",
        series={'mailhaul_withheld_messages_total{instance="w1"}': "0x5 1500x175"},
        minutes=120,
    ),
    Case(
        what="second copies were removed",
        series={'mailhaul_duplicates_removed_total{instance="w1"}': "0x30 1x150"},
        fires={"MailhaulDuplicatesRemoved": {}},
    ),
    Case(
        what="many leases are lost",
        series={'mailhaul_lease_lost_total{instance="w1"}': "0+1x180"},
        fires={"MailhaulLeasesLost": {}},
    ),
    Case(what="some leases are lost", series={'mailhaul_lease_lost_total{instance="w1"}': "0x30 5x150"}),
    Case(
        what="logins are refused",
        series={'mailhaul_imap_logins_total{instance="w1",side="source",result="auth_refused"}': "0+5x180"},
        fires={"MailhaulLoginsRefused": {"side": "source"}},
    ),
    Case(
        what="a few wrong passwords among many logins",
        series={
            'mailhaul_imap_logins_total{instance="w1",side="source",result="auth_refused"}': "0+2x180",
            'mailhaul_imap_logins_total{instance="w1",side="source",result="ok"}': "0+100x180",
        },
    ),
    Case(
        what="most units fail",
        series={'mailhaul_units_total{instance="w1",kind="copy",result="source_unreachable"}': "0+20x180"},
        fires={"MailhaulErrors": {}},
    ),
    Case(what="Redis is away", series={'mailhaul_store_up{instance="c1"}': "0x180"}, fires={"MailhaulStoreDown": {}}),
    Case(
        what="Redis is nearly full",
        series={'mailhaul_redis_memory_used_bytes{instance="c1"}': "800x180"},
        fires={"MailhaulRedisMemory": {}},
    ),
    Case(
        what="Redis has no limit",
        series={
            'mailhaul_redis_memory_used_bytes{instance="c1"}': "8000x180",
            'mailhaul_redis_memory_limit_bytes{instance="c1"}': "0x180",
        },
    ),
    Case(
        what="the AOF fails", series={'mailhaul_redis_aof_ok{instance="c1"}': "0x180"}, fires={"MailhaulRedisAof": {}}
    ),
    Case(
        what="clocks differ",
        series={'mailhaul_redis_clock_skew_seconds{instance="c1"}': "-9x180"},
        fires={"MailhaulClockSkew": {}},
    ),
    Case(
        what="a notice could not be delivered",
        series={'mailhaul_notices_undelivered{instance="c1"}': "1x180"},
        fires={"MailhaulNotTold": {}},
    ),
    Case(
        what="notices wait and nobody sends them",
        series={'mailhaul_notices_waiting{instance="c1"}': "2x180"},
        fires={"MailhaulNotTold": {}},
        minutes=80,
    ),
    Case(
        what="a notice waits for a moment now and then",
        series={'mailhaul_notices_waiting{instance="c1"}': "1 0 0 1 0 0 1 0 0 1 0x170"},
        minutes=80,
    ),
    Case(
        what="dead letters",
        series={'mailhaul_dead_letters{instance="c1",queue="copy"}': "3x180"},
        fires={"MailhaulDeadLetters": {}},
    ),
    Case(
        what="no worker is reached",
        series={'up{job="mailhaul-worker",instance="w1"}': "0x180"},
        fires={"MailhaulTargetAbsent": {"job": "mailhaul-worker"}},
    ),
    Case(
        what="a web process does not answer",
        series={'up{job="mailhaul-web",instance="p1"}': "0x180"},
        fires={"MailhaulPageDown": {}},
    ),
    Case(what="nobody wants a page", series={'up{job="mailhaul-web",instance="p1"}': None}),
    Case(
        what="the page answers with errors",
        series={'mailhaul_web_requests_total{instance="p1",status="5xx"}': "0+10x180"},
        fires={"MailhaulPageErrors": {}},
    ),
)
