"""Lists every metric that a process exports, read from the registries themselves."""

from __future__ import annotations

import re
from pathlib import Path

from shared.metrics import CoordinatorMetrics, WebMetrics, WorkerMetrics
from shared.model.cutover import Cutover
from shared.model.lanes import LanePlace, LaneSearch
from shared.model.lifecycle import CutoverState

ROOT = Path(__file__).resolve().parents[2]
#: Metrics that Prometheus itself adds.
_OWN = {"up"}
_NAME = re.compile(r"\b(?:mailhaul|process)_\w+|\bmailhaul:[\w:]+|\bup\b")


def families() -> set[str]:
    """Returns the names of samples, as a query may use them."""
    found = set(_OWN)
    of_cutovers = CoordinatorMetrics()
    cutover = Cutover(import_id="1", wave="a", state=CutoverState.SWITCHED, since=0.0)
    of_cutovers.publish_cutovers([(cutover, {"copied": (True, 0.0)})], [1], 0.0)  # they have no series before
    searched = LaneSearch(limit=2, kept=2)
    of_cutovers.publish_lanes([LanePlace(name="source_host:a", lanes=1, start=1, most=2, search=searched)])
    for metrics in (WorkerMetrics(), of_cutovers, WebMetrics()):
        for family in metrics.registry.collect():
            found |= {sample.name for sample in family.samples}
    return found


def exported() -> set[str]:
    """Returns the names of mailhaul's metrics as documents write them.

    A histogram has its own name, a counter its name with `_total`.
    """
    found = set()
    for metrics in (WorkerMetrics(), CoordinatorMetrics(), WebMetrics()):
        for family in metrics.registry.collect():
            if family.name.startswith("mailhaul_"):
                found.add(family.name + ("_total" if family.type == "counter" else ""))
    return found


def named_in(expression: str) -> set[str]:
    """Returns the metrics that a query names."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', "", expression)))
