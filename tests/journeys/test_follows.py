"""Rows follow whatever writes them, on the running system and by the verbs, until that is cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.journeys.following import TABLES
from tests.journeys.project import CAPABILITY, Project, until

# As a member of staff does it: the admin's own form and its own action. No template answers in a shell.
ADMIN = """
from django.contrib.auth import get_user_model
from django.test import Client
admin = Client(HTTP_HOST="127.0.0.1")
admin.force_login(get_user_model().objects.get(username="admin"))
form = {"name": "Made by the admin", "slug": "made-by-the-admin"}
delete = {"action": "delete_selected", "_selected_action": [1], "post": "yes"}
answers = [
    admin.post("/admin/catalog/category/add/", form),
    admin.post("/admin/catalog/review/", delete),
]
assert [answer.status_code for answer in answers] == [302, 302], answers
"""


@pytest.fixture
def following(project: Project) -> Iterator[Project]:
    """The project with its reads in the shadow; what a test did is undone, and all is cancelled."""
    on(project, "monolith", "CREATE TABLE reviews_before AS TABLE catalog_review")
    project.does("apply", CAPABILITY, "shadow")
    yield project
    on(
        project,
        "monolith",
        "TRUNCATE catalog_review",
        "INSERT INTO catalog_review SELECT * FROM reviews_before",
        "DROP TABLE reviews_before",
        "DELETE FROM catalog_category WHERE slug = 'made-by-the-admin'",
    )
    project.does("cancel", CAPABILITY)


def test_every_kind_of_write_is_followed_through_a_kill_and_a_way_back_until_it_is_cancelled(
    following: Project,
) -> None:
    on(
        following,
        "monolith",
        "UPDATE catalog_product SET price = price + 1 WHERE id % 2 = 0",
        "DELETE FROM catalog_review WHERE id % 3 = 0",
    )
    shell = [sys.executable, "manage.py", "shell", "--no-startup", "-c", ADMIN]
    subprocess.run(shell, cwd=following.root, env=following.environment, check=True, timeout=60)
    assert on(following, "monolith", "SELECT count(*) FROM catalog_review WHERE id = 1") == [(0,)]
    _follows(following)

    following.restart("follower")
    on(following, "monolith", "TRUNCATE catalog_review", "UPDATE catalog_seller SET name = name || '!'")
    _follows(following)
    assert following.does("verify", CAPABILITY).out.rstrip().endswith("are equal on both sides.")

    following.does("reverse", CAPABILITY)
    on(following, "monolith", "UPDATE catalog_seller SET name = rtrim(name, '!')")
    _follows(following)

    said = following.does("cancel", CAPABILITY).out
    assert "follow no more" in said
    assert on(following, "monolith", "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'strangler'") == [(0,)]
    assert _status(following)["following"]["ordered"] is False


def test_a_follower_that_stands_still_is_shown_and_holds_the_advance(following: Project) -> None:
    pid = following.row("follower")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        on(following, "monolith", "UPDATE catalog_product SET price = price")
        seen = until(
            lambda: (one := _status(following)) and not one["following"]["follower"]["lives"] and one,
            "the follower's last word to be old",
        )
        assert seen["following"]["lag"]["rows"] >= 2000
        assert "said its last word" in following.does("status", CAPABILITY).out
        held = following.strangler("apply", CAPABILITY, "canary=10")
        assert held.code == 4
        assert "follows: The follower said its last word" in held.said
    finally:
        os.kill(pid, signal.SIGCONT)
    _follows(following)


def _follows(project: Project) -> None:
    """Wait until both homes hold the same rows, by plain SQL."""
    until(lambda: _rows(project, "monolith") == _rows(project, "catalog"), "the rows to be equal")
    assert _status(project)["following"]["follower"] == {"lives": True, "held": None} | {
        "word_age": pytest.approx(0, abs=10)
    }


def _rows(project: Project, home: str) -> list[tuple[Any, ...]]:
    sums = (
        f"SELECT '{one}', count(*), md5(string_agg(to_jsonb(t)::text, ',' ORDER BY id)) FROM {one} AS t"
        for one in TABLES
    )
    return on(project, home, " UNION ALL ".join(sums) + " ORDER BY 1")


def _status(project: Project) -> dict[str, Any]:
    (one,) = project.does("status", CAPABILITY, "--json").json
    found: dict[str, Any] = one
    return found


def on(project: Project, home: str, *statements: str) -> list[tuple[Any, ...]]:
    """SQL on a home's database."""
    url = json.loads((project.root / ".strangler" / "system.json").read_text())["databases"][home]
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []
