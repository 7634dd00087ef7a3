"""A write's answer carries a position, and a home that lacks the write says so before it does anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from monolith.identity import services
from strangler.chassis import identity
from strangler.chassis.freshness import (
    LOOK,
    WAIT,
    BehindMiddleware,
    Position,
    WrittenMiddleware,
    carried,
    is_held,
    note_written,
    read,
    sign,
    signing_key,
)
from strangler.chassis.ownership import Unit
from strangler.movement import capture
from tests.waiting import Clock

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)  # what it does is committed, as in a request

WRITE = "UPDATE rug SET price = price + 1 WHERE id = 7"
OTHER = "INSERT INTO visit VALUES (1)"


@pytest.fixture(autouse=True)
def another_home(settings: Any) -> None:
    """A home that owns no rows of its own accord, as a service."""
    settings.FIRST_OWNER = False


def run(*statements: str) -> Any:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


@pytest.fixture
def rugs() -> Iterator[None]:
    """A table whose changes are captured, and one that nobody follows."""
    run("CREATE TABLE rug (id int PRIMARY KEY, price int)", "CREATE TABLE visit (n int)")
    run("INSERT INTO rug VALUES (7, 12)")
    one = connection.settings_dict
    login = f"{quote(one['USER'])}:{quote(one['PASSWORD'])}@" if one["USER"] else ""
    capture.install(
        f"postgresql://{login}{quote(one['HOST'], safe='')}:{one['PORT'] or 5432}/{one['NAME']}", ["rug"]
    )
    yield
    run("DROP TABLE rug, visit", "DROP SCHEMA strangler_capture CASCADE")


def answer(view: Callable[[], Any], **request: Any) -> HttpResponse:
    """What the owner answers when a view has done its work."""

    def get_response(_: Any) -> HttpResponse:
        view()
        return HttpResponse()

    return WrittenMiddleware(get_response)(RequestFactory().get("/", **request))


def position_of(response: HttpResponse) -> Position | None:
    return read(response.headers.get("x-written", ""), signing_key())


# ── The owner ────────────────────────────────────────────────────────────────────────────────────


def by_hand() -> None:
    with transaction.atomic():
        run("SELECT 1", WRITE)


def in_autocommit() -> None:
    run(WRITE)


def in_a_savepoint() -> None:
    with transaction.atomic():
        run(OTHER)
        with transaction.atomic():
            run(WRITE)


def by_a_common_table_expression() -> None:
    run("WITH dearer AS (UPDATE rug SET price = 20 RETURNING id) SELECT count(*) FROM dearer")


@committing
@pytest.mark.parametrize("view", [by_hand, in_autocommit, in_a_savepoint, by_a_common_table_expression])
def test_a_write_of_followed_rows_gets_the_position_of_its_transaction(
    rugs: None, view: Callable[[], None]
) -> None:
    response = answer(view)
    written = run("SELECT max(tx::text) FROM strangler_capture.change")[0]
    assert position_of(response) == Position(written)
    cookie = response.cookies["strangler-written"]
    assert cookie.value == response.headers["x-written"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert 0 < int(cookie["max-age"]) <= 300


@committing
def test_the_last_of_several_transactions_counts(rugs: None) -> None:
    response = answer(lambda: (run(WRITE), by_hand(), run(OTHER)))
    (last,) = run("SELECT tx::text FROM strangler_capture.change ORDER BY id DESC LIMIT 1")
    assert position_of(response) == Position(last)


def rolled_back() -> None:
    with transaction.atomic():
        run(WRITE)
        transaction.set_rollback(True)


def rolled_back_to_a_savepoint() -> None:
    with transaction.atomic():
        run(OTHER)
        with transaction.atomic():
            run(WRITE)
            transaction.set_rollback(True)


def locked() -> None:
    with transaction.atomic():
        run("SELECT * FROM rug FOR UPDATE")


@committing
@pytest.mark.parametrize(
    "view",
    [lambda: run("SELECT * FROM rug"), lambda: run(OTHER), rolled_back, rolled_back_to_a_savepoint, locked],
    ids=["a read", "rows that nobody follows", "rolled back", "rolled back to a savepoint", "locked only"],
)
def test_whatever_changes_no_followed_row_gets_none(rugs: None, view: Callable[[], None]) -> None:
    response = answer(view)
    assert "x-written" not in response.headers
    assert not response.cookies


@committing
def test_a_transaction_that_goes_on_after_an_undone_savepoint_is_noted(rugs: None) -> None:
    def view() -> None:
        with transaction.atomic():
            with transaction.atomic():
                run(WRITE)
                transaction.set_rollback(True)
            run(WRITE)

    assert position_of(answer(view)) is not None


@committing
def test_a_read_asks_the_database_nothing_more(
    rugs: None, django_assert_num_queries: Callable[[int], Any]
) -> None:
    answer(in_autocommit)  # knows by now that changes are captured here
    with django_assert_num_queries(1):
        answer(lambda: run("SELECT * FROM rug"))


@committing
def test_where_nothing_is_captured_a_write_costs_a_question_now_and_then() -> None:
    run("CREATE TABLE visit (n int)")
    middleware = WrittenMiddleware(lambda _: (run(OTHER), HttpResponse())[1])
    try:
        response = middleware(RequestFactory().post("/"))
        assert "x-written" not in response.headers
        statements: list[str] = []

        def listen(execute: Any, sql: str, *rest: Any) -> Any:
            statements.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(listen):
            middleware(RequestFactory().post("/"))
        assert statements == [OTHER]
    finally:
        run("DROP TABLE visit")


@committing
def test_over_https_the_cookie_stays_there(rugs: None) -> None:
    assert not answer(in_autocommit).cookies["strangler-written"]["secure"]
    assert answer(in_autocommit, secure=True).cookies["strangler-written"]["secure"]


# ── A page that asks another home ────────────────────────────────────────────────────────────────


def test_who_has_another_home_write_gets_the_position_of_that() -> None:
    first, last = position("150"), position("160")
    response = answer(lambda: (note_written(first), note_written(last), note_written(None)))
    assert response.headers["x-written"] == response.cookies["strangler-written"].value == last
    assert "x-written" not in answer(lambda: None).headers


def test_what_no_home_has_signed_is_not_handed_on() -> None:
    forged = sign(Position("160"), OctKey.import_key("another's secret"))
    assert "x-written" not in answer(lambda: (note_written(forged), note_written("garbage"))).headers
    note_written(position())  # outside of a request


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_a_page_asks_carries_what_its_user_has_written(settings: Any, method: str) -> None:
    settings.FIRST_OWNER = True  # where the pages are
    before, then = position("150"), position("160")
    seen: list[str] = []

    def view(_: Any) -> HttpResponse:
        seen.append(carried())
        note_written(then)
        seen.append(carried())
        return HttpResponse()

    def ask(cookie: str) -> None:
        request = getattr(RequestFactory(), method)("/", HTTP_COOKIE=f"strangler-written={cookie}")
        BehindMiddleware(WrittenMiddleware(view))(request)

    ask(before)
    ask("garbage")
    assert seen == [before, then, "", then]
    assert carried() == ""


# ── The follower ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def follower() -> Iterator[Callable[[str | None], None]]:
    """This database as a follower's; moves its watermark to a snapshot."""
    run((files("strangler.movement") / "schema.sql").read_text())
    run("INSERT INTO strangler_movement.watermark DEFAULT VALUES")

    def move(snapshot: str | None) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE strangler_movement.watermark SET snapshot = %s", [snapshot])

    yield move
    run("DROP SCHEMA strangler_movement CASCADE")


