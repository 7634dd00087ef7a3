"""Writes to the owner's catalog as a living shop has them: raw SQL, bulk updates, admin and API at once."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.journeys.project import Project, until

# The id that as many rows lie above as below, whatever was left out when a sequence went on after a move.
MIDDLE = "percentile_disc(0.5) WITHIN GROUP (ORDER BY id)"

# In a process of its own, until its stdin ends: QuerySet.update over many rows, and the admin's own form.
DJANGO = """
import json, random, sys, threading, time
from django.contrib.auth import get_user_model
from django.db.models import F
from django.test import Client
from monolith.catalog.models import Category, Product
rows, top, shelf = {rows}, {top}, Category.objects.order_by("id").first()
admin = Client(HTTP_HOST="127.0.0.1")
admin.force_login(get_user_model().objects.get(username="admin"))
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
done, turn, began = {{"bulk": 0, "admin": 0}}, 0, time.monotonic()
while not ended.is_set():
    first = random.randint(1, max(1, top - rows))
    picked = Product.objects.filter(id__range=(first, first + rows - 1))
    done["bulk"] += picked.update(units_sold=F("units_sold") + 1)
    form = {{"name": f"{{shelf.name[:90]}} {{turn}}", "slug": shelf.slug}}
    answer = admin.post(f"/admin/catalog/category/{{shelf.pk}}/change/", form)
    assert answer.status_code == 302, answer.content[:2000]
    done["admin"] += 1
    turn += 1
    ended.wait(max(0, began + turn / 2 - time.monotonic()))
print(json.dumps(done))
"""


@dataclass
class Written:
    """Rows written so far, by way; `seconds` is set at the end."""

    rows: dict[str, int] = field(default_factory=lambda: {"raw SQL": 0, "API": 0})
    seconds: float = 0.0
    counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rate(self) -> float:
        return sum(self.rows.values()) / self.seconds

    def __str__(self) -> str:
        ways = ", ".join(f"{count:,} by {way}" for way, count in self.rows.items())
        return f"{sum(self.rows.values()):,} rows in {self.seconds:.0f} s ({self.rate:.0f}/s): {ways}"


@contextmanager
def writing(project: Project, *, rate: float, seed: int = 7) -> Iterator[Written]:
    """Write about `rate` rows a second while the block lasts, all in the lower half of the ids."""
    written, stop = Written(), threading.Event()
    (top,) = project.on("monolith", f"SELECT {MIDDLE} FROM catalog_product")[0]
    failures: list[BaseException] = []

    def kept(work: Any, *arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                work(project, written, stop, *arguments)
            except BaseException as failure:
                failures.append(failure)

        return threading.Thread(target=run)

    bulk = max(2, round(rate * 0.3 / 2))  # rows of one update; two updates a second
    shell = [sys.executable, "manage.py", "shell", "--no-startup", "-c", DJANGO.format(rows=bulk, top=top)]
    django = subprocess.Popen(
        shell, cwd=project.root, env=project.environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    writers = max(1, round(rate / 250))  # one waits for the disk at each commit
    threads = [kept(_raw_sql, rate * 0.7 / writers, int(top), seed + number) for number in range(writers)]
    threads.append(kept(_api, int(top), seed))
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        yield written
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        out, err = django.communicate("", timeout=60)
        written.seconds = time.monotonic() - began
    assert django.returncode == 0, err
    written.rows |= json.loads(out.splitlines()[-1])
    assert not failures, failures


def _raw_sql(
    project: Project, written: Written, stop: threading.Event, rate: float, top: int, seed: int
) -> None:
    draw = random.Random(seed)
    began, sent = time.monotonic(), 0
    with psycopg.connect(project.database("monolith"), autocommit=True) as connection:
        while not stop.is_set():
            sent += 1
            statement, values = _statement(draw, top, sent)
            count = connection.execute(statement, values).rowcount
            with written.counting:
                written.rows["raw SQL"] += count
            if (ahead := began + sent / rate - time.monotonic()) > 0:
                time.sleep(ahead)


def _statement(draw: random.Random, top: int, number: int) -> tuple[str, tuple[Any, ...]]:
    one = draw.randint(1, top)
    match draw.random():
        case share if share < 0.75:
            return "UPDATE catalog_product SET price = price + 0.01, updated_at = now() WHERE id = %s", (one,)
        case share if share < 0.9:
            return "UPDATE catalog_review SET rating = 1 + rating %% 5 WHERE id = %s", (one,)
        case share if share < 0.95:
            return "DELETE FROM catalog_review WHERE id = %s", (one,)
    slug = f"written-{number}-{secrets.token_hex(8)}"  # another one at the next start, too
    return "INSERT INTO catalog_category (name, slug) VALUES (%s, %s)", (slug, slug)


def _api(project: Project, written: Written, stop: threading.Event, top: int, seed: int) -> None:
    """Some changes a second through the gateway, as somebody who may."""
    draw = random.Random(seed)
    ((admin,),) = project.on("monolith", "SELECT id FROM identity_user WHERE username = 'admin'")
    token = subprocess.run(
        [sys.executable, "manage.py", "issue_tokens"], cwd=project.root, env=project.environment,
        input=f"{admin}\n", capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while not stop.wait(0.1):
        body = json.dumps({"weight": f"{draw.randint(1, 9999) / 1000:.3f}"}).encode()
        url = f"{project.gateway}/api/catalog/products/{draw.randint(1, top)}/"
        request = urllib.request.Request(url, body, headers, method="PATCH")
        with opener.open(request, timeout=30) as answer:
            assert answer.status == 200
        written.rows["API"] += 1


class Lags:
    """How long a row takes from its commit at the owner to the follower, measured from outside of both."""

    def __init__(self, project: Project) -> None:
        self.seconds: list[float] = []
        self._project, self._number, self._stop = project, 0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Lags:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def percentile(self, share: float) -> float:
        """In milliseconds; of at least one."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _run(self) -> None:
        with (
            psycopg.connect(self._project.database("monolith"), autocommit=True) as owner,
            psycopg.connect(self._project.database("catalog"), autocommit=True) as follower,
        ):
            while not self._stop.wait(0.02):
                self.seconds.append(passed_on(owner, follower, f"probe {len(self.seconds)}"))


def passed_on(owner: psycopg.Connection[Any], follower: psycopg.Connection[Any], mark: str) -> float:
    """Write a mark at the owner, and wait for it at the follower; the seconds from commit to sight.

    Windows are applied whole and in order: whatever was committed before the mark is there as well.
    """
    owner.execute(
        "UPDATE catalog_seller SET description = %s WHERE id = (SELECT min(id) FROM catalog_seller)", [mark]
    )
    committed = time.monotonic()

    def there() -> bool:
        found = follower.execute("SELECT description FROM catalog_seller ORDER BY id LIMIT 1").fetchone()
        return found == (mark,)

    until(there, f"the mark {mark!r} at the follower", pause=0.001)
    return time.monotonic() - committed
