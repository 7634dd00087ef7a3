"""Both homes answer with the same bytes: the same rows, every kind of caller, every route that moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from collections import Counter

import psycopg
import pytest

from strangler.config import load
from tests.tree import ROOT, SETTINGS, skip_without

skip_without("extracted/catalog")
READ = load(ROOT).capabilities["catalog.read"]
CALLERS = ("", "buyer1", "staff1", "staff2", "support1", "admin")

# Asks this process's home everything on stdin; prints [status, content type, body] for each.
PROGRAM = """
import json, sys
import django
django.setup()
from django.test import Client
answers = []
for path, token in json.load(sys.stdin):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = Client(raise_request_exception=False).get(path, headers=headers | {"host": "localhost"})
    answers.append([answer.status_code, answer["Content-Type"], answer.content.decode()])
json.dump(answers, sys.stdout)
"""


class Homes:
    """Two databases, the second one with a copy of the capability's rows, and a process for each question."""

    def __init__(self) -> None:
        self.parts = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
        self.urls = {home: self._url(f"test_answers_of_{home}_{os.getpid()}") for home in SETTINGS}
        self.server = psycopg.connect(self._url("postgres"), autocommit=True)

    def _url(self, database: str) -> str:
        return self.parts._replace(path=f"/{database}").geturl()

    def prepare(self) -> None:
        for url in self.urls.values():
            self.server.execute(f'CREATE DATABASE "{url.rpartition("/")[2]}"')
        for home in SETTINGS:
            self.run(home, "-m", "django", "migrate", "--verbosity", "0")
        self.run("monolith", "-m", "django", "seed", "--scale", "0.1")
        with (
            psycopg.connect(self.urls["monolith"]) as source,
            psycopg.connect(self.urls["catalog"]) as target,
        ):
            for table in READ.tables:
                names = [row[0] for row in target.execute(f"SELECT * FROM {table} LIMIT 0").description]
                columns = ", ".join(names)
                with (
                    source.cursor().copy(f"COPY {table} ({columns}) TO STDOUT") as rows,
                    target.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
                ):
                    for row in rows:
                        copy.write(row)

    def close(self) -> None:
        for url in self.urls.values():
            self.server.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')
        self.server.close()

    def run(self, home: str, *arguments: str, asked: str = "") -> str:
        environment = dict(os.environ, DATABASE_URL=self.urls[home], DJANGO_SETTINGS_MODULE=SETTINGS[home])
        return subprocess.run(
            [sys.executable, *arguments],
            input=asked,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    def tokens(self) -> dict[str, str]:
        with psycopg.connect(self.urls["monolith"]) as source:
            ids = dict(source.execute("SELECT username, id FROM identity_user").fetchall())
        subjects = "".join(f"{ids.get(name, '')}\n" for name in CALLERS)
        lines = self.run("monolith", "-m", "django", "issue_tokens", asked=subjects).split("\n")
        return dict(zip(CALLERS, lines, strict=False))

    def answers(self, home: str, requests: list[tuple[str, str]]) -> list[list[object]]:
        answers: list[list[object]] = json.loads(self.run(home, "-c", PROGRAM, asked=json.dumps(requests)))
        return answers


@pytest.fixture(scope="module")
def homes():
    homes = Homes()
    try:
        homes.prepare()
        yield homes
    finally:
        homes.close()


def paths() -> list[str]:
    products = "/api/catalog/products/"
    lists = [
        "",
        "?page=2",
        "?page=1",
        "?page=last",
        "?page=99",
        "?page=x",
        "?category=brakes",
        "?category=brake-discs&ordering=-price",
        "?category=hats",
        "?ordering=price&page=2",
        "?ordering=name",
        "?ordering=hats",
        "?q=garish",
        "?q=GARISH&page=2&ordering=price",
        "?q=%C3%A9%25_",
        "?q=%00",
        "?q=a&q=b",
        "?seller=hats",
    ]
    return [
        *(products + query for query in lists),
        *(f"{products}{pk}/" for pk in range(30)),
        *(f"{products}{pk}/reviews/" for pk in range(1, 20)),
        f"{products}1/reviews/?page=2",
        "/api/catalog/categories/",
        *(f"/api/catalog/categories/{slug}/" for slug in ("brakes", "brake-discs", "hats")),
        "/api/catalog/sellers/",
        *(f"/api/catalog/sellers/{pk}/" for pk in range(6)),
        "/api/catalog/watched/",
        "/api/catalog/watched/?page=2",
        "/api/catalog/hats/",
    ]


def test_both_homes_answer_with_the_same_bytes(homes):
    tokens = homes.tokens()
    assert sum(map(bool, tokens.values())) == len(CALLERS) - 1
    requests = [(path, token) for token in [*tokens.values(), "no.good.token"] for path in paths()]
    control, candidate = homes.answers("monolith", requests), homes.answers("catalog", requests)
    differing = [
        (path, one, other)
        for (path, _), one, other in zip(requests, control, candidate, strict=True)
        if one != other
    ]
    assert differing == []
    # What was compared covers answers of every kind, and every route.
    assert {200, 400, 401, 404} == set(Counter(status for status, _, _ in control))
    asked = {READ.route_of("GET", path) for path in paths()} - {None}
    assert asked == set(READ.routes)


def test_callers_are_told_apart(homes):
    """Otherwise the same bytes would prove nothing about permissions."""
    tokens = homes.tokens()
    seen = {
        name: json.loads(str(homes.answers("catalog", [("/api/catalog/products/", token)])[0][2]))["count"]
        for name, token in tokens.items()
    }
    assert seen[""] == seen["buyer1"] < seen["staff1"] < seen["support1"] == seen["admin"]


def test_a_row_that_differs_would_be_noticed(homes):
    with psycopg.connect(homes.urls["catalog"]) as target:
        target.execute("UPDATE catalog_product SET price = price + 0.01 WHERE id = 1")
    requests = [("/api/catalog/products/1/", "")]
    assert homes.answers("monolith", requests) != homes.answers("catalog", requests)
