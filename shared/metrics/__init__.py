"""Metrics: the only package that imports prometheus_client.

Workers count events (`WorkerMetrics` is a `shared.model.events.Listener`). Only the coordinator exports what the store holds
(`CoordinatorMetrics`), so that a sum over processes never counts a shared fact twice. Every label has a fixed, small
set of values, and every value starts at zero: no address, folder, host or import id is ever a label.
"""

from __future__ import annotations

from shared.metrics.coordinator import CoordinatorMetrics
from shared.metrics.page import start_http
from shared.metrics.web import WebMetrics
from shared.metrics.worker import IMAP_COMMANDS, LOGIN_RESULTS, UNIT_RESULTS, WorkerMetrics

__all__ = [
    "IMAP_COMMANDS",
    "LOGIN_RESULTS",
    "UNIT_RESULTS",
    "CoordinatorMetrics",
    "WebMetrics",
    "WorkerMetrics",
    "start_http",
]
