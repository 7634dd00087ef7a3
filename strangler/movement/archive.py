"""The end of a move: what the first owner had is dumped, its restore is tried, and then it is dropped.

The dump is PostgreSQL's own COPY text, one gzipped file a table, beside a manifest with row counts and
checksums. Restored into empty tables of the same shape it must come to the same checksums before anything is
dropped, and `DROP ... RESTRICT` refuses where something still needs the tables.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from strangler.movement import capture, foreign_keys, orders, ownership, recorder
from strangler.movement.errors import DropUnfinished, FollowFailed, MovementError, SwitchRefused
from strangler.movement.tables import Connection, Table, connection, read, sentence
from strangler.movement.verify import READING

MANIFEST = "manifest.json"
MIGRATION = '''"""The rows of {context} have another home: their tables were archived, and dropped."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = []  # ("{context}", "the latest one")
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
{deletions}
            ],
        ),
    ]
'''
AGAIN = "done again, it takes away what is left of ours."
BLOCK_BYTES = 1 << 20
VERIFIED_WITHIN = 10.0  # seconds that a verification under way is waited for
LISTEN_SECONDS = 2.0  # that scans are counted while nothing of ours reads


@dataclass(frozen=True)
class Archived:
    """One table in the archive: its file's name and SHA-256, its rows, and the checksum over them."""

    table: str
    file: str
    sha256: str
    rows: int
    checksum: int
    columns: tuple[str, ...]


def references(owner_url: str, tables: Sequence[str]) -> tuple[str, ...]:
    """What still needs the old owner's tables: foreign keys from outside, views, and whoever reads them now.

    Reads are counted for a moment in which the stream stands still, so that none of them is ours. Raises
    MovementError.
    """
    with connection(owner_url, "old owner") as owner, _told(owner_url):
        tables = [table for table in tables if _exists(owner, table)]
        names = [sql.Identifier(*table.split(".")).as_string(owner) for table in tables]
        found = [f"the foreign key {key}" for key in foreign_keys.crossing(owner, tables)]
        found += [
            f"the view {view}"
            for (view,) in owner.execute(
                """SELECT DISTINCT r.ev_class::regclass::text
                   FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
                   WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = ANY(%s::regclass[])
                   ORDER BY 1""",
                [names],
            )
        ]
        found += [f"somebody who reads {table}" for table in _scanned(owner, tables, names)]
    return tuple(found)


def archive(owner_url: str, tables: Sequence[str], into: Path) -> list[Archived]:
    """Dump `tables` as one snapshot has them, and try the restore; SwitchRefused where it isn't the same.

    Nothing is changed at the owner. `into` gets the files and the manifest. Once the tables are dropped, the
    archive that was made of them is looked through, and kept.
    """
    with connection(owner_url, "old owner") as owner, _told(owner_url):
        if not any(_exists(owner, table) for table in tables):
            return _kept(into, tables)
        into.mkdir(parents=True, exist_ok=True)
        with owner.transaction():
            owner.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            done = [_dump(owner, read(owner, name, "old owner"), into) for name in tables]
            manifest = {"made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "tables": done}
            text = json.dumps(manifest, indent=2, default=asdict)
            (into / MANIFEST).write_text(text + "\n")
            for one in done:
                _try_restore(owner, one, into)
    return done


def drop(owner_url: str, new_owner_url: str, name: str, tables: Sequence[str]) -> None:
    """Drop the old owner's tables, and all of ours on both sides that saw to them.

    The tables go in one transaction; SwitchRefused where something needs them, and then nothing has changed.
    DropUnfinished where they are gone, or may be: done again it takes away what is left. The new owner
    remembers its epoch.
    """
    with connection(owner_url, "old owner") as owner:
        with _told(owner_url, may_be=f"The tables may be dropped; {AGAIN}"), owner.transaction():
            _drop(owner, [table for table in tables if _exists(owner, table)])
            orders.end(owner, tables)
            ownership.forget_dropped(owner, name)
        with _unfinished(), connection(new_owner_url, "new owner") as new_owner:
            capture.remove(new_owner_url, tables, follower=orders.follower_name(owner))
            orders.forget(owner, tables)
            recorder.remove(new_owner, tables)
    with _unfinished():
        capture.remove(owner_url, tables)


def write_migration(context: str, tables: Sequence[str], into: Path) -> Path:
    """A Django migration for the monolith that takes the models away without touching the database.

    Its tables are gone already. It depends on nothing yet: put it into the application's migrations, with the
    latest one as its dependency. Tables of many-to-many fields go with the models that have the fields.
    Raises DropUnfinished.
    """
    models = [
        table.removeprefix(f"{context}_")
        for table in tables
        if not any(table.startswith(f"{other}_") for other in tables if other != table)
    ]
    deletions = "\n".join(f'                migrations.DeleteModel("{model}"),' for model in reversed(models))
    path = into / f"post_drop_{context}.py"
    with _unfinished():
        path.write_text(MIGRATION.format(context=context, deletions=deletions))
    return path


def _drop(owner: Connection, tables: Sequence[str]) -> None:
    if not tables:
        return
    names = sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in tables)
    try:
        owner.execute(sql.SQL("DROP TABLE {} RESTRICT").format(names))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise SwitchRefused(
            f"Something still needs these tables: {sentence(error)} Nothing was dropped; the archive stays."
        ) from error


def _kept(into: Path, tables: Sequence[str]) -> list[Archived]:
    """The archive of tables that are gone; SwitchRefused unless it is whole."""
    try:
        listed = json.loads((into / MANIFEST).read_text())["tables"]
        found = [Archived(**{**one, "columns": tuple(one["columns"])}) for one in listed]
        whole = all(_sha256(into / one.file) == one.sha256 for one in found)
    except (OSError, ValueError, KeyError, TypeError):
        found, whole = [], False
    if not whole or {one.table for one in found} != set(tables):
        raise SwitchRefused(
            f"The tables are gone, and {into} doesn't hold a whole archive of them. Nothing was changed; "
            "look for it in a backup."
        )
    return found


def _dump(owner: Connection, table: Table, into: Path) -> Archived:
    path = into / f"{table.name}.copy.gz"
    rows, checksum = _sum(owner, table, table.identifier)
    partial = path.with_suffix(".partial")
    with gzip.open(partial, "wb", compresslevel=6) as file, owner.cursor() as cursor:
        copy = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
            table.column_list, table.identifier, table.key_list
        )
        with cursor.copy(copy) as out:
            for block in out:
                file.write(bytes(block))
    partial.replace(path)
    columns = tuple(column.name for column in table.stored)
    return Archived(table.name, path.name, _sha256(path), rows, checksum, columns)


def _try_restore(owner: Connection, one: Archived, into: Path) -> None:
    """Fill an empty table of the same shape from the file; it goes with the transaction."""
    table = read(owner, one.table, "old owner")
    if _sha256(into / one.file) != one.sha256:
        raise SwitchRefused(f"{into / one.file} isn't what was written. Nothing was dropped; see the disk.")
    name = sql.Identifier("pg_temp", "restored")
    owner.execute(
        sql.SQL("CREATE TEMPORARY TABLE restored (LIKE {} INCLUDING GENERATED) ON COMMIT DROP").format(
            table.identifier
        )
    )
    with owner.cursor() as cursor, gzip.open(into / one.file, "rb") as file:
        columns = sql.SQL(", ").join(sql.Identifier(column) for column in one.columns)
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)) as copy:
            while block := file.read(BLOCK_BYTES):
                copy.write(block)
    restored = _sum(owner, table, name)
    owner.execute(sql.SQL("DROP TABLE {}").format(name))
    if restored != (one.rows, one.checksum):
        raise SwitchRefused(
            f"The archive of {one.table} restores to {restored[0]:,} rows that aren't the table's "
            f"{one.rows:,}. Nothing was dropped."
        )


def _sum(owner: Connection, table: Table, name: sql.Identifier) -> tuple[int, int]:
    """How many rows there are, and the xor of their hashes."""
    found = owner.execute(
        sql.SQL("SELECT count(*), coalesce(bit_xor({}), 0) FROM {} AS t").format(table.row_hash, name)
    ).fetchone()
    rows, checksum = found or (0, 0)
    return rows, checksum


def _scanned(owner: Connection, tables: list[str], names: list[str]) -> list[str]:
    """Tables that somebody has read within a moment, while the follower waits for our lock."""
    # No verification of ours may read meanwhile, and none be under way.
    deadline = time.monotonic() + VERIFIED_WITHIN
    while owner.execute("SELECT pg_try_advisory_lock(%s)", [READING]).fetchone() != (True,):
        if time.monotonic() > deadline:
            return ["them to verify them: ask again in a moment"]
        time.sleep(0.1)
    counted = """SELECT relid::regclass::text, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables
                 WHERE relid = ANY(%s::regclass[])"""
    with owner.transaction():
        # Appliers take these rows before they touch the tables.
        if owner.execute("SELECT to_regclass('strangler_ownership.unit')").fetchone() != (None,):
            owner.execute("SELECT FROM strangler_ownership.unit WHERE tables && %s FOR UPDATE", [tables])
        time.sleep(LISTEN_SECONDS / 2)  # what ended before is counted late
        owner.execute("SELECT pg_stat_clear_snapshot()")
        before: dict[str, int] = dict(owner.execute(counted, [names]).fetchall())
        time.sleep(LISTEN_SECONDS)
        owner.execute("SELECT pg_stat_clear_snapshot()")
        after = owner.execute(counted, [names]).fetchall()
    owner.execute("SELECT pg_advisory_unlock(%s)", [READING])
    return [table for table, count in after if count != before.get(table)]


def _exists(owner: Connection, table: str) -> bool:
    name = sql.Identifier(*table.split(".")).as_string(owner)
    return owner.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone() == (True,)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told(url: str, *, may_be: str = "") -> Iterator[None]:
    """A database's or a disk's own error as FollowFailed, with what has stayed as it was.

    With `may_be` a connection that was lost is DropUnfinished: nobody knows then what has become of it.
    """
    try:
        yield
    except psycopg.Error as error:
        said = f"The database {url.rpartition('@')[2]} stopped it: {sentence(error)}"
        if may_be and error.sqlstate is None:
            raise DropUnfinished(f"{said} {may_be}") from error
        raise FollowFailed(f"{said} Nothing was dropped.") from error
    except OSError as error:
        raise FollowFailed(f"The archive can't be written: {error}. Nothing was dropped.") from error


@contextmanager
def _unfinished() -> Iterator[None]:
    """What goes wrong once the tables are dropped as DropUnfinished."""
    try:
        yield
    except MovementError as error:
        raise DropUnfinished(f"{error} The tables are dropped; {AGAIN}") from error
    except psycopg.Error as error:
        raise DropUnfinished(f"{sentence(error)} The tables are dropped; {AGAIN}") from error
    except OSError as error:
        raise DropUnfinished(
            f"The migration can't be written: {error}. The tables are dropped; {AGAIN}"
        ) from error
