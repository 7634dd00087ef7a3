"""One line of a benchmark: ours and a peer's figure from the same run, and how a line is shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs` are medians in `unit`; `peer` names whose figure `theirs` is.

    `theirs` is None where the peer couldn't be measured (then `note` says why), or where there is none
    (`peer` is empty then). `less_is_better` says how the ratio is to be read: seconds, or requests a second.
    """

    what: str
    ours: float | None
    unit: str
    peer: str = ""
    theirs: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's."""
        if self.ours is None or not self.theirs:
            return None
        return self.ours / self.theirs

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What is measured, ours, the peer, its figure, the ratio, the note."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        if ratio:
            ratio += " (less is better)" if self.less_is_better else " (more is better)"
        return (
            self.what,
            f"{_number(self.ours)} {self.unit}" if self.ours is not None else "not measured",
            self.peer or "",
            f"{_number(self.theirs)} {self.unit}" if self.theirs is not None else "",
            ratio,
            self.note,
        )


HEADINGS = ("what", "ours", "peer", "peer's", "ratio", "note")


def interleaved(measured: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each, measured in turns, so that whatever else the machine does meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, measure in measured.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def markdown(rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = [HEADINGS, ("---", "---:", "---", "---:", "---:", "---"), *(row.cells for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
