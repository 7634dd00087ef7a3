"""What is asked wrongly, or can't be: one clear sentence, the exit code as designed, and traffic goes on."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.journeys.project import CAPABILITY, Done, Project, copied, counted, own_database, until

PRODUCT = "/api/catalog/products/1/"


@pytest.fixture(scope="module")
def busy(system: Project) -> Iterator[Project]:
    """The project with clients that notice if anything here disturbs them."""
    with system.load(seconds=600, rate=10) as load:
        yield system
        seen = counted(load)
    assert seen["requests"] > 0
    assert seen["failed"] == 0, seen["failures"]


@pytest.fixture
def project(busy: Project) -> Iterator[Project]:
    yield busy
    busy.does("reverse", CAPABILITY)
    assert busy.ask(PRODUCT).home == "monolith"


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project in which nothing was ever started."""
    with copied(tmp_path_factory.mktemp("idle"), database=False) as project:
        yield project
        assert not project.strangler("stop").out.startswith("Stopped")


def refused(done: Done, code: int, *words: str) -> str:
    """The sentences of a refusal; fails if they are others, or come with another exit code."""
    assert done.code == code, done.out + done.err
    for one in words:
        assert one in done.said
    return done.said


@pytest.mark.parametrize(
    ("key", "line", "column", "word"),
    [
        pytest.param("queue", "queue = 500 500", 13, "no valid TOML", id="malformed"),
        pytest.param("queue", "quueu = 500", 1, "'quueu'", id="unknown-key"),
        pytest.param("phase", 'phase = "shade"', 1, "'shade'", id="unknown-phase"),
        pytest.param("default", 'default = "monolit"', 1, "'monolit'", id="unknown-home"),
        pytest.param("confidence", 'confidence = "high"', 1, "'confidence'", id="wrong-type"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_column(
    project: Project, key: str, line: str, column: int, word: str
) -> None:
    with project.configured(key, line):
        number = (project.root / "strangler.toml").read_text().splitlines().index(line) + 1
        for verb in (("status",), ("apply", CAPABILITY, "shadow"), ("reverse", CAPABILITY), ("ps",)):
            said = refused(project.strangler(*verb), 2, word, "Nothing was changed")
            assert said.startswith(f"strangler: strangler.toml:{number}:{column}: ")
        assert project.ask(PRODUCT).home == "monolith"
    assert f"{CAPABILITY} is at monolith" in project.does("status").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "catalog.raed"), ("'catalog.raed'", "catalog.read")),
        (("apply", "catalog.raed", "shadow"), ("'catalog.raed'", "catalog.read")),
        (("compare", "katalog"), ("'katalog'", "catalog.read")),
        (
            ("apply", CAPABILITY, "shade"),
            ("'shade'", "monolith, shadow, canary=N, switched", "Nothing was changed"),
        ),
        (("apply", CAPABILITY, "canary=100"), ("not 100", "Nothing was changed")),
        (
            ("apply", CAPABILITY, "switched"),
            ("one phase at a time", f"`strangler apply {CAPABILITY} shadow`"),
        ),
        (
            ("reverse", CAPABILITY, "--to", "shadow"),
            ("way forward", f"`strangler apply {CAPABILITY} shadow`"),
        ),
        (("moev", CAPABILITY), ("moev",)),
        (("apply", "--sideways"), ("--sideways",)),
        (("load", "--url", "http://elsewhere.example/"), ("elsewhere.example", "No load was sent")),
    ],
    ids=lambda value: "-".join(value[:3]).replace("=", "") if value[0].isalpha() else "",
)
def test_a_wrong_word_is_refused(
    project: Project, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(project.strangler(*arguments), 2, *words)
    assert project.ask(PRODUCT).status == 200


def test_the_way_back_has_a_verb_of_its_own(project: Project) -> None:
    project.does("apply", CAPABILITY, "shadow")

    refused(
        project.strangler("apply", CAPABILITY, "monolith"),
        2,
        f"use `strangler reverse {CAPABILITY} --to monolith`. Nothing was changed.",
    )

    assert f"{CAPABILITY} is at shadow" in project.does("status").out


def test_a_service_that_does_not_start_holds_the_move(project: Project) -> None:
    settings = "extracted/catalog/service/settings.py"
    with project.edited(settings, 'TIME_ZONE = "UTC"\n', 'TIME_ZONE = "Nowhere/None"\n'):
        project.kill("catalog")
        until(
            lambda: project.ask("/health/live", url=project.row("catalog")["url"]).status == 0,
            "it to be away",
        )

        held = project.strangler("apply", CAPABILITY, "shadow")

        refused(
            held, 4, f"A gate holds {CAPABILITY} at monolith. Nothing was changed.", "catalog isn't ready"
        )
        assert "NOT READY" in project.does("status").out
        assert project.ask(PRODUCT).home == "monolith"
        assert project.row("catalog")["health"] != "healthy"
    project.until_healthy("catalog")
    project.does("apply", CAPABILITY, "shadow")


def test_a_snapshot_that_envoy_refuses_changes_nothing(project: Project) -> None:
    before = project.does("status", "--json").json[0]["gateway"]
    # No path at all, to us: a text like another. Envoy knows better.
    with project.configured("exchange", 'exchange = "api/identity/token/"'):
        held = project.strangler("apply", CAPABILITY, "shadow")
        refused(held, 4, "Nothing was changed", "gateway: The gateway has taken revision")
        failed = project.strangler("reverse", CAPABILITY)  # the verb that gives it the edited file
        refused(failed, 1, "Envoy refused revision", "stays in place, and traffic goes on as before")
        assert project.ask(PRODUCT).home == "monolith"

    after = project.does("status", "--json").json[0]["gateway"]
    assert after["taken"] == after["recorded"] == before["taken"]
    project.does("apply", CAPABILITY, "shadow")


def test_a_port_that_is_taken_starts_nothing(idle: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = idle.strangler("run", "--detach", "--port", str(port))
    refused(done, 1, f"Port {port} is taken by another program. Nothing was started.")
    assert idle.does("ps").out.startswith("Nothing runs here")


def test_a_running_system_stays_at_its_port(project: Project) -> None:
    port = urlsplit(project.gateway).port or 0
    done = project.strangler("run", "--detach", "--port", str(port + 1))
    refused(done, 1, f"It already runs, at {project.gateway}, and stays there.")


@pytest.mark.parametrize("verb", [("run", "--detach"), ("status",), ("run", "--exit")], ids=" ".join)
def test_a_server_that_is_not_there_starts_nothing(idle: Project, verb: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgresql://anna:SESAME@127.0.0.1:{port}/parts"
    said = refused(
        idle.strangler(*verb, DATABASE_URL=url), 1, "DATABASE_URL", "refuses: ", "Nothing was started."
    )
    assert "SESAME" not in said
    assert idle.does("ps").out.startswith("Nothing runs here")


def test_a_server_that_does_not_know_us_starts_nothing(idle: Project) -> None:
    address = os.environ["DATABASE_URL"].rpartition("@")[2].partition("/")[0]
    url = f"postgresql://nobody_it_knows:SESAME@{address}/postgres"
    done = idle.strangler("run", "--detach", DATABASE_URL=url)
    # Where every password will do, it is the name that is refused.
    said = refused(done, 1, "refuses: ", "nobody_it_knows", "Nothing was started.")
    assert re.search(r"password authentication failed|does not exist", said)
    assert "SESAME" not in said


def test_a_role_that_may_make_no_database_is_told_so(idle: Project) -> None:
    import psycopg

    with own_database(os.environ["DATABASE_URL"]) as url, psycopg.connect(url, autocommit=True) as connection:
        role = f"{connection.info.dbname}_poor"
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'SESAME'")  # dropped with the database
        address = url.rpartition("@")[2]
        done = idle.strangler("run", "--detach", DATABASE_URL=f"postgresql://{role}:SESAME@{address}")
    said = refused(done, 1, "permission denied", "stayed as it was", "CATALOG_DATABASE_URL")
    assert "SESAME" not in said
    assert idle.does("ps").out.startswith("Nothing runs here")


def test_nothing_recorded_is_nothing_to_compare(idle: Project) -> None:
    done = idle.strangler("compare", "catalog")
    refused(done, 2, "There is no recording at", "Nothing was asked.", "`strangler load`")
    assert idle.does("ps").out.startswith("Nothing runs here")


def test_nothing_seen_is_nothing_to_show(project: Project) -> None:
    project.does("apply", CAPABILITY, "shadow")
    project.does("reverse", CAPABILITY)  # since when nobody has asked anything
    refused(
        project.strangler("compare", CAPABILITY, "--live", "--phase"),
        2,
        "has seen no request",
        "strangler load",
    )


def test_elsewhere_is_no_project(project: Project) -> None:
    done = project.strangler("--root", "/", "status")
    refused(done, 2, "There is no strangler.toml in /.")
