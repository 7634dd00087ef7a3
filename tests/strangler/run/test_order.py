"""Programs start when what they need is healthy, and stop in reverse."""

import time
from collections.abc import Callable

from strangler.run import session
from tests.waiting import until

from .conftest import SMALL, Project, serving


def test_what_is_needed_starts_first_and_stops_last(make_project: Callable[..., Project]) -> None:
    project = make_project(
        serving("third", needs='"second"'), serving("second", needs='"first"'), serving("first")
    )

    with session.started(project.config, supervisor=SMALL):
        assert project.board.stage == "ready"
        assert {row.health for row in project.board.rows} == {"healthy"}

    assert project.order == [
        "start first", "start second", "start third", "stop third", "stop second", "stop first",
    ]  # fmt: skip
    assert project.board.stage == "stopped"
    assert not project.left()


def test_a_program_waits_for_the_health_of_what_it_needs_not_for_its_start(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(serving("first", health="/never"), serving("second", needs='"first"'))

    project.launch()
    until(lambda: (project.root / "order").exists())
    row = project.board.row

    assert project.order == ["start first"]
    assert (row("first").state, row("second").state) == ("starting", "waiting")


def test_preparation_runs_once_before_the_first_start(make_project: Callable[..., Project]) -> None:
    note = "[\"{python}\", \"-c\", \"open('order', 'a').write('prepared\\\\n')\"]"
    project = make_project(serving("first", prepare=note))

    with session.started(project.config, supervisor=SMALL):
        pass

    assert project.order == ["prepared", "start first", "stop first"]


def test_programs_that_do_not_need_each_other_stop_side_by_side(make_project: Callable[..., Project]) -> None:
    slow = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), sys.exit()))"
    slow = f'command = ["{{python}}", "-c", "{slow}; [time.sleep(1) for _ in range(99)]"]\n'
    project = make_project(*(f"[processes.{name}]\n{slow}" for name in ("first", "second", "third")))
    project.start()

    began = time.monotonic()
    session.stop(project.root)

    assert 2 <= time.monotonic() - began < 5.5
