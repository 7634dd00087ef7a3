"""What a statement does is told from its words, alike for everybody who asks."""

from __future__ import annotations

import pytest
from psycopg import sql

from strangler.chassis.writing import changes_rows, may_write, only_locks


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO rug VALUES (1)",
        "  (update rug SET price = 2)",
        "-- a price\nDELETE FROM rug",
        "/* shop */ /* rugs */ MERGE INTO rug USING knot ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE rug",
        "COPY rug FROM '/tmp/rugs'",
        "WITH gone AS (\n DELETE FROM rug RETURNING id) SELECT * FROM gone",
        "WITH one AS (SELECT 1) MERGE INTO rug USING one ON true WHEN MATCHED THEN DELETE",
        sql.SQL("SELECT 1"),
    ],
)
def test_what_changes_rows(statement: object) -> None:
    assert changes_rows(statement)
    assert may_write(statement)
    assert not only_locks(statement)


@pytest.mark.parametrize("statement", ["CALL reprice()", "do $$ BEGIN END $$", "EXECUTE reprice"])
def test_what_runs_something_that_may_write(statement: str) -> None:
    assert may_write(statement)
    assert not changes_rows(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM rug FOR UPDATE",
        "select * from rug for no key update",
        "WITH one AS (SELECT 1) SELECT * FROM rug FOR  UPDATE",
        "WITH one AS (SELECT 1) SELECT * FROM rug FOR KEY SHARE",
    ],
)
def test_what_only_locks(statement: str) -> None:
    assert only_locks(statement)
    assert not may_write(statement)


@pytest.mark.parametrize(
    "statement", ["SELECT updated FROM rug", "SAVEPOINT one", "WITH one AS (SELECT 1) SELECT * FROM one", ""]
)
def test_what_does_neither(statement: str) -> None:
    assert not may_write(statement)
    assert not only_locks(statement)
