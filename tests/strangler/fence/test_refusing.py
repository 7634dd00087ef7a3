"""A home whose rows are fenced refuses, commits nothing half, and says truly whether anything was done."""

from __future__ import annotations

import json
import socket

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from strangler.chassis.fence import Fenced, footprint, is_fenced, watching
from strangler.chassis.fence.middleware import CAPABILITY, FENCED, FenceMiddleware
from strangler.movement import ownership
from strangler.movement.ownership import State

NAME = "rugs.write"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def watched():
    """The chassis' fence, whether or not this process's settings have it."""
    watching.begin()
    footprint.begin()


@pytest.fixture
def fence():
    """Rugs and knots of a home, and a function that raises (or lowers) the fence around the rugs."""

    def sql(*statements: str) -> None:
        with psycopg.connect(_url(), autocommit=True) as home:
            for one in statements:
                home.execute(one)

    def put(state: State) -> None:
        with psycopg.connect(_url(), autocommit=True) as home:
            home.execute("DROP SCHEMA IF EXISTS strangler_ownership CASCADE")
            first = State.OWNER if state is State.FENCED else state
            ownership.establish(
                home,
                NAME,
                ["rug"],
                first,
                other="service",
                advice="Write at /api/rugs/.",
                applier="nobody",
                epoch=0,
            )
            if state is State.FENCED:
                ownership.raise_fence(home, NAME, epoch=1, seconds=60)

    sql("CREATE TABLE rug (id int PRIMARY KEY, price int)", "CREATE TABLE knot (id int PRIMARY KEY)")
    sql("INSERT INTO rug VALUES (1, 1)")
    yield put
    sql("SET client_min_messages = warning", "DROP TABLE rug, knot",
        "DROP SCHEMA IF EXISTS strangler_ownership CASCADE")  # fmt: skip
    connection.close()  # which remembers that somebody owned something here


def _url() -> str:
    found = connection.get_connection_params()
    return psycopg.conninfo.make_conninfo(
        **{key: found[key] for key in ("dbname", "user", "password", "host", "port") if key in found}
    )


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def knots() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM knot")
        return cursor.fetchone()[0]


def ask(view, path="/api/rugs/1/", method="post", **headers):
    def respond(request):
        view()
        return HttpResponse("done")

    request = getattr(RequestFactory(), method)(path, headers=headers)
    return FenceMiddleware(respond)(request)


# ── Before anything is done ──────────────────────────────────────────────────────────────────────


def test_a_write_of_the_capability_is_refused_before_it_begins(fence):
    fence(State.FOLLOWER)
    begun = []
    answer = ask(lambda: begun.append(1), **{CAPABILITY: NAME})
    assert not begun
    assert (answer.status_code, answer[FENCED], answer["Retry-After"]) == (503, "1", "1")
    assert json.loads(answer.content)["code"] == "moving"


@pytest.mark.parametrize(
    ("state", "method"), [(State.OWNER, "post"), (State.FOLLOWER, "get")], ids=["owned", "read"]
)
def test_what_may_be_done_here_is_done(fence, state, method):
    fence(state)
    assert ask(lambda: None, method=method, **{CAPABILITY: NAME}).status_code == 200


def test_a_home_without_any_fence_does_everything(fence):
    assert ask(lambda: execute("UPDATE rug SET price = 2"), **{CAPABILITY: NAME}).status_code == 200


def test_a_home_that_owned_nothing_at_first_takes_no_write_that_nobody_has_given_it(settings):
    settings.FIRST_OWNER = False
    begun = []
    assert ask(lambda: begun.append(1), **{CAPABILITY: NAME}).status_code == 503
    assert not begun
    assert ask(lambda: None, method="get", **{CAPABILITY: NAME}).status_code == 200


# ── Half way ─────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_transaction_that_did_nothing_else_may_be_sent_again(fence):
    fence(State.FENCED)

    @transaction.atomic
    def view():
        execute("INSERT INTO knot VALUES (1)")
        execute("UPDATE rug SET price = 2")

    def with_its_error_handled():
        with pytest.raises(DatabaseError) as refused:
            view()
        assert is_fenced(refused.value)

    answer = ask(with_its_error_handled)
    assert (answer.status_code, answer[FENCED], knots()) == (503, "1", 0)