def asked(**request: Any) -> HttpResponse:
    """What a follower answers; a view that it came to says 200."""
    return BehindMiddleware(lambda _: HttpResponse())(RequestFactory().get("/", **request))


def carrying(position: str) -> HttpResponse:
    by_header, by_cookie = asked(HTTP_X_WRITTEN=position), asked(HTTP_COOKIE=f"strangler-written={position}")
    assert (by_header.status_code, by_header.content) == (by_cookie.status_code, by_cookie.content)
    return by_header


def position(xid: str = "150", **changes: Any) -> str:
    return sign(Position(xid), signing_key(), **changes)


def test_a_follower_serves_whom_it_has_caught_up_with_and_says_behind_to_the_others(
    follower: Callable[[str | None], None],
) -> None:
    follower("100:200:150")  # 150 had begun, and hadn't ended
    behind = carrying(position("150"))
    assert (behind.status_code, behind.headers["x-strangler-behind"]) == (421, "1")
    assert behind.headers["retry-after"] == "1"
    assert carrying(position("200")).status_code == 421
    assert carrying(position("149")).status_code == carrying(position("160")).status_code == 200
    follower("151:200:")
    assert carrying(position("150")).status_code == 200
    run("INSERT INTO strangler_movement.followed VALUES ('rug', gen_random_uuid(), '', 'filling')")
    assert carrying(position("150")).status_code == 421  # the watermark runs ahead of a copy
    assert asked().status_code == 200


