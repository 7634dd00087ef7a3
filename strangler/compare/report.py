"""Evidence as a person reads it: text for a terminal, JSON for a program, one HTML page for a meeting."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jinja2
import orjson

from strangler.compare.evidence import Evidence, FieldEvidence, RouteEvidence
from strangler.compare.ignores import Ignores
from strangler.compare.latency import TAIL, Slower, quantile
from strangler.compare.observation import SETTLED, STALE

MINIMUM_COVERAGE = 0.9  # of what came in; below it, finding no difference says nothing
SIDE = 60  # characters of one side of a sample in a text


@dataclass(frozen=True)
class Report:
    """One capability's evidence with what it is held to. `source` says where it comes from, in words."""

    evidence: Evidence
    ignores: Ignores
    slack: float
    source: str
    samples: int = 1

    @property
    def slower(self) -> tuple[Slower, ...]:
        return self.evidence.slower(self.slack)

    @property
    def differs(self) -> bool:
        """Whether anything stands against the candidate; a provably slower route does."""
        return bool(self.evidence.different or self.slower)

    @property
    def compared(self) -> bool:
        """Whether enough was compared to call it the same."""
        return (self.evidence.coverage or 0.0) >= MINIMUM_COVERAGE

    @property
    def result(self) -> str:
        """same, different or couldn't."""
        return "different" if self.differs else "same" if self.compared else "couldn't"

    @property
    def verdict(self) -> str:
        """One sentence."""
        seen = self.evidence
        same = f"{seen.candidate} answers as {seen.control} does"
        wrong = []
        if seen.different:
            fields = [one for one in seen.fields if one.verdict == "different"]
            wrong.append(
                f"{seen.different} of {_requests(seen.comparable)} differ, in {_many(len(fields), 'field')}"
            )
        if slow := self.slower:
            wrong.append(
                f"{_many(len(slow), 'route')} {'is' if len(slow) == 1 else 'are'} slower than allowed"
            )
        if wrong:
            return f"Different: {'; '.join(wrong)}."
        if not self.compared:
            return (
                f"Couldn't compare: {seen.comparable} of {_requests(seen.captured)} were comparable, "
                f"{MINIMUM_COVERAGE:.0%} are needed."
            )
        return f"Same: {same}, over {_requests(seen.comparable)} of {_many(seen.shapes, 'shape')}."


def text(report: Report) -> str:
    """The report for a terminal, without colours."""
    seen = report.evidence
    lines = [f"{seen.capability}: control {seen.control}, candidate {seen.candidate}, {report.source}", ""]
    lines += [f"  {report.verdict}", ""]
    lines += _table(
        ("route", "compared", "same", "different", "excused", "ignored", "settled", "stale", "not compared"),
        [
            (
                route.route,
                route.comparable,
                *(route.outcomes.get(name, 0) for name in ("same", "different", "excused", "ignored")),
                *apart(route),
            )
            for route in seen.routes
        ],
    )
    for title, verdict in (
        ("Different", "different"),
        ("Differed at first, and not on the second look", "settled"),
        ("Excused: the control differed from itself on the same request", "excused"),
        ("Ignored, as strangler.toml declares", "ignored"),
    ):
        if fields := [one for one in seen.fields if one.verdict == verdict]:
            lines += ["", f"{title}:"]
            for one in fields:
                lines += _field(one, report)
    if other := {name: n for name, n in seen.reasons.items() if name != SETTLED}:
        lines += ["", "Not comparable:", *(f"  {n:>6}  {name}" for name, n in sorted(other.items()))]
    if timed := [route for route in seen.routes if route.pairs]:
        lines += ["", "Milliseconds, the same requests one right after the other:"]
        lines += _table(
            (
                "route",
                "pairs",
                f"{seen.control} p50",
                "p95",
                f"{seen.candidate} p50",
                "p95",
                "ratio p50",
                "p95",
            ),
            [(route.route, len(route.pairs), *_times(route)) for route in timed],
        )
        lines += [f"  Slower: {one}." for one in report.slower]
    lines += ["", *_coverage(seen)]
    for ignore in report.ignores.expired:
        lines.append(
            f"The ignore of {ignore.path} on {ignore.route} ({ignore.reason}) expired on {ignore.until} "
            "and excuses nothing any more. Mend the field, or declare it anew."
        )
    return "\n".join(lines) + "\n"


def apart(route: RouteEvidence) -> tuple[int, int, int]:
    """Requests that weren't comparable: settled, stale, and for any other reason."""
    settled, stale = route.reasons.get(SETTLED, 0), route.reasons.get(STALE, 0)
    return settled, stale, route.outcomes.get("not comparable", 0) - settled - stale


