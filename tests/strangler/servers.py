"""The servers that the environment names: databases made and dropped on the one, the other's URL, and SQL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.tree import skip


def server() -> str:
    """The PostgreSQL of this run, as its superuser."""
    return os.environ["DATABASE_URL"]


def rabbit() -> str:
    """The RabbitMQ that BROKER_URL names; skips whoever asks where it names none."""
    named = os.environ.get("NAMED_BROKER_URL", "")
    if not named.startswith("amqp"):
        skip("BROKER_URL names no RabbitMQ, and what is checked here passes through it")
    return named


def url_of(database: str, login: str = "") -> str:
    """A database of that server; `login` is `name:password` of whom to be instead of the superuser."""
    parts = urlsplit(server())
    netloc = f"{login}@{parts.netloc.rpartition('@')[2]}" if login else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


def sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Each statement in a transaction of its own; returns the rows of the last."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def a_database(purpose: str, *, owner: str = "") -> Iterator[str]:
    """The name of a database that is there for the block, empty at first, and has no other run's name."""
    name = f"test_{purpose}_{secrets.token_hex(4)}"
    sql(server(), f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
    try:
        yield name
    finally:
        sql(server(), f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def a_follower(*, applier: bool) -> Iterator[tuple[str, str]]:
    """Name and password of a login role for the block, as the kit gives one to a service.

    With `applier` there is `NAME_applier` too, a member of it, with the same password; what the kit makes of
    that name is dropped otherwise.
    """
    name, password = f"test_{secrets.token_hex(4)}", secrets.token_hex(8)
    sql(server(), f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    if applier:
        sql(server(), f"CREATE ROLE {name}_applier LOGIN PASSWORD '{password}' IN ROLE {name}")
    try:
        yield name, password
    finally:
        sql(server(), f"DROP ROLE IF EXISTS {name}_applier", f"DROP ROLE {name}")
