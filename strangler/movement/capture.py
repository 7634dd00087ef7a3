"""Changes of the owner's tables, taken by triggers whatever code path wrote them: following begins here.

Admin, bulk update, raw SQL and TRUNCATE all leave a row in `strangler_capture.change`. What the role `echo`
writes isn't taken (the owner's applier, unless another is named): that is a stream in the other direction,
told apart by who logged in and never by a setting that a session could change.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import TypeVar

import psycopg
from psycopg import sql

from strangler.movement import applier
from strangler.movement.errors import CaptureRefused, CopyRefused, FollowFailed
from strangler.movement.tables import HELD_SECONDS, Connection, Table, connection, read, sentence

MARK = "strangler: changes of followed tables"  # the comment that says whose the schema is
LOCK = 0x5742_4343  # advisory, in the owner's database: one installation at a time
LOCK_MILLISECONDS, ATTEMPTS, PAUSE_SECONDS = 500, 20, 0.5  # for the tables' locks

T = TypeVar("T")

# Row triggers fire in the order of their names. These come before the owner's own and the foreign keys',
# lest a trigger that writes the same row once more is captured before what it answers to.
TRIGGERS = {
    "00_strangler_key": "AFTER UPDATE ON {table} FOR EACH ROW WHEN ({moved} AND {not_echo}) "
    "EXECUTE FUNCTION strangler_capture.take({name}, 'again')",
    "00_strangler_row": "AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW WHEN ({not_echo}) "
    "EXECUTE FUNCTION strangler_capture.take({name})",
    "00_strangler_truncate": "AFTER TRUNCATE ON {table} FOR EACH STATEMENT WHEN ({not_echo}) "
    "EXECUTE FUNCTION strangler_capture.take({name})",
}


def install(owner_url: str, tables: Sequence[str], *, echo: str | None = None) -> tuple[str, ...]:
    """Capture `tables` from here on; the names of those that weren't captured whole before.

    What the role `echo` writes isn't taken; without one it is the role that was left out before, or the
    owner's applier. One transaction, whose locks wait for the writers in flight, so that no change falls
    between. Installed again it changes nothing. Raises CaptureRefused where a name is taken or a table can't
    be captured.
    """

    def put(owner: Connection) -> tuple[str, ...]:
        owner.execute((files("strangler.movement") / "capture.sql").read_text())
        return tuple(name for name in tables if _capture(owner, _capturable(owner, name), echo))

    return _in_turn(owner_url, put)


def remove(owner_url: str, tables: Sequence[str] | None = None, *, follower: str | None = None) -> None:
    """Capture `tables` no more (None: none at all); nothing to do is no error.

    With the last table goes all that was kept, the changes too. Before that `follower`, by the name in its
    watermark, is waited for no longer.
    """

    def take_away(owner: Connection) -> None:
        if owner.execute("SELECT to_regnamespace('strangler_capture') IS NULL").fetchone() == (True,):
            return
        captured = {name for (name,) in owner.execute("SELECT table_name FROM strangler_capture.captured")}
        gone = captured if tables is None else captured.intersection(tables)
        for name in gone:
            table = sql.Identifier(*name.split("."))
            if owner.execute("SELECT to_regclass(%s)", [table.as_string(owner)]).fetchone() != (None,):
                for trigger in _ours(owner, table):
                    owner.execute(sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), table))
            owner.execute("DELETE FROM strangler_capture.captured WHERE table_name = %s", [name])
            owner.execute("DELETE FROM strangler_capture.change WHERE table_name = %s", [name])
        if follower:
            owner.execute("DELETE FROM strangler_capture.follower WHERE name = %s", [follower])
        if tables is None or gone == captured:
            owner.execute("DROP SCHEMA strangler_capture CASCADE")

    _in_turn(owner_url, take_away)


def refusals(owner: Connection, tables: Sequence[str]) -> list[str]:
    """Why these tables can't be captured as they are, in sentences; none where they can."""
    found = []
    for name in tables:
        try:
            _refuse_taken_schema(owner)
            _ours(owner, _capturable(owner, name).identifier)
        except CaptureRefused as refusal:
            found.append(str(refusal))
    return list(dict.fromkeys(found))


def lost(owner: Connection, tables: Sequence[str]) -> str | None:
    """The first of the tables whose changes aren't all taken any more; None: they are."""
    if owner.execute("SELECT to_regclass('strangler_capture.captured') IS NULL").fetchone() == (True,):
        return tables[0]
    kept = {name for (name,) in owner.execute("SELECT table_name FROM strangler_capture.captured")}
    for name in tables:
        table = sql.Identifier(*name.split("."))
        if owner.execute("SELECT to_regclass(%s)", [table.as_string(owner)]).fetchone() == (None,):
            return name
        standing = _ours(owner, table)
        if (
            name not in kept
            or set(standing) != set(TRIGGERS)
            or any(how != "A" for how, _ in standing.values())
        ):
            return name
    return None


