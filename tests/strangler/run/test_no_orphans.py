"""However a system ends, no process of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from strangler.run import board, session, sweep
from strangler.run.launch import prepare_state
from tests.waiting import PATIENCE, until

from .conftest import SMALL, Project, serving

GRANDCHILDREN = 2


def test_killed_supervisor_leaves_nobody_grandchildren_included(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=GRANDCHILDREN), serving("second"))
    child = project.launch()
    session.wait_until_ready(project.config, child)
    assert len(project.left()) == 2 + GRANDCHILDREN

    child.kill()
    child.wait(PATIENCE)

    until(lambda: not project.left())
    assert not project.board.is_up
    assert session.find(project.config) is None


def test_next_start_sweeps_up_when_the_guard_was_killed_too(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=GRANDCHILDREN))
    child = project.launch()
    session.wait_until_ready(project.config, child)
    before = project.left()
    (guard,) = _guards(child.pid)
    os.kill(guard, signal.SIGSTOP)  # a killed one would be started again at once
    child.kill()
    child.wait(PATIENCE)
    until(lambda: len(project.left()) == GRANDCHILDREN)  # the kernel ended the children alone

    project.start()

    assert not any(sweep.is_alive(one.pid, one.started) for one in before)
    os.kill(guard, signal.SIGKILL)


def test_killed_guard_is_replaced(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=GRANDCHILDREN))
    child = project.launch()
    session.wait_until_ready(project.config, child)
    (guard,) = _guards(child.pid)

    os.kill(guard, signal.SIGKILL)
    until(lambda: _guards(child.pid) not in ([], [guard]))
    child.kill()
    child.wait(PATIENCE)

    until(lambda: not project.left())


def test_killed_command_takes_its_system_down_in_order(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=GRANDCHILDREN), serving("second", needs='"first"'))
    program = (
        "import time; from pathlib import Path\n"
        "from strangler import config; from strangler.run import session\n"
        f"project = config.load(Path({str(project.root)!r}))\n"
        f"with session.started(project, supervisor={SMALL!r}):\n"
        "    time.sleep(60)"
    )
    command = subprocess.Popen([sys.executable, "-c", program])
    until(lambda: session.find(project.config))

    command.kill()
    command.wait(PATIENCE)

    until(lambda: project.board.stage == "stopped" and not project.left())
    assert project.order[-2:] == ["stop second", "stop first"]


def test_stubborn_grandchildren_end_with_an_ordered_stop(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=GRANDCHILDREN))
    project.start()

    assert session.stop(project.root)

    assert not project.left()
    assert not session.stop(project.root)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: (found := sweep.stat(child.pid)) and found.state == "Z")

    found = sweep.stat(child.pid)

    assert found is not None
    os.kill(child.pid, 0)  # the signal still finds it
    assert not found.alive
    assert not sweep.is_alive(child.pid, found.started)
    child.wait()


def test_reused_group_number_is_left_alone() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    found = sweep.stat(stranger.pid)
    assert found is not None

    recorded_earlier = {stranger.pid: found.started - 1}

    assert sweep.members("no-run", recorded_earlier) == []
    (left,) = sweep.members("no-run", {stranger.pid: found.started})
    assert (left.pid, left.started) == (stranger.pid, found.started)
    stranger.kill()
    stranger.wait()


def test_board_of_another_boot_is_not_believed(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"))
    state = prepare_state(project.root)
    own = board.fresh()
    assert own.is_up

    own.boot = "before the power cut"
    own.save(state)

    assert not project.board.is_up


def _guards(supervisor: int) -> list[int]:
    """The guards that are children of a supervisor."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline") as file:
                guards = "strangler.run.sweep" in file.read()
            with open(f"/proc/{entry}/stat") as file:
                parent, state = int(file.read().rpartition(")")[2].split()[1]), sweep.stat(int(entry))
        except (OSError, ValueError):
            continue
        if guards and state and state.alive and parent == supervisor:
            found.append(int(entry))
    return found


def test_sweep_kills_what_does_not_want_to_end() -> None:
    ignoring = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(flush=True); time.sleep(60)"
    environment = {**os.environ, sweep.MARK: "stubborn-run"}
    child = subprocess.Popen([sys.executable, "-c", ignoring], env=environment, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()

    began = time.monotonic()
    ended = sweep.sweep("stubborn-run", {}, patience=0.3)

    assert ended == 1
    assert child.wait() == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - began < PATIENCE
    child.stdout.close()
