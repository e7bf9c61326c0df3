"""Draws the dashboards: `python deploy/grafana/make.py` writes dashboards/*.json.

Do not edit those by hand: a test compares them. A dashboard has rows, a row has panels side by side, and a panel has
queries with their legends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "dashboards"
_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A panel of a dashboard."""

    #: Title above the panel.
    title: str
    #: Legend of each query.
    queries: dict[str, str]
    #: "timeseries", "stat" or "heatmap".
    kind: str = "timeseries"
    #: Unit of the values, as Grafana names it.
    unit: str = "short"
    #: Explanation of what the panel shows.
    text: str = ""
    #: Whether the lines are stacked.
    stacked: bool = False
    #: Value from which the panel is red.
    red_from: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """A dashboard."""

    #: File name and uid.
    name: str
    #: Title of the dashboard.
    title: str
    #: Heading and panels of each row.
    rows: dict[str, tuple[Panel, ...]] = field(default_factory=dict)


def render(dashboard: Dashboard) -> dict[str, Any]:
    """Returns the dashboard in Grafana's form."""
    return {
        "uid": f"mailhaul-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["mailhaul"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "editable": False,
        "links": [
            {"type": "dashboards", "tags": ["mailhaul"], "title": "mailhaul", "asDropdown": False, "keepTime": True}
        ],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 2}
            ]
        },
        "panels": list(_panels(dashboard)),
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    top = number = 0
    for heading, panels in dashboard.rows.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": heading,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }
        top += 1
        height = 4 if all(panel.kind == "stat" for panel in panels) else 8
        width = _WIDTH // len(panels)
        for place, panel in enumerate(panels):
            number += 1
            yield _panel(number, panel) | {"gridPos": {"x": place * width, "y": top, "w": width, "h": height}}
        top += height


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    custom: dict[str, Any] = {}
    if panel.kind == "timeseries":
        custom = {"fillOpacity": 20 if panel.stacked else 5, "showPoints": "never", "spanNulls": False}
        if panel.stacked:
            custom["stacking"] = {"mode": "normal", "group": "A"}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + place), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
            for place, (query, legend) in enumerate(panel.queries.items())
        ],
    }


def stat(title: str, query: str, unit: str = "short", *, red_from: float | None = None, text: str = "") -> Panel:
    """Returns a panel of one number."""
    return Panel(title=title, queries={query: title}, kind="stat", unit=unit, red_from=red_from, text=text)


def quantiles(metric: str, by: str, quantile: float = 0.95) -> str:
    """Returns the query for a quantile of a histogram."""
    return f"histogram_quantile({quantile}, sum by ({by}, le) (rate({metric}_bucket[5m])))"