def _in_turn(owner_url: str, act: Callable[[Connection], T]) -> T:
    """Do it in one transaction of the owner's, while nobody else installs, and again while a table is held.

    Writers queue behind a lock that waits, and may wait for each other through it: it gives up before the
    server looks for a deadlock (after one second), and comes again.
    """
    with connection(owner_url, "owner", held=HELD_SECONDS) as owner:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with owner.transaction():
                    owner.execute("SET LOCAL client_min_messages = warning")
                    owner.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                    owner.execute(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
                    _refuse_taken_schema(owner)
                    return act(owner)
            except psycopg.errors.LockNotAvailable as error:
                if attempt == ATTEMPTS:
                    raise FollowFailed(
                        f"A transaction holds one of the tables, so no trigger can be put on it: "
                        f"{sentence(error)} They stayed as they were; try again when it has ended."
                    ) from error
                time.sleep(PAUSE_SECONDS)
            except psycopg.Error as error:
                raise FollowFailed(
                    f"The owner's database refuses the capture: {sentence(error)} Its tables stayed as they "
                    "were; give its role CREATE on the database and let it own the tables."
                ) from error
    raise AssertionError("the last attempt returns or raises")


def _refuse_taken_schema(owner: Connection) -> None:
    found = owner.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'strangler_capture'"
    ).fetchone()
    if found and found[0] != MARK:
        raise CaptureRefused(
            "The owner's database has a schema strangler_capture that isn't ours. Nothing was changed; "
            "rename it, or drop it."
        )


def _capturable(owner: Connection, name: str) -> Table:
    try:
        table = read(owner, name, "owner")
    except CopyRefused as refusal:
        raise CaptureRefused(str(refusal)) from None
    kind = owner.execute("SELECT relkind FROM pg_class WHERE oid = %s::regclass", [_text(owner, table)])
    if kind.fetchone() == ("p",):
        raise CaptureRefused(
            f"{name} is partitioned, and each of its partitions writes rows in a shape of its own. "
            "Nothing was changed; name the partitions instead."
        )
    return table


def _capture(owner: Connection, table: Table, echo: str | None) -> bool:
    """Put the triggers on one table, unless they stand there as they should; whether they had to be put."""
    there = _ours(owner, table.identifier)
    definitions = _definitions(table, echo or _echo_of(there) or _applier_of(owner, table))
    wanted = {name: definition.as_string(owner) for name, definition in definitions.items()}
    kept = owner.execute(
        "SELECT 1 FROM strangler_capture.captured WHERE table_name = %s", [table.name]
    ).fetchone()
    # The comment is what was asked for; the definition as PostgreSQL prints it reads otherwise.
    if kept and there == {name: ("A", definition) for name, definition in wanted.items()}:
        return False
    for name in there:
        owner.execute(sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(name), table.identifier))
    for name, definition in wanted.items():
        trigger = sql.Identifier(name)
        owner.execute(sql.SQL("CREATE TRIGGER {} {}").format(trigger, sql.SQL(definition)))
        # ALWAYS: a session in the replica role writes rows too.
        owner.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table.identifier, trigger))
        owner.execute(
            sql.SQL("COMMENT ON TRIGGER {} ON {} IS {}").format(
                trigger, table.identifier, sql.Literal(definition)
            )
        )
    owner.execute(
        """INSERT INTO strangler_capture.captured (table_name) VALUES (%s) ON CONFLICT (table_name)
           DO UPDATE SET capture = gen_random_uuid(), installed_at = now()""",
        [table.name],
    )
    return True


def _echo_of(there: Mapping[str, tuple[str, str]]) -> str | None:
    """The role that the standing triggers leave out; None where none stands, or all were changed."""
    found = (re.search(r"session_user <> '((?:[^']|'')+)'", asked) for _, asked in there.values())
    return next((one[1].replace("''", "'") for one in found if one), None)


def _applier_of(owner: Connection, table: Table) -> str:
    """The login that writes what follows into this table, should its rows move one day."""
    found = owner.execute(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass", [_text(owner, table)]
    ).fetchone()
    assert found is not None  # its columns have just been read
    return f"{found[0]}{applier.SUFFIX}"


def _definitions(table: Table, echo: str) -> dict[str, sql.Composed]:
    parts = {
        "table": table.identifier,
        "name": sql.Literal(table.name),
        "moved": sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(table.key_of("old"), table.key_of("new")),
        "not_echo": sql.SQL("session_user <> {}").format(sql.Literal(echo)),
    }
    return {name: sql.SQL(text).format(**parts) for name, text in TRIGGERS.items()}


def _ours(owner: Connection, table: sql.Identifier) -> dict[str, tuple[str, str]]:
    """Our triggers on a table: how each is enabled, and what was asked for. Refuses a name that is taken."""
    found = owner.execute(
        """SELECT tgname, tgenabled::text, coalesce(obj_description(t.oid, 'pg_trigger'), ''),
                  pronamespace::regnamespace::text = 'strangler_capture'
           FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = tgfoid
           WHERE tgrelid = %s::regclass AND tgname = ANY(%s)""",
        [table.as_string(owner), list(TRIGGERS)],
    ).fetchall()
    for name, _, _, ours in found:
        if not ours:
            raise CaptureRefused(
                f"{table.as_string(owner)} has a trigger {name} that isn't ours. Nothing was changed; "
                "rename it."
            )
    return {name: (enabled, asked) for name, enabled, asked, _ in found}


def _text(owner: Connection, table: Table) -> str:
    return table.identifier.as_string(owner)
