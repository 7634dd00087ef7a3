"""`strangler compare` on the command line: golden texts, JSON, the page, exit codes, and clear refusals."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strangler import cli
from strangler.compare import replay
from strangler.compare.observation import ANONYMOUS
from strangler.errors import StranglerError
from strangler.run import session
from strangler.run.system import System
from tests.strangler.compare.conftest import Project, everything
from tests.strangler.compare.test_live import captured, compared

GOLDEN = Path(__file__).parent / "golden"
WRITES = """
[capabilities."rugs.write"]
kind = "write"
home = "service"
routes = ["POST /api/rugs/"]
"""
Make = Callable[..., Project]
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a project whose system is up; what it refuses becomes its exit code."""

    def run(homes: Project, *arguments: str) -> Result:
        @contextmanager
        def running_system(config: object, *, quiet: bool = False) -> Iterator[System]:
            yield homes.system

        monkeypatch.setattr(session, "running_system", running_system)
        monkeypatch.setattr(replay, "CONCURRENCY", 1)  # the first sample is always the same request's
        result = CliRunner().invoke(cli.strangler, ["--root", str(homes.root), "compare", *arguments])
        if isinstance(result.exception, StranglerError):
            result.exit_code = result.exception.exit_code
        return result

    return run


def steady(text: str) -> str:
    """A text without what is measured: milliseconds, ratios and chances."""
    text = re.sub(r"\d+\.\d+(?=[ \n,)])", "N.N", text)
    text = re.sub(r"p (<|=) [N\d.]+", "p N", text)
    text = re.sub(
        r"(?<=N\.N) +|(?<=pairs)  +| +(?=N\.N)| +(?=(monolith|service) p)| +(?=p95)| +(?=pairs)", " ", text
    )
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def assert_golden(name: str, text: str) -> None:
    """Equal to the file; STRANGLER_GOLDEN=write writes it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("STRANGLER_GOLDEN") == "write":
        path.write_text(steady(text))
    assert steady(text) == path.read_text()


@pytest.mark.parametrize(
    ("bug", "exit_code"),
    [("", 0), ("price", 1), ("field", 1), ("order", 1), ("status", 1), ("draft", 1), ("slow", 1)],
)
def test_a_replay_says_where_and_how(project: Make, run: Run, bug: str, exit_code: int) -> None:
    homes = project(bug=bug)
    homes.record(everything())
    result = run(homes, "rugs.read")
    assert result.exit_code == exit_code, result.output
    assert_golden(f"replay_{bug or 'same'}", result.stdout)


def test_live_shows_what_the_comparator_has_found(project: Make, run: Run) -> None:
    homes = project(bug="draft")
    captured(homes)
    compared(homes)
    result = run(homes, "rugs.read", "--live")
    assert result.exit_code == 1, result.output
    assert "live, the last 60 minutes" in result.stdout
    assert re.search(r"4 x  GET /api/rugs/<int:pk>/  status  status  CRITICAL", result.stdout)


def test_an_expired_ignore_is_named(project: Make, run: Run) -> None:
    homes = project(bug="field")
    homes.declare(
        ignores='[[compare.ignore]]\nroute = "*"\npath = "$.stock"\nreason = "moves"\nuntil = 2020-01-31\n'
    )
    homes.record(everything())
    result = run(homes, "rugs.read")
    assert result.exit_code == 1
    assert (
        "The ignore of $.stock on * (moves) expired on 2020-01-31 and excuses nothing any more."
        in result.stdout
    )
    assert "$.stock  missing  (its ignore expired on 2020-01-31)" in result.stdout


def test_a_context_stands_for_its_capabilities(project: Make, run: Run) -> None:
    homes = project()
    homes.record(everything())
    (one,) = json.loads(run(homes, "rugs", "--json").stdout)
    assert (one["capability"], one["result"], one["comparable"]) == ("rugs.read", "same", len(everything()))
    refused = run(homes, "rug")
    assert refused.exit_code == 2
    assert "There is no capability 'rug'" in str(refused.exception)


def test_writes_are_refused_with_a_word_on_what_compares_them(project: Make, run: Run) -> None:
    homes = project()
    with (homes.root / "strangler.toml").open("a") as file:
        file.write(WRITES)
    homes.record(everything())
    assert run(homes, "rugs").exit_code == 0
    for more in ([], ["--live"]):
        refused = run(homes, "rugs.write", *more)
        assert refused.exit_code == 2
        assert "`strangler verify rugs.write`" in str(refused.exception)


def test_json_holds_the_same_findings(project: Make, run: Run) -> None:
    homes = project(bug="price")
    homes.record(everything())
    result = run(homes, "rugs.read", "--json")
    (one,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (one["result"], one["captured"], one["different"]) == (
        "different",
        len(everything()),
        one["comparable"] - one["same"],
    )
    assert {(field["path"], field["kind"], field["critical"]) for field in one["fields"]} == {
        ("$.price", "value", True),
        ("$.results[].price", "value", True),
    }
    assert one["routes"][0]["milliseconds"]["control_p50"] > 0


def test_limit_takes_the_newest(project: Make, run: Run) -> None:
    homes = project()
    recorded = homes.record(everything())
    (one,) = json.loads(run(homes, "rugs.read", "--json", "--limit", "5").stdout)
    assert one["captured"] == 5
    assert {target for target, *_ in homes.candidate.asked} == {one.target for one in recorded[-5:]}


def test_the_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows(
    project: Make, run: Run, tmp_path: Path
) -> None:
    homes = project(bug="price")
    homes.record([("/api/rugs/?page=1&of=<script>alert(1)</script>", ANONYMOUS)])
    page = tmp_path / "page.html"
    assert run(homes, "rugs.read", "--html", str(page), "--samples", "3").exit_code == 1
    text = page.read_text()
    assert not re.search(r"(src|href)=|@import|url\(|<script", text)
    assert "$.results[].price" in text
    assert "<mark>" in text
    refused = run(homes, "rugs.read", "--html", str(tmp_path / "nowhere" / "page.html"))
    assert refused.exit_code == 2
    assert "can't be written" in str(refused.exception)


def test_without_a_recording_nothing_is_started(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = project()
    monkeypatch.setattr(session, "running_system", lambda *_, **__: pytest.fail("a system was started"))
    result = CliRunner().invoke(cli.strangler, ["--root", str(homes.root), "compare", "rugs.read"])
    assert isinstance(result.exception, StranglerError)
    assert result.exception.exit_code == 2
    assert "There is no recording at" in str(result.exception)
    assert "strangler load" in str(result.exception)


def test_a_home_that_is_away_is_no_difference(project: Make, run: Run) -> None:
    homes = project()
    homes.record(everything())
    homes.candidate.stop()
    result = run(homes, "rugs.read")
    assert result.exit_code == 2
    assert "Couldn't ask service" in str(result.exception)


def test_live_without_traffic_says_from_when_on_there_is_some(project: Make, run: Run) -> None:
    result = run(project(), "rugs.read", "--live")
    assert result.exit_code == 2
    assert "has seen no request of rugs.read in the last 60 minutes" in str(result.exception)


def test_live_without_its_database_says_so(project: Make, run: Run) -> None:
    homes = project()
    homes.database = "postgresql://nobody@127.0.0.1:1/none"
    result = run(homes, "rugs.read", "--live")
    assert result.exit_code == 2
    assert "The control database doesn't answer" in str(result.exception)


def test_too_little_coverage_is_not_called_the_same(project: Make, run: Run) -> None:
    homes = project()
    (homes.root / "tokens.py").write_text("import sys; [print() for _ in sys.stdin]")
    homes.record(everything())
    result = run(homes, "rugs.read")
    assert result.exit_code == 2
    assert "Couldn't compare: 18 of 54 requests were comparable, 90% are needed." in result.stdout
