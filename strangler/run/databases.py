"""[databases.*] become URLs: named by a variable, made beside another one, or made in the embedded server.

A database that the kit makes has a login role of its own, whose password stays in
`.strangler/passwords.json`.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from strangler.config import Config, Database
from strangler.errors import StranglerError

PASSWORDS = "passwords.json"
CONNECT_WITHIN = 10  # seconds


class DatabaseRefuses(StranglerError):
    """A database can't be reached, or can't be made."""


def needs_embedded(config: Config, environment: Mapping[str, str]) -> bool:
    """Whether some database is neither named by its variable nor beside one that is."""
    return any(_root(config, database, environment) is None for database in config.databases.values())


def resolve(
    config: Config, environment: Mapping[str, str], *, state: Path, embedded: str | None
) -> dict[str, str]:
    """A `postgresql://` URL for every declared database, each of which answered just now.

    `embedded` is the superuser's URL of the embedded server, None where there is none. Makes missing
    databases and roles; DatabaseRefuses says which one refused, and what to do.
    """
    urls: dict[str, str] = {}
    for database in sorted(config.databases.values(), key=lambda one: len(_chain(config, one))):
        named = environment.get(database.env)
        beside = database.beside and urls[database.beside]
        if named:
            urls[database.name] = _normal(named)
            check(database.env, urls[database.name])
            continue
        name = f"{_database_of(beside)}_{database.name}" if beside else config.name
        if embedded and _root(config, database, environment) is None:
            password = password_of(state, f"embedded/{name}")
            urls[database.name] = _make(database, embedded, name, password)
        elif beside:
            password = password_of(state, f"{urlsplit(beside).netloc.rpartition('@')[2]}/{name}")
            urls[database.name] = _make(database, beside, name, password)
        else:
            raise DatabaseRefuses(f"Nothing names the database {database.name!r}. Set {database.env}.")
    return urls


def check(variable: str, url: str) -> None:
    """Connect once; DatabaseRefuses with the server's own reason."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_WITHIN).close()
    except psycopg.Error as error:
        raise DatabaseRefuses(
            f"The database that {variable} names ({without_password(url)}) refuses: {_reason(error)}. "
            f"Nothing was started. Start that server, correct {variable}, or unset it."
        ) from None


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def _make(database: Database, server: str, name: str, password: str) -> str:
    """Make sure of the role and the database `name` on `server`, and return its URL."""
    url = _with(server, user=name, password=password, database=name)
    if _connects(url):
        return url
    role, quoted = sql.Identifier(name), sql.Literal(password)
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=CONNECT_WITHIN) as connection:
            there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
            verb = sql.SQL("ALTER" if there else "CREATE")
            connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, quoted))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                if not _is_superuser(connection):  # who gives a database away must be a member of the role
                    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
        psycopg.connect(url, connect_timeout=CONNECT_WITHIN).close()
    except psycopg.Error as error:
        raise DatabaseRefuses(
            f"The server at {without_password(server)} refuses the database {name!r} for {database.name}: "
            f"{_reason(error)}. What was there stayed as it was. Give that role CREATEDB and CREATEROLE, or "
            f"make the database yourself and name it in {database.env}."
        ) from None
    return url


def password_of(state: Path, key: str) -> str:
    """The password that this project gave the role `key` (server/name), made on first use."""
    path = state / PASSWORDS
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if key not in passwords:
        passwords[key] = secrets.token_hex(24)
        draft = path.with_suffix(".tmp")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(passwords, file, indent=1)
        draft.replace(path)
    return passwords[key]


def _root(config: Config, database: Database, environment: Mapping[str, str]) -> str | None:
    """The variable that leads to this database, its own or that of one that it stands beside."""
    return next((one.env for one in _chain(config, database) if environment.get(one.env)), None)


def _chain(config: Config, database: Database) -> list[Database]:
    """The database, the one that it stands beside, and so on."""
    chain = [database]
    while chain[-1].beside:
        chain.append(config.databases[chain[-1].beside])
    return chain


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=CONNECT_WITHIN).close()
    except psycopg.Error:
        return False
    return True


def _is_superuser(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    return connection.info.parameter_status("is_superuser") == "on"


def _normal(url: str) -> str:
    return "postgresql://" + url.removeprefix("postgres://") if url.startswith("postgres://") else url


def _database_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path.lstrip("/") or parts.username or "postgres"


def _with(url: str, *, user: str, password: str, database: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{password}@{host}", path=f"/{quote(database)}"))


def _reason(error: psycopg.Error) -> str:
    """The server's first line, which is the one that says why."""
    text = error.diag.message_primary or str(error)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[0].strip().removeprefix("connection failed: ").rstrip(".") if lines else type(error).__name__