OVERVIEW = Dashboard(
    name="overview",
    title="mailhaul: the migration",
    rows={
        "How far": (
            stat("Messages to go", "max(mailhaul_backlog_messages)"),
            stat("Bytes to go", "max(mailhaul_backlog_bytes)", "bytes"),
            stat("Time to go", "max(mailhaul_eta_seconds)", "s", text="Empty while mailboxes are still being counted."),
            stat("Mailboxes complete", 'max(mailhaul_mailboxes{state="complete"})', text="Of imports that run."),
            stat("Mailboxes that wait for a person", 'max(mailhaul_mailboxes{state="parked"})', red_from=1),
            stat("Workers", "max(mailhaul_workers)"),
        ),
        "How fast": (
            Panel(
                title="Messages a second, by outcome",
                queries={"sum by (outcome) (rate(mailhaul_messages_total[1m]))": "{{outcome}}"},
                unit="cps",
                stacked=True,
            ),
            Panel(
                title="Bytes a second", queries={"sum(rate(mailhaul_message_bytes_total[1m]))": "copied"}, unit="Bps"
            ),
        ),
        "What is where": (
            Panel(title="Mailboxes", queries={"max by (state) (mailhaul_mailboxes)": "{{state}}"}, stacked=True),
            Panel(
                title="Units",
                queries={"max by (state) (mailhaul_units)": "{{state}}"},
                text="ready: a lane could take it now; leased: being worked on; delayed: waits for a moment.",
                stacked=True,
            ),
            Panel(title="Imports", queries={"max by (state) (mailhaul_imports)": "{{state}}"}, stacked=True),
        ),
    },
)
WORKERS = Dashboard(
    name="workers",
    title="mailhaul: workers and servers",
    rows={
        "Workers": (
            Panel(
                title="Lanes at work",
                queries={"sum(mailhaul_lanes_busy)": "busy", "sum(mailhaul_lanes)": "all"},
                text="More lanes do not help while these are not busy: the limits of connections decide.",
            ),
            Panel(
                title="Messages a second, by process",
                queries={"sum by (instance) (rate(mailhaul_messages_total[1m]))": "{{instance}}"},
                unit="cps",
            ),
            Panel(
                title="Memory",
                queries={'process_resident_memory_bytes{job=~"mailhaul-.*"}': "{{job}} {{instance}}"},
                unit="bytes",
            ),
            Panel(
                title="Cores",
                queries={'rate(process_cpu_seconds_total{job=~"mailhaul-.*"}[1m])': "{{job}} {{instance}}"},
            ),
        ),
        "Mail servers": (
            Panel(title="Connections", queries={"sum by (side) (mailhaul_imap_connections)": "{{side}}"}),
            Panel(
                title="Connections that a host lets in",
                queries={"max by (scope, host) (mailhaul_lanes_let_in)": "{{scope}} {{host}}"},
                text="Found by trying; docs/connections.md.",
            ),
            Panel(
                title="IMAP commands, 95 %",
                queries={"mailhaul:imap_command_seconds:p95": "{{side}} {{command}}"},
                unit="s",
                text="FETCH until its first message; APPEND of a group of messages until its answer.",
            ),
            Panel(
                title="Logins",
                queries={"sum by (side, result) (rate(mailhaul_imap_logins_total[5m]))": "{{side}} {{result}}"},
                unit="cps",
            ),
            Panel(
                title="Login time, 95 %",
                queries={quantiles("mailhaul_imap_login_duration_seconds", "side"): "{{side}}"},
                unit="s",
            ),
        ),
        "Units": (
            Panel(
                title="Ends of units",
                queries={"sum by (kind, result) (rate(mailhaul_units_total[5m])) > 0": "{{kind}} {{result}}"},
                unit="cps",
            ),
            Panel(
                title="Time of a unit, 95 %",
                queries={quantiles("mailhaul_unit_duration_seconds", "kind"): "{{kind}}"},
                unit="s",
            ),
        ),
        "Page and API": (
            Panel(
                title="Answers, by status",
                queries={"sum by (status) (rate(mailhaul_web_requests_total[5m]))": "{{status}}"},
                unit="cps",
                stacked=True,
            ),
            Panel(
                title="Time of an answer, 95 %",
                queries={quantiles("mailhaul_web_request_duration_seconds", "instance"): "{{instance}}"},
                unit="s",
            ),
        ),
        "Redis": (
            Panel(title="Scripts, 99 %", queries={"mailhaul:redis_script_seconds:p99": "{{script}}"}, unit="s"),
            Panel(
                title="Memory",
                queries={
                    "max(mailhaul_redis_memory_used_bytes)": "used",
                    "max(mailhaul_redis_memory_limit_bytes) > 0": "limit",
                },
                unit="bytes",
            ),
            Panel(
                title="Doorbells",
                queries={
                    "max by (queue) (mailhaul_queue_depth)": "{{queue}} waiting",
                    "max by (queue) (mailhaul_queue_unacked)": "{{queue}} at work",
                },
            ),
        ),
    },
)
TROUBLES = Dashboard(
    name="troubles",
    title="mailhaul: troubles",
    rows={
        "Must be zero": (
            stat("Found amiss by verification", 'sum(mailhaul_verify_mismatch_total{what!="normalised"})', red_from=1),
            stat("Second copies removed", "sum(mailhaul_duplicates_removed_total)", red_from=1),
            stat("Dead letters", "sum(max by (queue) (mailhaul_dead_letters))", red_from=1),
            stat("Notices not delivered", "max(mailhaul_notices_undelivered)", red_from=1),
            stat("Coordinators that lead, less one", "abs(sum(mailhaul_leader) - 1)", red_from=1),
            stat("Store away", "1 - min(mailhaul_store_up)", red_from=1),
            stat("AOF not well", "1 - min(mailhaul_redis_aof_ok)", red_from=1),
        ),
        "Who is in trouble": (
            Panel(
                title="Units that ended badly",
                queries={
                    (
                        'sum by (kind, result) (increase(mailhaul_units_total{result!~"finished|control|split|other"}[15m])) > 0'
                    ): "{{kind}} {{result}}",
                },
                text="mailhaul errors IMPORT says which mailboxes, what the server said, and what to do.",
            ),
            Panel(
                title="Messages without a copy",
                queries={
                    (
                        'sum by (outcome) (increase(mailhaul_messages_total{outcome=~"skipped|refused|vanished|failed"}[15m]))'
                    ): "{{outcome}}",
                },
            ),
            Panel(
                title="Logins that failed",
                queries={
                    'sum by (side, result) (increase(mailhaul_imap_logins_total{result!="ok"}[15m])) > 0': "{{side}} {{result}}"
                },
            ),
        ),
        "Interruptions": (
            Panel(
                title="Leases",
                queries={
                    "sum(increase(mailhaul_lease_lost_total[15m]))": "lost",
                    "sum(increase(mailhaul_leases_expired_total[15m]))": "expired",
                },
            ),
            Panel(
                title="Messages in doubt",
                queries={"sum by (found) (increase(mailhaul_in_doubt_messages_total[15m]))": "{{found}}"},
            ),
            Panel(
                title="Servers that asked to wait",
                queries={
                    "max(mailhaul_holds)": "left alone now",
                    "sum by (scope) (rate(mailhaul_throttle_wait_seconds_total[5m]))": "{{scope}}, share of time",
                },
            ),
            Panel(
                title="Waiting longest",
                queries={"max(mailhaul_runnable_oldest_age_seconds)": "was given nothing for"},
                unit="s",
            ),
        ),
        "Coordinator": (
            Panel(
                title="A turn, 95 %",
                queries={quantiles("mailhaul_tick_duration_seconds", "instance"): "{{instance}}"},
                unit="s",
            ),
            Panel(
                title="Doorbells rung by rescue",
                queries={"sum by (queue) (rate(mailhaul_doorbells_rung_total[5m]))": "{{queue}}"},
                unit="cps",
            ),
            Panel(
                title="Clock of Redis",
                queries={"max(abs(mailhaul_redis_clock_skew_seconds))": "apart from ours"},
                unit="s",
            ),
            Panel(
                title="Versions",
                queries={"count by (version, revision) (mailhaul_build_info)": "{{version}} {{revision}}"},
            ),
        ),
    },
)
DASHBOARDS = (OVERVIEW, WORKERS, TROUBLES)


def text_of(dashboard: Dashboard) -> str:
    """Returns the content of the dashboard's file."""
    return json.dumps(render(dashboard), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for one in DASHBOARDS:
        (HERE / f"{one.name}.json").write_text(text_of(one))
