"""What dies is started again: at once after a proven run, ever later while it keeps dying."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable

import pytest

from strangler.run import session
from strangler.run.supervisor import FIRST_DELAY, LAST_DELAY, PROVEN_AFTER, Backoff
from tests.waiting import PATIENCE, until

from .conftest import HEAD, Project, serving


def test_killed_program_serves_again_on_its_port(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=1))
    url = project.start().homes["monolith"]
    pid = project.board.row("first").pid
    assert pid is not None

    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: project.board.row("first").restarts == 1 and project.board.row("first").health == "healthy")
    took = time.monotonic() - began

    with urllib.request.urlopen(f"{url}/ready") as answer:
        assert answer.status == 200
    assert project.board.row("first").pid != pid
    assert took < 5
    assert len(project.left()) == 2  # the first one's child went with it
    assert "was ended by SIGKILL" in (project.root / ".strangler/logs/first.log").read_text()


def test_the_supervisor_logs_ends_that_it_did_not_order_and_its_stop(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(serving("first"), serving("second"))
    project.start()
    pid = project.board.row("second").pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    until(lambda: project.board.row("second").restarts == 1)
    assert session.stop(project.root)
    assert project.children[0].wait(PATIENCE) == 0

    said = project.strangler("logs", "supervisor").stdout.splitlines()
    assert [line.split("strangler.supervisor  ")[1] for line in said] == [
        "second was ended by SIGKILL, starts again in 0.00 s.",
        "Everything is stopped, in order.",
        "Everything has stopped.",
    ]


def test_the_supervisor_logs_why_a_start_failed(make_project: Callable[..., Project]) -> None:
    project = make_project('[processes.first]\ncommand = ["{python}", "-c", "raise SystemExit(3)"]\n')

    with pytest.raises(session.StartRefused):
        project.start()

    said = project.strangler("logs", "supervisor").stdout
    assert "first ended with 3, starts again in 0.05 s.\n" in said
    assert "first ended with 3, for the third time before it was healthy. The end of" in said


def test_waits_grow_to_a_limit() -> None:
    backoff = Backoff()

    waits = [backoff.after(ran_for=0.1) for _ in range(12)]

    assert waits[:4] == [0.0, FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY * 4]
    assert waits[-1] == LAST_DELAY
    assert waits == sorted(waits)


def test_proven_run_makes_the_next_restart_immediate() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.after(ran_for=0.1)

    assert backoff.after(ran_for=PROVEN_AFTER) == 0.0
    assert backoff.after(ran_for=0.1) == FIRST_DELAY


def test_program_that_never_stays_fails_the_start_with_its_last_words(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(
        serving("second"),
        '[processes.first]\ncommand = ["{python}", "-c", "import sys; sys.exit(\'no such table: shop\')"]\n',
    )

    with pytest.raises(session.StartRefused) as refusal:
        project.start()

    message = str(refusal.value)
    assert message.startswith("first ended with 1, for the third time before it was healthy. The end of ")
    assert "    no such table: shop" in message
    assert project.board.row("first").state == "failed"
    assert not project.left()


def test_failed_preparation_fails_the_start(make_project: Callable[..., Project]) -> None:
    project = make_project(
        serving("first", prepare='["{python}", "-c", "import sys; sys.exit(\'no migrations\')"]')
    )

    with pytest.raises(
        session.StartRefused, match=r"first `python -c .*` ended with 1\. The end of"
    ) as refusal:
        project.start()

    assert "    no migrations" in str(refusal.value)
    assert not (project.root / "order").exists()


def test_program_that_does_not_exist_is_named(make_project: Callable[..., Project]) -> None:
    project = make_project('[processes.first]\ncommand = ["/no/such/program"]\n')

    with pytest.raises(
        session.StartRefused, match=r"first can't be run: there is no program /no/such/program"
    ):
        project.start()


def test_unknown_placeholder_is_refused_before_anything_starts(make_project: Callable[..., Project]) -> None:
    project = make_project('[processes.first]\ncommand = ["{python}", "{databse.monolith}"]\n', head=HEAD)

    with pytest.raises(session.StartRefused, match=r"uses \{databse\.monolith\}, and nothing") as refusal:
        project.start()

    assert refusal.value.exit_code == 2
