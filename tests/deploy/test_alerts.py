"""Tests the alerting rules: each fires when it should and only then, and has its section in the runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alerts import CASES, WELL, Case
from tests.deploy.catalogue import families, named_in

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}


def promtool(*arguments: str | Path) -> str:
    """Runs promtool, which Debian's package `prometheus` has; tests/install-servers installs it."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("needs promtool (tests/install-servers)")
    done = subprocess.run([found, *map(str, arguments)], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unit_test(case: Case, rules: Path) -> dict[str, Any]:
    """Returns one file of promtool's unit tests. Every other alert must be silent."""
    series = {name: values for name, values in (WELL | case.series).items() if values is not None}
    expected = []
    for alert in ALERTS:
        labels = {"severity": ALERTS[alert]["labels"]["severity"], **case.fires.get(alert, {})}
        expected.append(
            {
                "eval_time": f"{case.minutes}m",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": labels}] if alert in case.fires else [],
            }
        )
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": expected,
            }
        ],
    }


@pytest.fixture(scope="module")
def bare_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the rules without their sentences, which promtool would compare word by word."""
    groups = json.loads(json.dumps(GROUPS))
    for group in groups:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_just_the_right_alerts_fire(case: Case, bare_rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(unit_test(case, bare_rules)))
    promtool("test", "rules", path)


def test_a_rule_that_never_fires_is_found_out(bare_rules: Path, tmp_path: Path) -> None:
    """The negative control: an alert that never fires fails the test."""
    weak = tmp_path / "rules.yml"
    weak.write_text(bare_rules.read_text().replace("mailhaul_redis_aof_ok) == 0", "mailhaul_redis_aof_ok) == 7"))
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(unit_test(next(c for c in CASES if c.what == "the AOF fails"), weak)))
    with pytest.raises(AssertionError, match="MailhaulRedisAof"):
        promtool("test", "rules", path)


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    assert {alert for case in CASES for alert in case.fires} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_its_section_in_the_runbook(alert: str) -> None:
    page, _, anchor = ALERTS[alert]["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor == alert.lower()
    assert alert in headings


@pytest.mark.parametrize("alert", ALERTS)
def test_no_alert_names_a_metric_that_does_not_exist(alert: str) -> None:
    assert named_in(ALERTS[alert]["expr"]) <= families()


def test_the_files_are_well_formed() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", "--syntax-only", ROOT / "deploy" / "prometheus" / "prometheus.yml")
