"""Every request of a load is counted as what it was: failures with what came, others by home and route."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner
from rich.console import Console

from strangler import config as project
from strangler.cli import strangler
from strangler.errors import UsageError
from strangler.run.answers import Window, as_table, as_values, percentile
from strangler.run.load import LoadGenerator, LoginFailed, check_host
from strangler.run.sending import template

TOKEN = "t0ken-of-the-form"

TOML = """
[project]
name = "shop"
[homes.monolith]
url = "http://127.0.0.1:1"
[homes.catalog]
url = "http://127.0.0.1:2"
[gateway]
default = "monolith"
[capabilities."catalog.read"]
kind = "read"
home = "catalog"
routes = ["GET /rugs/<int:pk>/"]
[load]
rate = 200
login = { path = "/login/", form = { username = "{user}", password = "demo" } }
users = ["", "ann", "bob"]
"""


def shop(*paths: str) -> project.Config:
    requests = "".join(f'[[load.requests]]\npath = "{path}"\n' for path in paths)
    return project.parse(TOML + requests, Path("."))


class Shop:
    """A gateway's stand-in: Django's login with its token, and one answer per path."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []  # user and path
        self.logins: list[str] = []
        self.connections: set[int] = set()
        self.password = "demo"
        self.delay = 0.0
        self.under_way = self.most_under_way = 0

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/login/", self.form)
        application.router.add_post("/login/", self.log_in)
        application.router.add_get("/{tail:.*}", self.answer)
        return application

    async def form(self, _: web.Request) -> web.Response:
        hidden = f'<input type="hidden" name="csrfmiddlewaretoken" value="{TOKEN}">'
        page = web.Response(text=f"<form>{hidden}</form>", content_type="text/html")
        page.set_cookie("csrftoken", TOKEN)
        return page

    async def log_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        proven = form.get("csrfmiddlewaretoken") == TOKEN == request.cookies.get("csrftoken")
        if not proven or "Referer" not in request.headers:
            return web.Response(
                status=403, text="<h1>CSRF verification failed</h1>", content_type="text/html"
            )
        if form["password"] != self.password:
            return web.Response(text="<p>Please enter a correct username</p>", content_type="text/html")
        self.logins.append(str(form["username"]))
        answer = web.Response(status=302, headers={"Location": "/"})
        answer.set_cookie("sessionid", str(form["username"]))
        return answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        user = request.cookies.get("sessionid", "")
        self.seen.append((user, request.path_qs))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.delay)
        self.under_way -= 1
        headers = {"x-strangler-home": "catalog", "x-request-id": "rq-1"}
        match request.path:
            case "/api/broken/":
                return web.json_response({"detail": "it broke"}, status=503, headers=headers)
            case "/api/html/":
                return web.Response(text="<h1>hello</h1>", content_type="text/html", headers=headers)
            case "/api/refused/":
                return web.json_response({"detail": "bad token"}, status=401, headers=headers)
            case "/api/missing/" | "/rugs/404/":
                return web.json_response({"detail": "no such rug"}, status=404, headers=headers)
            case "/api/slow/":
                await asyncio.sleep(5)
            case "/api/cut/":
                assert request.transport is not None
                request.transport.abort()
            case "/account/":
                return web.Response(status=302, headers={"Location": "/login/?next=/account/"})
            case "/page/":
                return web.Response(
                    text="<p>", content_type="text/html", headers={"x-strangler-home": "monolith"}
                )
        return web.json_response({}, headers=headers)


