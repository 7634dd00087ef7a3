"""What a home counts, as Prometheus reads it at /metrics. Each name's meaning: docs/observability.md.

The processes of one home count in the files of one directory, PROMETHEUS_MULTIPROC_DIR, so whichever of them
is asked answers for all; without it, a process answers for itself. What the database knows is asked there, at
that moment. Without the extra `telemetry` nothing is counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DIRECTORY = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

if _DIRECTORY:  # the client writes there as soon as a metric is declared
    Path(_DIRECTORY).mkdir(mode=0o700, parents=True, exist_ok=True)

try:
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Histogram,
        disable_created_metrics,
        generate_latest,
    )
    from prometheus_client.metrics_core import GaugeMetricFamily, Metric
    from prometheus_client.multiprocess import MultiProcessCollector

    disable_created_metrics()  # type: ignore[no-untyped-call]
    _own = CollectorRegistry()
    requests: Any = Counter(
        "strangler_requests", "Requests answered.", ["method", "route", "status"], registry=_own
    )
    request_seconds: Any = Histogram(
        "strangler_request_seconds", "Time to answer a request.", ["route"], buckets=SECONDS, registry=_own
    )
    relayed: Any = Counter(
        "strangler_relay_events", "Events that the broker took or refused.", ["outcome"], registry=_own
    )
    handled: Any = Counter(
        "strangler_inbox_events", "Events settled.", ["subscription", "outcome"], registry=_own
    )
    event_seconds: Any = Histogram(
        "strangler_event_seconds",
        "From announced to handled.",
        ["subscription"],
        buckets=(*SECONDS, 30, 60, 300, 1800),
        registry=_own,
    )
except ImportError:

    class _Nothing:
        """Takes every count, and keeps none."""

        def labels(self, *_: str) -> _Nothing:
            return self

        def inc(self, amount: float = 1) -> None: ...

        def observe(self, amount: float) -> None: ...

    requests = request_seconds = relayed = handled = event_seconds = _Nothing()


def exposition() -> bytes:
    """Everything, as text."""
    registry = _own
    if _DIRECTORY:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=_DIRECTORY)  # type: ignore[no-untyped-call]
    asked = CollectorRegistry()
    asked.register(_Database())
    return bytes(generate_latest(registry) + generate_latest(asked))


# ── What the database knows ──────────────────────────────────────────────────────────────────────

# Table that must be there, setting that must be set, statement. Each reads an index of what waits, not all.
_OUTBOX = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created)), 0),
       count(DISTINCT key) FILTER (WHERE attempts > 0 AND available_at > clock_timestamp())
FROM strangler_outbox_event WHERE published_at IS NULL
"""
_PARKED = """
SELECT subscription, count(*), count(DISTINCT key), extract(epoch FROM clock_timestamp() - min(parked_at))
FROM strangler_inbox_parked GROUP BY subscription
"""
_FOLLOWERS = """
SELECT f.name, count(c.id), coalesce(extract(epoch FROM clock_timestamp() - min(c.captured_at)), 0)
FROM strangler_capture.follower AS f
LEFT JOIN strangler_capture.change AS c
    ON c.tx >= pg_snapshot_xmin(f.applied) AND NOT pg_visible_in_snapshot(c.tx, f.applied)
GROUP BY f.name
"""
_THERE = """
SELECT to_regclass(%s) IS NOT NULL AND has_schema_privilege(split_part(%s, '.', 1), 'USAGE')
"""


class _Database:
    """Asks the home's database when it is asked itself."""

    def collect(self) -> Iterator[Metric]:
        from django.conf import settings
        from django.db import Error

        try:
            # Without a broker nobody publishes: subscribers read the outbox, and know how far.
            if getattr(settings, "EVENTS_BROKER_URL", "") and _is_there("public.strangler_outbox_event"):
                ((waiting, oldest, held),) = _rows(_OUTBOX)
                yield _gauge(
                    "outbox_unpublished", "Recorded events that the broker hasn't confirmed.", waiting
                )
                yield _gauge("outbox_oldest_seconds", "Age of the oldest of them.", oldest)
                yield _gauge("outbox_held_keys", "Keys whose next event the broker has refused.", held)
            if _is_there("public.strangler_inbox_parked"):
                yield from _gauges(
                    "subscription",
                    _rows(_PARKED),
                    inbox_parked="Parked events.",
                    inbox_parked_keys="Keys with parked events.",
                    inbox_parked_oldest_seconds="Age of the oldest parked event.",
                )
            if _is_there("strangler_capture.follower"):
                yield from _gauges(
                    "follower",
                    _rows(_FOLLOWERS),
                    follower_rows="Captured changes that a follower hasn't confirmed.",
                    follower_seconds="Age of the oldest of them.",
                )
            yield _gauge("database_up", "Whether the home's database answered.", 1)
        except Error:
            yield _gauge("database_up", "Whether the home's database answered.", 0)


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"strangler_{name}", help, value=float(value))


def _gauges(label: str, rows: list[tuple[Any, ...]], **helps: str) -> Iterator[GaugeMetricFamily]:
    for place, (name, help) in enumerate(helps.items(), start=1):
        family = GaugeMetricFamily(f"strangler_{name}", help, labels=[label])
        for row in rows:
            family.add_metric([row[0]], float(row[place]))
        yield family


def _is_there(table: str) -> bool:
    return bool(_rows(_THERE, table, table)[0][0])


def _rows(statement: str, *values: str) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