def _field(one: FieldEvidence, report: Report) -> list[str]:
    note = f"  ({one.reason})" if one.reason else "  CRITICAL" if one.critical else ""
    if one.verdict == "different" and (late := report.ignores.expired_for(one.route, one.path)):
        note += f"  (its ignore expired on {late.until})"
    lines = [f"  {one.requests:>6} x  {one.route}  {one.path}  {one.kind}{note}"]
    seen = report.evidence
    width = max(len(seen.control), len(seen.candidate))
    for sample in one.samples[: report.samples]:
        lines.append(f"            {sample.request}  as {sample.caller}")
        lines.append(f"              {seen.control:<{width}}  {_side(sample.control)}")
        lines.append(f"              {seen.candidate:<{width}}  {_side(sample.candidate)}")
    return lines


def _side(side: str | None) -> str:
    if side is None:
        return "(not there)"
    return side if len(side) <= SIDE else side[: SIDE - 1] + "…"


def _times(route: RouteEvidence) -> tuple[str, ...]:
    p = percentiles(route)
    return (
        *(f"{p[name]:.1f}" for name in ("control_p50", "control_p95", "candidate_p50", "candidate_p95")),
        *(f"{p[name]:.2f}" for name in ("ratio_p50", "ratio_p95")),
    )


def percentiles(route: RouteEvidence) -> dict[str, float]:
    """p50 and p95 of both homes in milliseconds, and candidate to control; empty where nothing was timed."""
    if not route.pairs:
        return {}
    found = {}
    for name, q in (("p50", 0.5), ("p95", TAIL)):
        found[f"control_{name}"] = quantile([one for one, _ in route.pairs], q)
        found[f"candidate_{name}"] = quantile([one for _, one in route.pairs], q)
        found[f"ratio_{name}"] = found[f"candidate_{name}"] / max(found[f"control_{name}"], 1e-9)
    return found


def _coverage(seen: Evidence) -> Iterable[str]:
    share = f"{seen.coverage:.0%}" if seen.coverage is not None else "none"
    yield (
        f"Coverage: {seen.captured} came in, {seen.dropped} dropped, {seen.comparable} compared ({share}), "
        f"{_many(seen.shapes, 'distinct shape')}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  "
        + "  ".join(
            f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _requests(n: int) -> str:
    return _many(n, "request")


def _many(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def as_json(reports: Sequence[Report]) -> str:
    """The reports as a JSON list: the evidence as it is, plus verdicts, percentiles and ignores."""
    return orjson.dumps([_plain(report) for report in reports], option=orjson.OPT_INDENT_2).decode()


def _plain(report: Report) -> dict[str, Any]:
    seen = report.evidence
    return {
        "capability": seen.capability,
        "control": seen.control,
        "candidate": seen.candidate,
        "source": report.source,
        "verdict": report.verdict,
        "result": report.result,
        **{
            name: getattr(seen, name)
            for name in (
                "captured", "dropped", "comparable", "same", "different", "excused", "ignored", "settled",
                "stale",
                "shapes", "shapes_different", "coverage", "reasons", "critical",
            )
        },
        "routes": [
            {
                "route": route.route,
                "outcomes": route.outcomes,
                "reasons": route.reasons,
                "callers": route.callers,
                "pairs": len(route.pairs),
                "milliseconds": percentiles(route),
            }
            for route in seen.routes
        ],
        "fields": [asdict(one) for one in seen.fields],
        "slower": [asdict(one) | {"sentence": str(one)} for one in report.slower],
        "ignores": [
            asdict(one) | {"expired": one in report.ignores.expired} for one in report.ignores.declared
        ],
    }  # fmt: skip


def html(reports: Sequence[Report], *, now: datetime.datetime) -> str:
    """One page with everything in it: no script, no font and no picture from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("strangler.compare", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["marked"] = marked
    environment.globals.update(percentiles=percentiles, apart=apart)
    return environment.get_template("report.html.j2").render(reports=reports, now=now)


def marked(side: str | None, other: str | None) -> list[tuple[str, bool]]:
    """One side of a sample in pieces (text, whether it differs from the other side)."""
    if side is None:
        return [("(not there)", True)]
    if other is None:
        return [(side, True)]
    start = 0
    while start < min(len(side), len(other)) and side[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(side), len(other)) - start and side[-1 - end] == other[-1 - end]:
        end += 1
    pieces = [(side[:start], False), (side[start : len(side) - end], True), (side[len(side) - end :], False)]
    return [piece for piece in pieces if piece[0]]
