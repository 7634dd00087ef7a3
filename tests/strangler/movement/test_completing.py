"""The end of a move: the old tables go once, nothing of ours stays behind, and killed half way it goes on."""

from __future__ import annotations

import psycopg
import pytest

from strangler.movement import archive, orders
from strangler.movement.errors import CopyFailed, DropUnfinished, SwitchRefused
from strangler.movement.tables import connection
from tests.strangler.movement.switching import NAME, TABLES

THERE = "SELECT count(*) FROM pg_class WHERE relname IN ('rug', 'knot')"
OURS = "SELECT DISTINCT nspname FROM pg_namespace WHERE nspname IN ('strangler_capture')"
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgname ~ 'strangler_(row|key|truncate|statement|note)'"


@pytest.fixture
def switched(homes):
    """The service owns; the shop follows, by orders of two capabilities, one of which has another table."""
    with homes.followed():
        homes.carry_out("shop")
        homes.assert_equal()
    with connection(homes.shop.url, "shop") as shop:
        orders.order(shop, NAME, "service", TABLES, "anna@loom")
        orders.order(shop, "rugs.read", "service", (*TABLES, "loom"), "anna@loom")
    return homes


def drop(homes) -> None:
    archive.drop(homes.shop.url, homes.service.url, NAME, TABLES)


def test_the_tables_go_and_nothing_of_ours_stays(switched, tmp_path):
    archive.archive(switched.shop.url, TABLES, tmp_path)
    drop(switched)
    assert switched.sql("shop", THERE) == [(0,)]
    with connection(switched.shop.url, "shop") as shop:
        assert orders.ordered(shop) == {"rugs.read": ("service", ("loom",))}
    assert switched.sql("service", OURS) == []
    assert switched.sql("service", TRIGGERS) == []
    switched.sql("service", "UPDATE rug SET price = 7")  # which nobody keeps for anybody any more
    assert switched.sql("service", "SELECT count(*) FROM rug") == [(20,)]


def test_killed_after_the_drop_it_is_done_again(switched, tmp_path):
    made = archive.archive(switched.shop.url, TABLES, tmp_path)
    drop(switched)
    assert archive.references(switched.shop.url, TABLES) == ()
    assert archive.archive(switched.shop.url, TABLES, tmp_path) == made
    drop(switched)


def test_what_is_left_when_the_new_owner_goes_away_is_done_again(switched):
    with pytest.raises(
        DropUnfinished, match=r"can't be reached.*The tables are dropped; done again, it takes"
    ):
        archive.drop(switched.shop.url, "postgresql://nobody@127.0.0.1:1/none", NAME, TABLES)
    assert switched.sql("shop", THERE) == [(0,)]
    drop(switched)
    assert switched.sql("service", OURS) == []


def test_a_connection_that_is_lost_in_the_drop_leaves_it_open_what_became_of_it(switched, monkeypatch):
    def lost(*_):
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr("strangler.movement.archive.ownership.forget_dropped", lost)
        with pytest.raises(DropUnfinished, match=r"The tables may be dropped; done again"):
            drop(switched)
    drop(switched)
    assert switched.sql("shop", THERE) == [(0,)]


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_tables_that_are_gone_without_a_whole_archive_are_said(switched, tmp_path, harm):
    first, *_ = archive.archive(switched.shop.url, TABLES, tmp_path)
    drop(switched)
    file = tmp_path / first.file
    file.unlink() if harm == "gone" else file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SwitchRefused, match="doesn't hold a whole archive of them"):
        archive.archive(switched.shop.url, TABLES, tmp_path)


def test_what_something_needs_is_not_dropped_and_still_follows(switched):
    switched.sql("shop", "CREATE VIEW best AS SELECT * FROM rug")
    with pytest.raises(SwitchRefused, match=r"Something still needs these tables: .*best"):
        drop(switched)
    with connection(switched.shop.url, "shop") as shop:
        assert set(orders.ordered(shop)) == {NAME, "rugs.read"}
    assert switched.sql("service", OURS) == [("strangler_capture",)]
    switched.sql("shop", "DROP VIEW best")


def test_a_database_that_is_away_is_a_sentence():
    with pytest.raises(CopyFailed, match="can't be reached"):
        archive.references("postgresql://nobody@127.0.0.1:1/none", TABLES)
