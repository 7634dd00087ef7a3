"""What was compared is counted to the stretch of time, and so to the tour's leg, that it was captured in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from strangler.compare import store
from strangler.compare.observation import STALE
from strangler.compare.store import Stretch
from strangler.compare.tally import OutcomeKey, Tally
from strangler.control.phases import MONOLITH, SHADOW
from strangler.run import tour
from strangler.run.answers import Window
from tests.strangler.compare.conftest import Project

Make = Callable[..., Project]
NOW = datetime.now(UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def keep(project: Project, **seconds_ago: list[int]) -> None:
    """Store one request for each of these moments, by outcome; `stale` ones weren't comparable."""
    tally = Tally(project.config.capability("rugs.read"))
    for outcome, moments in seconds_ago.items():
        kind, reason = ("not comparable", STALE) if outcome == "stale" else (outcome, "")
        for moment in moments:
            second = int(ago(moment).timestamp())
            tally.outcomes[OutcomeKey(second, "GET /api/rugs/", "anonymous", 200, kind, reason)] += 1
    with store.connect(project.system) as kept:
        kept.write([tally])


def test_each_request_is_in_the_stretch_that_it_was_captured_in(project: Make) -> None:
    rugs = project()
    keep(rugs, same=[99, 25, 24, 5], different=[25, 4], stale=[15])
    with store.connect(rugs.system) as kept:
        found = kept.stretches("rugs.read", [ago(30), ago(20), ago(10)])
    assert found == [Stretch(3, 1, 0), Stretch(0, 0, 1), Stretch(2, 1, 0)]


def test_the_tour_waits_for_a_comparator_that_lags(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "SETTLE", 1.0)
    rugs = project()
    legs = [
        tour.Leg(phase, since, Window(), None) for phase, since in ((MONOLITH, ago(60)), (SHADOW, ago(30)))
    ]

    def lag() -> None:
        time.sleep(0.4)
        keep(rugs, same=[10, 9, 8])

    comparator = threading.Thread(target=lag)
    comparator.start()
    counted = tour.counted(legs, rugs.system, "rugs.read")
    comparator.join()
    assert [leg.compared for leg in counted] == [0, 3]
