"""The login that writes followed rows: a role of its own, so that a trigger can tell them from the home's.

It is a member of the follower's role and acts with its rights; `session_user` stays the applier's, which no
setting of a session can feign.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from strangler.movement.errors import CopyRefused
from strangler.movement.tables import sentence
from strangler.run import databases

SUFFIX = "_applier"
CONNECT_WITHIN = 10  # seconds


def login(state: Path, follower_url: str, server_url: str) -> str:
    """The login that the environment names for that database, as in STRANGLER_APPLIER_CATALOG_URL.

    Without one it is `ensure`d, with the password that this project keeps for it.
    """
    for variable, named in os.environ.items():
        if variable.startswith("STRANGLER_APPLIER_") and _place(named) == _place(follower_url):
            return named
    password = databases.password_of(state, f"applier/{databases.without_password(follower_url)}")
    return ensure(follower_url, server_url, password)


def ensure(follower_url: str, server_url: str, password: str) -> str:
    """The follower's URL with the applier's login, which is made where it is missing.

    `server_url` is a login that may make roles if the follower's own may not; it counts only on the same
    server. CopyRefused where nobody may, with the statements that somebody who may has to run.
    """
    parts = urlsplit(follower_url)
    home = unquote(parts.username or "postgres")
    name, address = home + SUFFIX, parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{quote(name)}:{quote(password)}@{address}"))
    if _connects(url):
        return url
    same_server = urlsplit(server_url).netloc.rpartition("@")[2] == address
    said = ""
    for login in (follower_url, *([server_url] if same_server else [])):
        try:
            _make(login, home, name, password)
            return url
        except psycopg.Error as error:
            said = sentence(error)
    raise CopyRefused(
        f"The applier's role can't be made at the follower: {said} Nothing was changed. Let an administrator "
        f'run CREATE ROLE "{name}" LOGIN PASSWORD \'...\' IN ROLE "{home}", and name that login with --as.'
    )


def _place(url: str) -> tuple[str, str]:
    """Server and database of a URL, whoever logs in."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path


def _make(login: str, home: str, name: str, password: str) -> None:
    role = sql.Identifier(name)
    with psycopg.connect(login, connect_timeout=CONNECT_WITHIN) as connection:
        there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        verb = sql.SQL("ALTER" if there else "CREATE")
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(home), role))


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=CONNECT_WITHIN).close()
    except psycopg.Error:
        return False
    return True
