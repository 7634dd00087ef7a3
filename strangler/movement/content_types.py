"""Content types: each Django project numbers its models itself, and rows name them by number.

Rows travel as they are, so a number must mean the same model at both homes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from strangler.movement.tables import Connection, Table

COLUMNS = """
SELECT a.attname FROM pg_attribute AS a
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND (
    a.attname ~ '(^|_)content_type_id$' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
    OR EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = a.attrelid AND c.contype = 'f'
               AND c.confrelid = to_regclass('django_content_type') AND c.conkey = ARRAY[a.attnum]))
ORDER BY 1
"""
MODELS = "SELECT id, app_label || '.' || model FROM django_content_type"


def unlike(owner: Connection, follower: Connection, table: Table) -> list[str]:
    """In words, what rows of `table` name by a number that means another model at the follower, or none."""
    name = table.identifier.as_string(owner)
    columns = [column for (column,) in owner.execute(COLUMNS, {"table": name})]
    here, there = (_models(side) for side in (owner, follower)) if columns else ({}, {})
    found = []
    for column in columns if here else ():
        used = owner.execute(
            sql.SQL("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1").format(
                column=sql.Identifier(column), table=table.identifier
            )
        )
        found += [
            f"{column} {number} is {here.get(number, 'no model')} at the owner and "
            f"{there.get(number, 'no model')} at the follower"
            for (number,) in used
            if here.get(number) != there.get(number)
        ]
    return found


def _models(side: Connection) -> dict[int, str]:
    """The models by their numbers; none in a database that isn't a Django project's with content types."""
    if side.execute("SELECT to_regclass('django_content_type') IS NULL").fetchone() == (True,):
        return {}
    return dict(side.execute(MODELS).fetchall())
