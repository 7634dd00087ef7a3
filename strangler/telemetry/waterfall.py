"""A trace as a waterfall: which work was below which, when, and what the end had to wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strangler.telemetry.spans import Span


@dataclass(frozen=True)
class Row:
    """One span in its place. `offset` and `duration` in ms from the trace's start.

    `critical`: the trace would have ended sooner without some of it. `orphan`: its parent isn't kept.
    """

    span: Span
    depth: int
    offset: float
    duration: float
    critical: bool
    orphan: bool


@dataclass(frozen=True)
class Waterfall:
    """The rows from the top; `duration` in ms, from the first start to the last end."""

    trace: str
    start: int
    duration: float
    rows: tuple[Row, ...]

    @property
    def processes(self) -> list[str]:
        """Everybody who took part, in the order of their first span."""
        return list(dict.fromkeys(row.span.process for row in self.rows))

    @property
    def failed(self) -> int:
        return sum(row.span.failed for row in self.rows)


def build(spans: Sequence[Span]) -> Waterfall:
    """The waterfall of one trace's spans, of which there is at least one."""
    known = {span.id: span for span in sorted(spans, key=lambda one: (one.start, -one.end))}
    tops = _tops(known)
    below: dict[str, list[Span]] = {}
    for span in known.values():
        below.setdefault("" if span.id in tops else span.parent, []).append(span)
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    placed = list(_walk(below))
    critical = _critical(below, [span for span, _ in placed], end)
    rows: list[Row] = []
    for span, depth in placed:
        orphan = bool(span.parent) and span.parent not in known
        offset, duration = (span.start - start) / 1e6, (span.end - span.start) / 1e6
        rows.append(Row(span, depth, offset, duration, span.id in critical, orphan))
    return Waterfall(spans[0].trace, start, (end - start) / 1e6, tuple(rows))


def as_values(waterfall: Waterfall) -> dict[str, Any]:
    """For `--json`."""
    return {
        "trace": waterfall.trace,
        "start_unix_nano": waterfall.start,
        "duration_ms": round(waterfall.duration, 3),
        "processes": waterfall.processes,
        "failed": waterfall.failed,
        "spans": [
            {
                "id": row.span.id,
                "parent": row.span.parent or None,
                "process": row.span.process,
                "name": row.span.name,
                "kind": row.span.kind,
                "depth": row.depth,
                "offset_ms": round(row.offset, 3),
                "duration_ms": round(row.duration, 3),
                "failed": row.span.failed,
                "critical": row.critical,
                "attributes": row.span.attributes,
                "events": [
                    {
                        "name": event.name,
                        "offset_ms": round((event.at - waterfall.start) / 1e6, 3),
                        "attributes": event.attributes,
                    }
                    for event in row.span.events
                ],
            }
            for row in waterfall.rows
        ],
    }


def said(span: Span) -> str:
    """What came of a span, in a word: a status, a kind of error, or nothing."""
    status = span.attributes.get("http.response.status_code", span.attributes.get("http.status_code"))
    words = [] if status in (None, "0") else [str(status)]
    error = span.attributes.get("error.type") or span.attributes.get("response_flags")
    if span.failed:
        words.append(str(error) if error not in (None, "-") else "failed")
    return " ".join(words)


def title(span: Span) -> str:
    """A span's name; Envoy's own in plain words."""
    if span.name == "ingress":
        return str(span.attributes.get("http.method", "request"))
    if span.name.endswith(" egress"):
        asked = span.name.removesuffix(" egress").split(" ")
        return ("exchange the session at " if asked[0] == "async" else "ask ") + asked[-1]
    if subscription := span.attributes.get("messaging.consumer.group.name"):
        return f"{span.name} for {subscription}"
    return span.name


def asked(spans: Sequence[Span], exchange: str | None = None) -> str:
    """What the client asked for, of one trace's spans, of which there is at least one: the trace's name.

    That is what the home below the gateway's last attempt says: that one answered. What the gateway asks
    beside it, as a token for a session at the path `exchange`, comes first and is no client's request.
    """
    in_order = sorted(spans, key=lambda one: one.start)
    known = {one.id: one.name for one in in_order}
    requests = [one for one in in_order if " /" in one.name]
    for came in in_order:
        if came.name == "ingress" and came.parent not in known:
            attempts = {one.id for one in in_order if one.parent == came.id and _is_attempt(one.name)}
            answered = [one.name for one in requests if one.parent in attempts]
            return answered[-1] if answered else title(came)
    # The gateway's spans come after a home's, or never: then the path tells the exchange.
    by_client = [
        one.name
        for one in requests
        if not known.get(one.parent, "").startswith("async ") and one.name.rpartition(" ")[2] != exchange
    ]
    return [*by_client, *(one.name for one in requests), title(in_order[0])][0]


def _is_attempt(name: str) -> bool:
    """Whether a span of the gateway's is of handing the client's request on, not of asking on its own."""
    return name.startswith("router ") and name.endswith(" egress")


def _tops(known: Mapping[str, Span]) -> set[str]:
    """The ids of those below nothing. Of parents that lead in a circle, as a broken sender may name them, the
    one that began first is cut loose, so that they neither hide nor go on for ever."""
    tops: set[str] = set()
    settled: set[str] = set()
    for id in known:
        way: dict[str, None] = {}
        while id not in settled and id not in way:
            way[id] = None
            if known[id].parent not in known:
                tops.add(id)
                break
            id = known[id].parent
        else:
            if id in way:
                circle = list(way)[list(way).index(id) :]
                tops.add(min(circle, key=lambda one: known[one].start))
        settled |= way.keys()
    return tops


def _walk(below: Mapping[str, list[Span]]) -> Iterator[tuple[Span, int]]:
    """Every span with its depth, each before those below it."""
    ahead = [(span, 0) for span in reversed(below.get("", []))]
    while ahead:
        span, depth = ahead.pop()
        yield span, depth
        ahead += [(one, depth + 1) for one in reversed(below.get(span.id, []))]


def _critical(below: Mapping[str, list[Span]], placed: Sequence[Span], end: int) -> set[str]:
    """The ids of the critical path; `placed` has each span before those below it.

    From the trace's end backwards: of what ended before this moment, what ended last was waited for; before
    its start, something else was. What is done later by others (a handler) counts as below who asked.
    """
    ends: dict[str, int] = {}
    for span in reversed(placed):
        ends[span.id] = max([span.end, *(ends[one.id] for one in below.get(span.id, []))])
    path: set[str] = set()
    ahead = [(below.get("", []), end)]
    while ahead:
        spans, until = ahead.pop()
        for span in sorted(spans, key=lambda one: ends[one.id], reverse=True):
            if ends[span.id] <= until and span.start < until:
                path.add(span.id)
                ahead.append((below.get(span.id, []), ends[span.id]))
                until = span.start
    return path