def test_a_follower_that_has_not_begun_is_behind(follower: Callable[[str | None], None]) -> None:
    follower(None)
    assert carrying(position()).status_code == 421
    run("DELETE FROM strangler_movement.watermark")
    assert carrying(position()).status_code == 421


@committing
def test_where_nothing_is_followed_every_write_is_missing() -> None:
    assert carrying(position()).status_code == 421
    assert asked().status_code == 200


@committing
def test_the_first_owner_has_all_until_its_database_says_that_it_follows(settings: Any) -> None:
    settings.FIRST_OWNER = True
    assert carrying(position()).status_code == 200


def test_the_first_owner_waits_a_moment_and_answers_all_the_same(
    follower: Callable[[str | None], None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FIRST_OWNER = True
    clock = Clock()
    monkeypatch.setattr("strangler.chassis.freshness.time", clock)
    follower("100:100:")
    run((files("strangler.movement") / "ownership.sql").read_text())
    run(
        "INSERT INTO strangler_ownership.unit VALUES ('rugs.write', '{rug}', 'follower', 3, NULL, 'shop', '')"
    )
    theirs = sign(Position("150", "rugs.write", 3, "monolith"), signing_key())
    assert asked(HTTP_X_WRITTEN=theirs).status_code == 200
    waited = clock.slept
    assert waited == pytest.approx(WAIT, abs=LOOK)
    follower("200:200:")
    assert asked(HTTP_X_WRITTEN=theirs).status_code == 200
    assert clock.slept == waited


def test_a_write_is_never_held_back(follower: Callable[[str | None], None]) -> None:
    follower("100:100:")
    request = RequestFactory().post("/", HTTP_X_WRITTEN=position())
    assert BehindMiddleware(lambda _: HttpResponse())(request).status_code == 200


@committing
def test_a_position_names_the_unit_its_epoch_and_who_follows(rugs: None) -> None:
    run((files("strangler.movement") / "ownership.sql").read_text())
    run(
        "INSERT INTO strangler_ownership.unit VALUES ('rugs.write', '{rug}', 'owner', 4, NULL, 'service', '')"
    )
    try:
        found = position_of(answer(by_hand))
        assert found
        assert (found.unit, found.epoch, found.follower) == ("rugs.write", 4, "service")
    finally:
        run("DROP SCHEMA strangler_ownership CASCADE")


# Between `shop` and `service`: who wrote in which epoch, and what a home says that believes this. None: its
# watermark tells.
HELD = [
    # at the service, which follows the shop
    ("shop", 2, "service", "follower", 2, None),
    ("shop", 2, "service", "offered", 3, None),
    ("shop", 3, "service", "offered", 3, None),  # written just before the fence was up
    ("shop", 1, "service", "follower", 3, None),
    ("service", 1, "service", "follower", 2, True),  # its own, of when it was the owner
    ("shop", 3, "service", "follower", 2, False),
    # at the service, which owns
    ("shop", 2, "service", "owner", 3, True),
    ("service", 3, "service", "owner", 3, True),
    # at the shop, whose fence is up
    ("shop", 2, "shop", "fenced", 3, True),
    ("service", 1, "shop", "fenced", 3, True),
    ("service", 3, "shop", "fenced", 3, False),  # which owns by now, and the shop doesn't know it yet
    # at the shop, which follows
    ("service", 3, "shop", "follower", 3, None),
    ("shop", 2, "shop", "follower", 3, True),
]


@pytest.mark.parametrize(("writer", "epoch", "reader", "state", "now", "held"), HELD)
def test_who_owns_says_whether_a_home_has_a_write(
    writer: str, epoch: int, reader: str, state: str, now: int, held: bool | None
) -> None:
    other = {"shop": "service", "service": "shop"}
    position = Position("150", "rugs.write", epoch, follower=other[writer])
    units = {"rugs.write": Unit("rugs.write", state, now, other[reader])}
    assert is_held(position, units, first_owner=reader == "shop") is held


def test_what_was_written_to_rows_that_a_home_does_not_have_is_not_missing_there() -> None:
    units = {"rugs.write": Unit("rugs.write", "owner", 3, "shop")}
    elsewhere = Position("150", "lamps.write", 1, "lamps")
    assert is_held(elsewhere, units, first_owner=False) is True
    assert is_held(Position("150"), units, first_owner=False) is True
    follows = {"rugs.write": Unit("rugs.write", "follower", 3, "shop")}
    assert is_held(Position("150"), follows, first_owner=False) is None


def claims(**changes: Any) -> dict[str, Any]:
    whole = {"aud": "position", "exp": int(time.time()) + 60} | vars(Position("150"))
    return {name: value for name, value in (whole | changes).items() if value is not None}


def signed(key: Any, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode({"alg": algorithm}, claims(**changes), key)


BROKEN = {
    "garbage": lambda: "../../etc/passwd",
    "three empty parts": lambda: "..",
    "long garbage": lambda: "a" * 8000,
    "forged": lambda: signed(OctKey.generate_key(256)),
    "by a key of another kind": lambda: signed(services.signing_key(), "ES256"),
    "changed": lambda: position()[:-6] + "AAAAAA",
    "unsigned": lambda: "eyJhbGciOiJub25lIn0.eyJ4aWQiOiI5OTkifQ.",
    "a header that is a text": lambda: "ImFsZyI." + position().partition(".")[2],  # "alg"
    "an odd crit": lambda: "eyJhbGciOiJIUzI1NiIsImNyaXQiOjF9." + position().partition(".")[2],
    "expired": lambda: position(lifetime=-60),
    "somebody's token": lambda: identity.sign(
        identity.Caller("1", "admin"), services.signing_key(), lifetime=60
    ),
    "endless": lambda: signed(signing_key(), exp=None),
    "no number": lambda: signed(signing_key(), xid="1; DROP TABLE rug"),
    "a number as JSON has it": lambda: signed(signing_key(), xid=150),
    "no epoch": lambda: signed(signing_key(), epoch=None),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_position_that_is_not_good_is_passed_over(
    follower: Callable[[str | None], None], broken: Callable[[], str]
) -> None:
    follower("100:100:")
    assert carrying(position()).status_code == 421  # it would count
    assert carrying(broken()).status_code == 200


def test_a_position_is_no_token() -> None:
    with pytest.raises(JoseError):
        identity.verify(signed(signing_key(), iss="marketplace", sub="1"), services.public_keys())
