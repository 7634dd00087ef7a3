"""A verb uses the system that runs, or starts one and stops it again; what can't start is one sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from strangler.run import session
from strangler.run.ports import PortTaken
from strangler.run.session import running_system
from tests.waiting import PATIENCE, until

from .conftest import HEAD, SMALL, Project, serving


def test_second_start_finds_the_first(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"))
    project.start()

    second = project.strangler("run", "--no-tour")

    assert second.returncode == 0, second.stderr
    assert "It already runs." in second.stdout
    assert project.board.rows[0].url is not None
    assert project.board.rows[0].url in second.stdout
    assert project.order == ["start first"]


def test_second_start_on_another_port_says_no_and_changes_nothing(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(serving("first"))
    project.start()

    second = project.strangler("run", "--port", "19999")

    assert second.returncode == 1
    assert "It already runs, at http://127.0.0.1:" in second.stderr
    assert "Traceback" not in second.stderr
    assert project.board.stage == "ready"


def test_two_starts_at_once_become_one(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", health="/ready"))
    children = [project.launch(), project.launch()]
    found = []

    threads = [
        threading.Thread(target=lambda c=child: found.append(session.wait_until_ready(project.config, c)))
        for child in children
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert found[0] == found[1]
    assert project.order == ["start first"]
    assert sum(child.poll() is None for child in children) == 1


def test_running_system_is_used_and_left_running(
    make_project: Callable[..., Project], capfd: pytest.CaptureFixture[str]
) -> None:
    project = make_project(serving("first"))
    mine = project.start()

    with running_system(project.config) as found:
        assert found == mine

    assert project.board.stage == "ready"
    assert capfd.readouterr().err == ""


def test_missing_system_is_started_and_stopped_again(
    make_project: Callable[..., Project], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(serving("first"))
    monkeypatch.setattr(
        session.started.__wrapped__, "__kwdefaults__", {"port": None, "watch": None, "supervisor": SMALL}
    )

    with running_system(project.config) as found:
        assert project.board.supervisor == found.supervisor

    said = capfd.readouterr().err
    assert "nothing runs here yet" in said
    assert "first        running  healthy" in said
    assert project.order == ["start first", "stop first"]
    assert not (project.root / ".strangler/system.json").exists()


def test_taken_port_is_refused_before_anything_starts(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=f"Port {port} is taken by another program. Nothing was started."):
            session.launch(project.config, port=port, supervisor=SMALL)
        run = project.strangler("run", "--no-tour", "--port", str(port))

    assert run.returncode == 1
    assert run.stderr.startswith(f"strangler: Port {port} is taken")
    assert len(run.stderr.splitlines()) == 1
    assert not (project.root / "order").exists()


def test_taken_preferred_port_is_replaced_by_a_free_one(make_project: Callable[..., Project]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project = make_project(serving("first"), head=HEAD.replace("port = 0", f"port = {port}"))

        system = project.start()

    assert not system.gateway.endswith(f":{port}")


def test_database_that_refuses_is_one_sentence_without_the_password(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(serving("first"), '[databases.monolith]\nenv = "DATABASE_URL"\n')

    run = project.strangler("run", "--no-tour", DATABASE_URL="postgres://shop:geheim@127.0.0.1:1/shop")

    assert run.returncode == 1
    assert run.stderr.startswith(
        "strangler: The database that DATABASE_URL names (postgres://shop:***@127.0.0.1:1"
    )
    assert "Nothing was started" in run.stderr
    assert "geheim" not in run.stderr
    assert "Traceback" not in run.stderr
    assert not (project.root / "order").exists()


def test_ctrl_c_stops_in_order(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first", children=1), serving("second", needs='"first"'))
    program = (
        "import sys; from strangler.run import session; from strangler.cli import main\n"
        f"session.started.__wrapped__.__kwdefaults__['supervisor'] = {SMALL!r}\n"
        f"main(['--root', {str(project.root)!r}, 'run', '--no-tour'])"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    until(lambda: session.find(project.config))
    said = ""
    while "Ctrl-C" not in said:
        said += run.stdout.readline()

    os.kill(run.pid, signal.SIGINT)

    assert run.wait(PATIENCE) == 0
    assert "Stopping in order" in run.stdout.read()
    run.stdout.close()
    assert project.order[-2:] == ["stop second", "stop first"]
    assert not project.left()


def test_it_stops_in_order_although_its_directory_is_gone(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"), serving("second", needs='"first"'))
    supervisor = project.launch()
    session.wait_until_ready(project.config, supervisor)
    state = project.root / ".strangler"
    state.rename(project.root / "put away")

    supervisor.send_signal(signal.SIGTERM)

    assert supervisor.wait(PATIENCE) == 0
    (project.root / "put away").rename(state)
    assert project.order[-2:] == ["stop second", "stop first"]


def test_ps_and_logs_show_what_runs(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"))
    project.start()

    shown = json.loads(project.strangler("ps", "--json").stdout)
    log = project.strangler("logs", "first", "--lines", "1")
    unknown = project.strangler("logs", "third")

    assert shown["running"] is True
    assert [(one["name"], one["state"], one["health"]) for one in shown["processes"]] == [
        ("first", "running", "healthy")
    ]
    assert len(log.stdout.splitlines()) == 1
    assert unknown.returncode == 2
    assert "There is no log of 'third'. There are: first, supervisor." in unknown.stderr


def test_stop_stops_from_elsewhere(make_project: Callable[..., Project]) -> None:
    project = make_project(serving("first"))
    project.start()

    assert project.strangler("stop").stdout == "Stopped.\n"
    assert project.strangler("stop").stdout == "Nothing runs here.\n"
    assert not project.left()
