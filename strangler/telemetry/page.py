"""A trace as a page of its own: one file, nothing is fetched."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment

from strangler.telemetry.waterfall import Waterfall, said, title

HUES = (200, 145, 290, 35, 250, 170, 320, 80)


def render(shown: Waterfall) -> str:
    """The page's HTML."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files(__package__).joinpath("page.html.j2").read_text()
    )
    hues = {name: HUES[n % len(HUES)] for n, name in enumerate(shown.processes)}
    whole = shown.duration or 1.0
    ticks = [round(whole * n / 5, 1) for n in range(6)]
    rows = [
        {
            "title": title(row.span),
            "process": row.span.process,
            "hue": hues[row.span.process],
            "depth": row.depth,
            "left": 100 * row.offset / whole,
            "width": 100 * row.duration / whole,
            "offset": row.offset,
            "duration": row.duration,
            "said": said(row.span),
            "failed": row.span.failed,
            "critical": row.critical,
            "orphan": row.orphan,
            "attributes": sorted(row.span.attributes.items()),
            "events": [
                {
                    "left": 100 * (one.at - shown.start) / 1e6 / whole,
                    "name": one.name,
                    "attributes": one.attributes,
                }
                for one in row.span.events
            ],
        }
        for row in shown.rows
    ]
    return template.render(trace=shown, rows=rows, ticks=ticks, hues=hues)
