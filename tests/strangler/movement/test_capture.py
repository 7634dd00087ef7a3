"""Every change of a captured table leaves a row, whatever wrote it; names of others are left alone."""

from __future__ import annotations

import psycopg
import pytest

from strangler.movement import capture
from strangler.movement.errors import CaptureRefused, FollowFailed

RUG = "CREATE TABLE rug (id int PRIMARY KEY, sku text UNIQUE, price float8, woven timestamptz)"
CHANGES = "SELECT operation::text, content FROM strangler_capture.change ORDER BY id"
TRIGGERS = "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgname LIKE '00_strangler%' ORDER BY 1"


def test_insert_update_delete_and_truncate_are_taken(pair):
    pair.on_owner(RUG)
    assert capture.install(pair.owner, ["rug"]) == ("rug",)
    pair.on_owner(
        "INSERT INTO rug VALUES (1, 'GARISH-RUG')",
        "UPDATE rug SET sku = 'PLAIN-RUG'",
        "UPDATE rug SET id = 2",
        "DELETE FROM rug",
        "TRUNCATE rug",
    )
    assert pair.on_owner(CHANGES) == [
        ("I", "(1,GARISH-RUG,,)"),
        ("U", "(1,PLAIN-RUG,,)"),
        ("R", "(1,PLAIN-RUG,,)"),
        ("U", "(2,PLAIN-RUG,,)"),
        ("D", "(2,PLAIN-RUG,,)"),
        ("T", None),
    ]


def test_a_writer_s_own_settings_and_replica_role_change_nothing(pair):
    pair.on_owner(RUG)
    capture.install(pair.owner, ["rug"])
    pair.on_owner(
        "SET session_replication_role = replica",
        "SET TimeZone = 'Asia/Tokyo'",
        "SET DateStyle = 'SQL, DMY'",
        "SET extra_float_digits = 0",
        "INSERT INTO rug VALUES (1, NULL, 0.1::float8 + 0.2, '2026-03-29 02:30+02')",
    )
    assert pair.on_owner(CHANGES) == [("I", '(1,,0.30000000000000004,"2026-03-29 00:30:00+00")')]


def test_a_writer_needs_no_rights_on_the_changes(pair, role):
    name, _ = role
    pair.on_owner(RUG, f"GRANT USAGE ON SCHEMA public TO {name}", f"GRANT INSERT ON rug TO {name}")
    capture.install(pair.owner, ["rug"])
    pair.on_owner(f"SET ROLE {name}", "INSERT INTO rug VALUES (1)")
    assert len(pair.on_owner(CHANGES)) == 1


def test_what_the_applier_writes_is_no_change_and_no_setting_makes_one_the_applier(pair, role):
    name, password = role
    pair.on_owner(RUG, f"GRANT USAGE ON SCHEMA public TO {name}", f"GRANT INSERT ON rug TO {name}")
    capture.install(pair.owner, ["rug"], echo=name)
    with psycopg.connect(pair.owner, user=name, password=password) as applier:
        applier.execute("INSERT INTO rug VALUES (1)")
    assert pair.on_owner(CHANGES) == []
    pair.on_owner(f"SET ROLE {name}", "INSERT INTO rug VALUES (2)")
    assert pair.on_owner(CHANGES) == [("I", "(2,,,)")]


def test_installed_again_it_changes_nothing_and_removed_it_leaves_nothing(pair):
    pair.on_owner(RUG)
    capture.install(pair.owner, ["rug"])
    before = pair.on_owner("SELECT oid FROM pg_trigger ORDER BY 1")
    assert capture.install(pair.owner, ["rug"]) == ()
    assert pair.on_owner("SELECT oid FROM pg_trigger ORDER BY 1") == before
    assert pair.on_owner(TRIGGERS) == [
        ("00_strangler_key", "A"),
        ("00_strangler_row", "A"),
        ("00_strangler_truncate", "A"),
    ]
    capture.remove(pair.owner)
    capture.remove(pair.owner)
    assert pair.on_owner(TRIGGERS) == []
    assert pair.on_owner("SELECT to_regnamespace('strangler_capture')") == [(None,)]


def test_installed_again_without_a_name_it_keeps_the_role_that_was_left_out(pair, role):
    name, _ = role
    pair.on_owner(RUG)
    capture.install(pair.owner, ["rug"], echo=name)
    before = pair.on_owner("SELECT capture FROM strangler_capture.captured")
    assert capture.install(pair.owner, ["rug"]) == ()
    assert pair.on_owner("SELECT capture FROM strangler_capture.captured") == before


@pytest.mark.parametrize(
    "harm",
    ['ALTER TABLE rug DISABLE TRIGGER "00_strangler_row"', 'DROP TRIGGER "00_strangler_truncate" ON rug'],
)
def test_a_trigger_that_was_off_for_a_while_makes_the_capture_another(pair, harm):
    pair.on_owner(RUG)
    capture.install(pair.owner, ["rug"])
    before = pair.on_owner("SELECT capture FROM strangler_capture.captured")
    pair.on_owner(harm)
    assert capture.install(pair.owner, ["rug"]) == ("rug",)
    assert pair.on_owner("SELECT capture FROM strangler_capture.captured") != before
    assert {enabled for _, enabled in pair.on_owner(TRIGGERS)} == {"A"}


def test_names_that_are_taken_are_refused(pair):
    pair.on_owner(
        RUG,
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        'CREATE TRIGGER "00_strangler_row" AFTER INSERT ON rug FOR EACH ROW EXECUTE FUNCTION theirs()',
    )
    with pytest.raises(CaptureRefused, match="trigger 00_strangler_row that isn't ours"):
        capture.install(pair.owner, ["rug"])
    assert pair.on_owner("SELECT to_regnamespace('strangler_capture')") == [(None,)]
    pair.on_owner('DROP TRIGGER "00_strangler_row" ON rug', "CREATE SCHEMA strangler_capture")
    with pytest.raises(CaptureRefused, match="schema strangler_capture that isn't ours"):
        capture.install(pair.owner, ["rug"])
    pair.on_owner("DROP SCHEMA strangler_capture")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("CREATE TABLE rug (id int)", "no primary key"),
        ("CREATE TABLE rug (id int PRIMARY KEY) PARTITION BY HASH (id)", "is partitioned"),
        ("CREATE VIEW rug AS SELECT 1 AS id", "a view or the like"),
        ("SELECT 1", "has no table rug"),
    ],
)
def test_what_can_t_be_captured_is_refused_and_nothing_is_left(pair, table, sentence):
    pair.on_owner(table)
    with pytest.raises(CaptureRefused, match=sentence):
        capture.install(pair.owner, ["rug"])
    assert pair.on_owner("SELECT to_regnamespace('strangler_capture')") == [(None,)]


def test_a_table_that_a_transaction_holds_is_tried_again_and_then_said(pair, monkeypatch):
    pair.on_owner(RUG)
    monkeypatch.setattr(capture, "LOCK_MILLISECONDS", 50)
    monkeypatch.setattr(capture, "ATTEMPTS", 3)
    monkeypatch.setattr(capture, "PAUSE_SECONDS", 0.05)
    with psycopg.connect(pair.owner) as holder:
        holder.execute("INSERT INTO rug VALUES (1)")
        with pytest.raises(FollowFailed, match="holds one of the tables"):
            capture.install(pair.owner, ["rug"])
        assert pair.on_owner(TRIGGERS) == []
        monkeypatch.setattr(capture.time, "sleep", lambda _: holder.commit())
        assert capture.install(pair.owner, ["rug"]) == ("rug",)