def test_an_error_caught_in_a_savepoint_undoes_the_whole_transaction(fence):
    """Without the guard the knot would be there, and the client told that nothing was done."""
    fence(State.FENCED)

    def view():
        with transaction.atomic():
            execute("INSERT INTO knot VALUES (1)")
            with pytest.raises(DatabaseError), transaction.atomic():
                execute("UPDATE rug SET price = 2")
            execute("INSERT INTO knot VALUES (2)")

    with pytest.raises(Fenced, match="none of it is committed"):
        view()
    assert knots() == 0
    with transaction.atomic():  # and the connection goes on
        execute("INSERT INTO knot VALUES (3)")
    assert knots() == 1


def committed_before() -> None:
    execute("INSERT INTO knot VALUES (1)")


def sent_a_task() -> None:
    from monolith.reporting.tasks import sum_up_sales

    sum_up_sales.delay()


def called_somebody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


@pytest.mark.parametrize("done", [committed_before, sent_a_task, called_somebody])
def test_a_refusal_after_a_side_effect_is_not_sent_again(fence, done):
    fence(State.FENCED)

    def view():
        done()
        with pytest.raises(DatabaseError):
            execute("UPDATE rug SET price = 2")

    answer = ask(view)
    assert answer.status_code == 503
    assert FENCED not in answer
    assert "had been done" in json.loads(answer.content)["detail"]


def test_what_was_rolled_back_is_no_side_effect(fence):
    fence(State.FENCED)

    def view():
        with transaction.atomic():
            execute("INSERT INTO knot VALUES (1)")
            transaction.set_rollback(True)
        with pytest.raises(DatabaseError):
            execute("UPDATE rug SET price = 2")

    assert ask(view)[FENCED] == "1"


def test_what_is_committed_after_a_rollback_is_a_side_effect(fence):
    fence(State.FENCED)

    def view():
        for undone in (True, False):
            with transaction.atomic():
                execute("INSERT INTO knot VALUES (1)")
                transaction.set_rollback(undone)
        with pytest.raises(DatabaseError):
            execute("UPDATE rug SET price = 2")

    assert FENCED not in ask(view)


def test_what_can_never_be_accepted_here_again_is_not_sent_again(fence):
    """The rows have moved, and the gateway sends this request here, whoever owns them."""
    fence(State.FOLLOWER)

    def view():
        with pytest.raises(DatabaseError):
            execute("UPDATE rug SET price = 2")

    answer = ask(view)
    assert FENCED not in answer
    told = json.loads(answer.content)
    assert told["code"] == "moved"
    assert "Nothing was done" in told["detail"]
    assert ask(view, **{CAPABILITY: NAME})[FENCED] == "1"  # this one goes to the owner


# ── Locks ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR NO KEY UPDATE", "for share", "FOR KEY SHARE"])
def test_rows_that_are_only_followed_are_not_locked(fence, lock):
    """No trigger fires for a lock, and the row that it locks is one that nobody else looks at."""
    fence(State.FOLLOWER)
    with pytest.raises(Fenced, match="rug was not locked"), transaction.atomic():
        execute(f'SELECT * FROM "rug" WHERE id = 1 {lock}')


def test_a_database_from_before_the_move_is_locked_as_ever(fence):
    """It was restored from a backup, so the connection is a new one."""
    fence(State.FOLLOWER)
    with pytest.raises(Fenced), transaction.atomic():
        execute("SELECT * FROM rug FOR UPDATE")
    execute("DROP SCHEMA strangler_ownership CASCADE")
    connection.close()
    with transaction.atomic():
        execute("SELECT * FROM rug FOR UPDATE")


def test_other_rows_are_locked_as_ever(fence):
    fence(State.FOLLOWER)
    with transaction.atomic():
        execute("SELECT * FROM knot FOR UPDATE")


# ── People ───────────────────────────────────────────────────────────────────────────────────────


def test_who_writes_by_hand_is_told_where_to_go(fence):
    fence(State.FOLLOWER)
    with pytest.raises(DatabaseError, match=r"belong to service.*\n.*\n.*Write at /api/rugs/\."):
        execute("DELETE FROM rug")


def test_a_page_is_refused_in_words(fence):
    fence(State.FOLLOWER)

    def view():
        with pytest.raises(DatabaseError):
            execute("UPDATE rug SET price = 2")

    answer = ask(view, path="/admin/rugs/1/change/")
    assert answer.status_code == 503
    assert "belong to service" in answer.content.decode()
