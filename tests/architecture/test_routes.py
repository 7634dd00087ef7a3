"""Every route that strangler.toml wants to move is answered by both homes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from strangler.config import load
from tests.tree import ROOT, SETTINGS, skip_without

skip_without("extracted/catalog")
CONFIG = load(ROOT)
EXAMPLES = {"int": "7", "slug": "brakes", "str": "x", "path": "x/y", "uuid": "0" * 8}
ROUTES = [
    (home, route)
    for one in CONFIG.capabilities.values()
    for home in (one.owner, one.home)
    for route in one.routes
]

# Runs in the home's own process: takes [[method, path], ...] and prints what answers each of them.
PROGRAM = """
import json, sys
import django
django.setup()
from django.urls import Resolver404, resolve
found = []
for method, path in json.load(sys.stdin):
    try:
        match = resolve(path)
    except Resolver404:
        found.append(None)
        continue
    actions = getattr(match.func, "actions", None) or {}
    found.append(f"{method} /{match.route}" if method.lower() in actions else f"{method} isn't answered")
json.dump(found, sys.stdout)
"""


def resolved(home: str, requests: list[tuple[str, str]]) -> list[str | None]:
    environment = dict(os.environ, DJANGO_SETTINGS_MODULE=SETTINGS[home])
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(requests),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[str | None] = json.loads(answer.stdout)
    return found


def example(path: str) -> str:
    return re.sub(r"<(\w+):\w+>", lambda converter: EXAMPLES[converter.group(1)], path)


@pytest.mark.parametrize("home", list(SETTINGS))
def test_every_route_of_a_capability_is_answered(home):
    routes = [route for asked, route in ROUTES if asked == home]
    assert routes
    found = resolved(home, [(route.method, example(route.path)) for route in routes])
    assert found == [str(route) for route in routes]


@pytest.mark.parametrize("home", list(SETTINGS))
def test_a_route_that_nobody_answers_would_be_noticed(home):
    assert resolved(home, [("GET", "/api/catalog/hats/"), ("DELETE", "/api/catalog/products/")]) == [
        None,
        "DELETE isn't answered",
    ]
