"""Statements of other contexts on rows that are to move are noted, with who and where; the owner's aren't."""

from __future__ import annotations

import datetime

import psycopg
import pytest

from strangler.movement import recorder
from strangler.movement.errors import SwitchRefused

WITHIN = datetime.timedelta(minutes=1)
OWN = "/* strangler: rugs@services.py:7 */"
FOREIGN = "/* strangler: rugs@models.py:3 ordering@services.py:77 */"


@pytest.fixture
def owner(pair):
    pair.on_owner("CREATE TABLE rug (id int PRIMARY KEY, price int)", "INSERT INTO rug VALUES (1, 1)")
    with psycopg.connect(pair.owner, autocommit=True, application_name="a shop") as connection:
        recorder.install(connection, "rugs", ["rug"], "nobody")
        yield connection
        connection.execute("DROP SCHEMA strangler_recorder CASCADE")


def noted(owner):
    found = recorder.crossings(owner, ["rug"], WITHIN).crossings
    return [(one.operation, one.context, one.site, one.count) for one in found]


def test_the_owners_own_statements_are_not_noted(owner):
    owner.execute(f"UPDATE rug SET price = 2 {OWN}")
    assert noted(owner) == []


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("UPDATE rug SET price = 2", "UPDATE"),
        ("INSERT INTO rug VALUES (2, 2)", "INSERT"),
        ("DELETE FROM rug", "DELETE"),
        ("TRUNCATE rug", "TRUNCATE"),
    ],
)
def test_another_contexts_statement_is_noted_with_its_place(owner, statement, operation):
    """Even where it goes through the owner's own code: the call is what would be refused."""
    owner.execute(f"{statement} {FOREIGN}")
    owner.execute(f"{statement.replace('(2, 2)', '(3, 3)')} {FOREIGN}")
    assert noted(owner) == [(operation, "ordering", "services.py:77", 2)]


def test_a_statement_that_names_nobody_is_noted_as_unknown(owner):
    owner.execute("UPDATE rug\n   SET price = 2")
    ((operation, context, site, _),) = noted(owner)
    assert (operation, context, site) == ("UPDATE", "", "UPDATE rug SET price = 2")


def test_a_cascade_from_elsewhere_is_noted(owner):
    owner.execute("CREATE TABLE loom (id int PRIMARY KEY)")
    owner.execute("INSERT INTO loom VALUES (1)")
    owner.execute("ALTER TABLE rug ADD loom int REFERENCES loom ON DELETE CASCADE")
    owner.execute(f"UPDATE rug SET loom = 1 {OWN}")
    owner.execute(f"DELETE FROM loom {FOREIGN}")
    assert noted(owner) == [("DELETE", "ordering", "services.py:77", 1)]


def test_a_lock_is_noted(owner):
    owner.execute("SELECT strangler_recorder.note_lock('{rug,loom}', %s)", [FOREIGN])
    owner.execute("SELECT strangler_recorder.note_lock('{rug}', %s)", [OWN])
    assert noted(owner) == [("LOCK", "ordering", "services.py:77", 1)]


def test_a_table_that_is_not_recorded_leaves_the_recording_open(owner):
    """Nothing noted of it says nothing."""
    assert recorder.crossings(owner, ["rug"], WITHIN).since is not None
    assert recorder.crossings(owner, ["rug", "loom"], WITHIN).since is None


def test_installed_again_it_goes_on(owner):
    owner.execute(f"UPDATE rug SET price = 2 {FOREIGN}")
    before = recorder.crossings(owner, ["rug"], WITHIN)
    recorder.install(owner, "rugs", ["rug"], "nobody")
    assert recorder.crossings(owner, ["rug"], WITHIN) == before


def test_removed_it_leaves_nothing(owner):
    recorder.remove(owner, ["rug"])
    owner.execute(f"UPDATE rug SET price = 2 {FOREIGN}")
    assert recorder.crossings(owner, ["rug"], WITHIN).since is None


def test_a_trigger_that_has_our_name_is_refused(owner):
    owner.execute("CREATE TABLE loom (id int PRIMARY KEY)")
    owner.execute("CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    owner.execute(
        'CREATE TRIGGER "01_strangler_recorder" BEFORE INSERT ON loom FOR EACH ROW EXECUTE FUNCTION mine()'
    )
    with pytest.raises(SwitchRefused, match="isn't ours"):
        recorder.install(owner, "rugs", ["loom"], "nobody")
