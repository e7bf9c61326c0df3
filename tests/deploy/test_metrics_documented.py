"""Tests that docs/operations.md lists every metric, and no other."""

from __future__ import annotations

import re

from tests.deploy.catalogue import ROOT, exported

PAGE = (ROOT / "docs" / "operations.md").read_text().partition("\n## Metrics")[2]


def test_the_list_of_metrics_is_whole() -> None:
    listed = {name.partition("{")[0] for name in re.findall(r"`([\w{},]+)`", PAGE) if name != "mailhaul_"}
    functions = {"max", "sum", "rate", "increase", "copy"}
    assert listed - functions == {name.removeprefix("mailhaul_") for name in exported()}