@contextmanager
def open_shop(shop_: Shop) -> Iterator[str]:
    """Serve in a thread of its own, so that subprocesses and event loops can ask alike."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(shop_.application(), shutdown_timeout=0.1, access_log=None)
    ready = threading.Event()
    where: list[str] = []

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        where.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    try:
        yield where[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@pytest.fixture
def rugs() -> Iterator[tuple[Shop, str]]:
    opened = Shop()
    with open_shop(opened) as url:
        yield opened, url


def load(url: str, *paths: str, seconds: float = 0.1, **options) -> Window:
    return asyncio.run(LoadGenerator(shop(*paths), url, **options).run(seconds))


# ── What counts as what ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "kind", "status", "said"),
    [
        ("/api/broken/", "server error", 503, "it broke"),
        ("/api/html/", "content type", 200, "<h1>hello</h1>"),
        ("/api/refused/", "refused", 401, "bad token"),
    ],
)
def test_a_failed_answer_is_counted_with_a_sample(rugs, path, kind, status, said):
    counted = load(rugs[1], path)
    assert (counted.requests, counted.failed, counted.kinds) == (20, 20, {kind: 20})
    sample = counted.failures[0]
    assert (sample.path, sample.status, sample.home, sample.request_id) == (path, status, "catalog", "rq-1")
    assert said in sample.said
    assert counted.answers("catalog") == 20


@pytest.mark.parametrize("path", ["/api/fine/", "/api/missing/", "/rugs/404/", "/rugs/7/", "/page/"])
def test_an_answer_as_it_should_be_is_no_failure(rugs, path):
    counted = load(rugs[1], path)
    assert (counted.ok, counted.failed, counted.failures) == (20, 0, [])


def test_a_connection_that_is_cut_is_a_failure_and_not_tried_again(rugs):
    counted = load(rugs[1], "/api/cut/", "/api/fine/", seconds=0.5)
    cut = [path for _, path in rugs[0].seen if path == "/api/cut/"]
    assert counted.kinds == {"connection": len(cut)}
    assert counted.requests == 100


def test_a_timeout_is_a_failure(rugs):
    counted = load(rugs[1], "/api/slow/", timeout=0.2)
    assert (counted.failed, counted.kinds) == (20, {"timeout": 20})
    assert counted.failures[0].status == 0


def test_a_gateway_that_isn_t_there_fails_every_request():
    counted = load("http://127.0.0.1:1", "/api/fine/", users=[""])
    assert (counted.failed, counted.kinds) == (20, {"connection": 20})
    assert counted.homes == {}


def test_being_sent_to_the_login_is_a_failure_only_for_who_is_logged_in(rugs):
    assert load(rugs[1], "/account/", users=["ann"]).kinds == {"session lost": 20}
    assert load(rugs[1], "/account/", users=[""]).failed == 0


def test_all_failures_are_counted_but_only_a_few_are_kept(rugs):
    counted = load(rugs[1], "/api/broken/", seconds=0.5)
    assert counted.failed == 100
    assert len(counted.failures) == 20


# ── Who asks, and for what ───────────────────────────────────────────────────────────────────────


def test_every_user_logs_in_once_and_asks_with_a_session_of_his_own(rugs):
    opened, url = rugs
    load(url, "/api/fine/", seconds=0.5)
    assert sorted(opened.logins) == ["ann", "bob"]
    asked = {user for user, _ in opened.seen}
    assert asked == {"", "ann", "bob"}


def test_a_login_that_fails_sends_nothing(rugs):
    opened, url = rugs
    opened.password = "changed"
    with pytest.raises(LoginFailed, match=r"can't log in at .*/login/: status 200.*Please enter a correct"):
        load(url, "/api/fine/")
    assert opened.seen == []


def test_the_same_seed_draws_the_same_load(rugs):
    opened, url = rugs
    drawn = []
    for seed in (1, 1, 2):
        opened.seen.clear()
        load(
            url, "/rugs/{int:1:500}/", "/api/{choice:a|b}/?p={int:1:9}", seed=seed, seconds=0.3, concurrency=1
        )
        drawn.append(list(opened.seen))
    assert drawn[0] == drawn[1] != drawn[2]


def test_placeholders_stay_in_their_bounds():
    draw = template("/a/{int:-1:1}/{choice:x|y}/{literal}?n={int:5:5}")
    drawn = {draw(random.Random(n)) for n in range(200)}
    assert drawn == {f"/a/{n}/{w}/{{literal}}?n=5" for n in (-1, 0, 1) for w in "xy"}


@pytest.mark.parametrize("text", ["/{int:9:1}/", "/{int:a:b}/", "/{choice:}/", "/{word:a}/"])
def test_a_placeholder_that_can_t_be_read_is_refused(text):
    with pytest.raises(UsageError, match="placeholder that can't be read"):
        template(text)


def test_answers_are_counted_by_home_and_by_the_capability_s_route(rugs):
    counted = load(rugs[1], "/rugs/{int:1:5}/", "/page/?x={int:1:2}", seconds=0.5)
    assert set(counted.homes) == {"catalog", "monolith"}
    assert set(counted.routes) == {"GET /rugs/<int:pk>/", "GET /page/"}
    assert sum(map(len, counted.homes.values())) == sum(map(len, counted.routes.values())) == 100


# ── Pace ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_rate_is_kept_though_answers_are_slow(rugs):
    rugs[0].delay = 0.3
    counted = load(rugs[1], "/api/fine/", seconds=1, rate=50)
    assert counted.requests == 50
    assert 1.0 < counted.seconds < 2.0
    assert rugs[0].most_under_way > 5


def test_beyond_the_bound_requests_wait_and_their_waiting_counts(rugs):
    rugs[0].delay = 0.05
    counted = load(rugs[1], "/api/fine/", seconds=0.2, rate=100, concurrency=2)
    assert rugs[0].most_under_way == 2
    assert counted.requests == 20
    assert percentile(counted.homes["catalog"], 1) > 200, "the last one waited for those before it"


def test_a_load_ends_though_the_gateway_can_t_keep_up_and_counts_what_was_never_sent(rugs):
    rugs[0].delay = 0.1
    counted = load(rugs[1], "/api/fine/", seconds=0.5, rate=400, concurrency=2, timeout=0.5)
    assert counted.seconds < 2
    assert counted.requests == 200
    assert counted.kinds == {"not sent": 200 - len(rugs[0].seen)}
    assert counted.ok == len(rugs[0].seen) < 30


def test_a_window_counts_since_the_last_one(rugs):
    async def look() -> tuple[list[Window], Window]:
        generator = LoadGenerator(shop("/api/fine/"), rugs[1], users=[""])
        running = asyncio.create_task(generator.run(1))
        windows = []
        for _ in range(2):
            await asyncio.sleep(0.4)
            windows.append(generator.window())
        total = await running
        return [*windows, generator.window()], total

    windows, total = asyncio.run(look())
    assert total.requests == sum(one.requests for one in windows) == 200
    assert all(one.requests > 20 for one in windows)
    assert all(0 < one.seconds < 0.9 for one in windows)


def test_a_stopped_load_ends_soon_and_counts_what_was_under_way(rugs):
    async def stop() -> Window:
        rugs[0].delay = 0.2
        generator = LoadGenerator(shop("/api/fine/"), rugs[1], users=[""])
        asyncio.get_running_loop().call_later(0.5, generator.stop)
        return await generator.run(60)

    counted = asyncio.run(stop())
    assert counted.seconds < 2
    assert counted.requests == len(rugs[0].seen) == counted.answers("catalog")


@pytest.mark.parametrize(
    ("latencies", "share", "expected"),
    [([], 0.5, 0), ([3], 0.99, 3), ([1, 2], 0.5, 1), (range(1, 101), 0.95, 95), (range(1, 21), 0.99, 20)],
)
def test_percentiles_are_nearest_ranks(latencies, share, expected):
    assert percentile(list(latencies), share) == expected


# ── strangler load ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def project_directory(tmp_path: Path) -> Path:
    (tmp_path / "strangler.toml").write_text(TOML + '[[load.requests]]\npath = "/api/fine/"\n')
    return tmp_path


def command(root: Path, *arguments: str, columns: int = 120) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "strangler.cli", "--root", str(root), "load", *arguments]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_the_command_prints_counts_and_exits_with_0(rugs, project_directory):
    child = command(project_directory, "--url", rugs[1], "--seconds", "1", "--rate", "50")
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert "50 requests in 1." in out
    assert "(latencies in ms), 0 failed" in out
    assert "home catalog" in out
    assert "GET /api/fine/" in out


def test_a_pipe_gets_the_sum_and_every_number_whole(rugs, project_directory):
    """COLUMNS is what a terminal had, and a pipe has none."""
    toml = project_directory / "strangler.toml"
    toml.write_text(toml.read_text().replace("/api/fine/", f"/api/fine/{'long/' * 20}"))
    child = command(project_directory, "--url", rugs[1], "--seconds", "0.1", columns=60)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert [line for line in out.splitlines() if line.endswith("(latencies in ms), 0 failed")]
    assert "…" not in out


def test_a_narrow_terminal_breaks_routes_and_no_number():
    route = "GET /api/catalog/products/<int:pk>/reviews/, read back"
    counted = Window(routes={route: [12345.6] * 1600}, homes={"catalog": [12345.6] * 1600})
    console = Console(width=80, file=io.StringIO())
    console.print(as_table(counted))
    out = console.file.getvalue()
    assert "…" not in out
    assert out.split().count("1,600") == 2
    assert out.split().count("12345.6") == 6
    assert max(map(len, out.splitlines())) <= 80


def test_the_command_exits_with_1_when_something_failed(rugs, project_directory):
    toml = project_directory / "strangler.toml"
    toml.write_text(toml.read_text().replace("/api/fine/", "/api/broken/"))
    child = command(
        project_directory, "--url", rugs[1], "--seconds", "0.5", "--json", "--users", "anonymous,ann"
    )
    out, _ = child.communicate(timeout=30)
    counts = json.loads(out)
    assert child.returncode == 1
    assert counts["failed"] == counts["requests"] == 100
    assert counts["kinds"] == {"server error": 100}
    assert counts["failures"][0]["said"] == '{"detail": "it broke"}'
    assert {one["user"] for one in counts["failures"]} <= {"", "ann"}


def test_ctrl_c_ends_it_with_the_counts(rugs, project_directory):
    child = command(project_directory, "--url", rugs[1], "--seconds", "60", "--users", "anonymous")
    while len(rugs[0].seen) < 20:
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=15)
    assert child.returncode == 0, err
    assert f"{len(rugs[0].seen)} requests in" in out
    assert "Traceback" not in err


def test_the_list_of_verbs_says_that_writes_are_sent_too():
    help_ = CliRunner().invoke(strangler, ["--help"]).output
    assert "Send mixed reads and writes through" in help_


def test_a_bounded_load_refuses_more_than_an_hour(project_directory):
    child = command(project_directory, "--url", "http://127.0.0.1:1", "--seconds", "3601")
    _, err = child.communicate(timeout=30)
    assert child.returncode == 2
    assert "3600" in err


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://127.9.9.9", "http://localhost:1", "http://[::1]:1"]
)
def test_this_machine_may_be_loaded(url):
    check_host(url, None)


def test_another_machine_may_be_loaded_only_by_name():
    check_host("https://staging.example/", "staging.example")
    for url in (
        "https://staging.example/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example/",
        "http://0.0.0.0/",
    ):
        with pytest.raises(UsageError, match=r"isn't this machine.*--allow-host"):
            check_host(url, "other.example")
    for url in ("ftp://localhost/", "localhost:8000", ""):
        with pytest.raises(UsageError, match="no http"):
            check_host(url, None)


def test_the_counts_as_json_name_routes_that_never_answered():
    counted = load("http://127.0.0.1:1", "/rugs/1/", users=[""])
    values = as_values(counted)
    assert values["routes"] == {
        "GET /rugs/<int:pk>/": {"answers": 0, "p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0, "failed": 20}
    }
    json.dumps(values)
