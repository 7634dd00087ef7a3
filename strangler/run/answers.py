"""What load brought back: answers and failures counted, latencies by the home that answered and by route."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

SAMPLES = 20  # failures kept with their answer's beginning; all are counted


@dataclass(frozen=True)
class Failure:
    """One failed request: what was asked, and what came; `status` 0 where no answer came."""

    kind: str
    user: str
    path: str
    status: int
    home: str
    said: str
    request_id: str | None


@dataclass
class Window:
    """What was counted between two moments.

    `homes` and `routes` hold latencies in milliseconds, by the home that answered and by route; a failure
    without any answer has no latency. `failures` are the first few, `kinds` counts all of them. `writes` are
    counted among the requests, and `read_back` the reads that had to show a write just made.
    """

    seconds: float = 0.0
    ok: int = 0
    failed: int = 0
    writes: int = 0
    read_back: int = 0
    homes: dict[str, list[float]] = field(default_factory=dict)
    routes: dict[str, list[float]] = field(default_factory=dict)
    failed_routes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.ok + self.failed

    def answers(self, home: str) -> int:
        """Number of answers that came from a home."""
        return len(self.homes.get(home, ()))

    def record(self, route: str, home: str, milliseconds: float | None, failure: Failure | None) -> None:
        """Count one request; `milliseconds` is None where no answer came."""
        if milliseconds is not None:
            self.homes.setdefault(home, []).append(milliseconds)
            self.routes.setdefault(route, []).append(milliseconds)
        if failure is None:
            self.ok += 1
            return
        self.failed += 1
        self.failed_routes[route] += 1
        self.kinds[failure.kind] += 1
        if len(self.failures) < SAMPLES:
            self.failures.append(failure)


def percentile(latencies: Sequence[float], share: float) -> float:
    """The smallest latency that at least `share` of them don't exceed (nearest rank); 0 for none."""
    if not latencies:
        return 0.0
    return sorted(latencies)[max(0, math.ceil(len(latencies) * share - 1e-9) - 1)]


def as_values(window: Window) -> dict[str, Any]:
    """The counts as JSON's own types."""
    return {
        "seconds": round(window.seconds, 3),
        "requests": window.requests,
        "failed": window.failed,
        "writes": window.writes,
        "read_back": window.read_back,
        "kinds": dict(window.kinds),
        "homes": {home: _figures(values) for home, values in sorted(window.homes.items())},
        "routes": {
            route: {**_figures(window.routes.get(route, [])), "failed": window.failed_routes[route]}
            for route in sorted(window.routes.keys() | window.failed_routes.keys())
        },
        "failures": [asdict(failure) for failure in window.failures],
    }


def among(*windows: Window) -> str:
    """How many of the requests were writes, in brackets; nothing where none was."""
    writes, read_back = sum(one.writes for one in windows), sum(one.read_back for one in windows)
    return f" ({writes:,} writes, {read_back:,} read back at once)" if writes else ""


def _figures(latencies: list[float]) -> dict[str, float]:
    return {
        "answers": len(latencies),
        **{f"p{share}_ms": round(percentile(latencies, share / 100), 1) for share in (50, 95, 99)},
    }


def as_table(window: Window) -> Group:
    """The counts for people: per home, per route, and what failed."""
    values = as_values(window)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for heading in ("answers", "failed", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)

    def add(name: str, figures: dict[str, float], failed: str) -> None:
        shown = (f"{figures[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        table.add_row(name, f"{figures['answers']:,}", failed, *shown)

    for home, figures in values["homes"].items():
        add(f"home {home}", figures, "")
    table.add_section()
    for route, figures in values["routes"].items():
        add(route, figures, f"{figures['failed']:,.0f}")
    end = Text(f"{window.requests:,} requests{among(window)} in {window.seconds:.1f} s (latencies in ms), ")
    end.append(f"{window.failed:,} failed", "bold red" if window.failed else "green")
    lines = [
        Text(
            f"{one.kind}: {one.path} as {one.user or 'anonymous'}, status {one.status or 'none'}, "
            f"x-request-id {one.request_id or 'none'}: {' '.join(one.said.split())}"
        )
        for one in window.failures
    ]
    return Group(table, end, *lines)
