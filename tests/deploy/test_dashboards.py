"""Tests that the dashboards are what their generator draws, and show only metrics that exist."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.make import DASHBOARDS, Dashboard, text_of
from tests.deploy.catalogue import families, named_in

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "grafana"
RECORDED = {
    rule["record"]: rule["expr"]
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
PANELS: list[tuple[str, dict[str, Any]]] = [
    (f"{dashboard.name}: {panel['title']}", panel)
    for dashboard in DASHBOARDS
    for panel in json.loads(text_of(dashboard))["panels"]
    if panel["type"] != "row"
]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_the_file_is_what_the_generator_draws(dashboard: Dashboard) -> None:
    assert (FOLDER / "dashboards" / f"{dashboard.name}.json").read_text() == text_of(dashboard), (
        "run python deploy/grafana/make.py"
    )


@pytest.mark.parametrize(("title", "panel"), PANELS, ids=[title for title, _ in PANELS])
def test_no_panel_names_a_metric_that_does_not_exist(title: str, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        names = named_in(target["expr"])
        assert names, target
        assert names <= families() | set(RECORDED)


def test_what_is_recorded_exists() -> None:
    for expression in RECORDED.values():
        assert named_in(expression) <= families()


def test_a_name_that_does_not_exist_is_found_out() -> None:
    """The negative control: a name that does not exist is found."""
    assert not named_in('sum(mailhaul_nonsense_total{side="mailhaul_leader"})') <= families()


def test_every_query_is_one(tmp_path: Path) -> None:
    """Lets promtool parse each query as a rule."""
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (tests/install-servers)")
    expressions = [target["expr"] for _, panel in PANELS for target in panel["targets"]]
    rules = [{"record": f"panel:{place}", "expr": expression} for place, expression in enumerate(expressions)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_panels_neither_overlap_nor_leave_the_page() -> None:
    for dashboard in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text_of(dashboard))["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_what_is_provisioned_is_where_compose_mounts_it() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "mailhaul.yml").read_text())["providers"][0]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in volumes
