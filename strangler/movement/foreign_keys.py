"""Foreign keys at the follower, set aside while a copy runs and put back, validated, when it ends.

A copy goes in key order, and a child may come chunks before its parent (a tree of categories, tables that
refer to each other). Deferring a constraint reaches to the end of one transaction only, and silencing its
triggers needs a superuser. So the constraints are dropped, each with its definition kept in the same
transaction, and added again when the last row is there. Killed in between, the next run finds what it owes.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from strangler.movement.errors import CopyFailed, CopyRefused
from strangler.movement.tables import Connection, Table, sentence


def set_aside(follower: Connection, tables: list[Table]) -> None:
    """Drop every foreign key that leaves or reaches `tables`, and remember it; one transaction.

    Those that reach them from other tables go as well, lest a row that is written anew cascades.
    """
    with follower.transaction():
        found = follower.execute(
            """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid),
                      ARRAY[conrelid::regclass::text, confrelid::regclass::text]
               FROM pg_constraint
               WHERE contype = 'f' AND conparentid = 0
                 AND (conrelid = ANY(%(names)s::regclass[]) OR confrelid = ANY(%(names)s::regclass[]))
               ORDER BY 1, 2""",
            {"names": [table.identifier.as_string(follower) for table in tables]},
        ).fetchall()
        for table, name, definition, touches in found:
            follower.execute(
                "INSERT INTO strangler_movement.foreign_key_set_aside VALUES (%s, %s, %s, %s)",
                [table, name, definition, touches],
            )
            follower.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.SQL(table), sql.Identifier(name))
            )


def put_back(follower: Connection) -> None:
    """Add every foreign key again whose tables are all copied, and forget it.

    Belongs in the transaction that marks the tables as finished. CopyFailed names a key that the rows break.
    """
    owed = follower.execute(
        """SELECT table_name, name, definition FROM strangler_movement.foreign_key_set_aside AS f
           WHERE NOT EXISTS (SELECT FROM strangler_movement.backfill_progress AS p
                             WHERE p.finished_at IS NULL AND p.table_name = ANY(f.touches))
           ORDER BY 1, 2"""
    ).fetchall()
    for table, name, definition in owed:
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            sql.SQL(table), sql.Identifier(name), sql.SQL(definition)
        )
        try:
            follower.execute(add)
        except psycopg.errors.ForeignKeyViolation as error:
            raise CopyFailed(
                f"The copied rows break the foreign key {name} of {table}: {sentence(error)} The rows stay, "
                "the key stays set aside, and the copy counts as unfinished. Copy the other table too, "
                "or repair the rows, and run the copy again."
            ) from None
        follower.execute(
            "DELETE FROM strangler_movement.foreign_key_set_aside WHERE table_name = %s AND name = %s",
            [table, name],
        )


def refuse_immediate(follower: Connection, tables: list[Table]) -> None:
    """CopyRefused where a foreign key of `tables` acts or checks before the end of a transaction.

    A window deletes a row that it is about to write again: such a key would stop it, or carry the delete on.
    """
    found = follower.execute(
        """SELECT conrelid::regclass::text, conname FROM pg_constraint
           WHERE contype = 'f' AND conparentid = 0
             AND (conrelid = ANY(%(names)s::regclass[]) OR confrelid = ANY(%(names)s::regclass[]))
             AND NOT (condeferrable AND confdeltype = 'a')
           ORDER BY 1, 2""",
        {"names": [table.identifier.as_string(follower) for table in tables]},
    ).fetchone()
    if found:
        raise CopyRefused(
            f"The follower's foreign key {found[1]} of {found[0]} can't wait for the end of a transaction, "
            "or cascades by itself. Nothing was changed; make it DEFERRABLE, ON DELETE NO ACTION."
        )


def crossing(owner: Connection, tables: Sequence[str]) -> tuple[str, ...]:
    """Foreign keys that join `tables` to others, either way, as `table (constraint) -> table`.

    A followed delete would fail on the rows that refer to it, and stop the stream; in the replica role it
    would succeed, and leave them behind.
    """
    found = owner.execute(
        """SELECT format('%%s (%%s) -> %%s', conrelid::regclass, conname, confrelid::regclass)
           FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
             AND (conrelid = ANY(%(names)s::regclass[])) <> (confrelid = ANY(%(names)s::regclass[]))
           ORDER BY 1""",
        {"names": [sql.Identifier(*name.split(".")).as_string(owner) for name in tables]},
    )
    return tuple(name for (name,) in found)
