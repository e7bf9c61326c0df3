"""Every metric that a process of ours exports, read off the registries themselves."""

from __future__ import annotations

import re
from pathlib import Path

from shared.metrics import CoordinatorMetrics, WebMetrics, WorkerMetrics

ROOT = Path(__file__).resolve().parents[2]
#: What Prometheus itself adds.
_OWN = {"up"}
_NAME = re.compile(r"\b(?:mailhaul|process)_\w+|\bmailhaul:[\w:]+|\bup\b")


def families() -> set[str]:
    """Names of samples, as a query may use them."""
    found = set(_OWN)
    for metrics in (WorkerMetrics(), CoordinatorMetrics(), WebMetrics()):
        for family in metrics.registry.collect():
            found |= {sample.name for sample in family.samples}
    return found


def exported() -> set[str]:
    """Names of ours as documents write them: of a histogram its own name, of a counter with `_total`."""
    found = set()
    for metrics in (WorkerMetrics(), CoordinatorMetrics(), WebMetrics()):
        for family in metrics.registry.collect():
            if family.name.startswith("mailhaul_"):
                found.add(family.name + ("_total" if family.type == "counter" else ""))
    return found


def named_in(expression: str) -> set[str]:
    """Metrics that a query names."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', "", expression)))
