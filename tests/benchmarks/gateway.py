"""The gateway's cost: our real snapshot beside bare Envoy, nginx and a proxy in Python."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from strangler import config as project
from strangler.control.phases import Phase
from strangler.envoy import gateway
from strangler.envoy.validate import binary
from strangler.errors import StranglerError
from strangler.run.postgres import free_port
from strangler.run.system import System
from tests.benchmarks import requests
from tests.benchmarks.table import Row

TITLE = "Gateway"
SENTENCE = (
    "A read of 1 KB over 64 kept connections, two workers each, load from a process of its own "
    f"({requests.tool()}), before an upstream that answers at once. Ours is the whole chain that "
    "`strangler.toml` comes to, with the capability switched: headers stripped and added, request ids, "
    "routes by method and expression, retries, fallback, health checks, log, and the sample captured. CPU "
    "per request is the proxy's own, whatever the load and the upstream take of the same cores."
)
ROOT = Path(__file__).parents[2]
PATH = "/api/catalog/products/1/"
BODY = json.dumps({"name": "GARISH-RUG", "text": "x" * 984}).ljust(1024)
CONNECTIONS, SECONDS, ROUNDS = 64, 2, 3
WORKERS = 2
OURS, UNSEEN, BARE, NGINX, PYTHON = "ours", "ours, capture off", "bare Envoy", "nginx", "aiohttp"


@dataclass
class Proxy:
    """A proxy that runs, and what was measured of it."""

    url: str
    group: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # microseconds a request


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="strangler-bench-") as directory, ExitStack() as running:
        place, captures = Path(directory), Path(running.enter_context(_in_memory()))
        upstream = running.enter_context(_upstream(place / "upstream"))
        proxies = {
            OURS: running.enter_context(_ours(place / "ours", upstream, captures)),
            UNSEEN: running.enter_context(_ours(place / "unseen", upstream, None)),
            BARE: running.enter_context(_bare_envoy(place / "bare", upstream)),
            PYTHON: running.enter_context(_aiohttp(place / "aiohttp", upstream)),
        }
        if shutil.which("nginx"):
            host = upstream.url.removeprefix("http://")
            kept = f"upstream kept {{ server {host}; keepalive {CONNECTIONS}; }}"
            passed = "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection '';"
            proxies[NGINX] = running.enter_context(_nginx(place / "nginx", passed, kept))
        for _ in range(ROUNDS):
            for name, proxy in proxies.items():
                _measure(name, proxy)
                for file in captures.iterdir():  # as the comparator does, if not as fast
                    file.unlink(missing_ok=True)
    return list(_compared(proxies))


def _compared(proxies: dict[str, Proxy]) -> Iterator[Row]:
    ours = proxies[OURS]
    for peer in (BARE, NGINX, PYTHON, UNSEEN):
        theirs = proxies.get(peer)
        note = "" if theirs else f"{peer} isn't installed"
        for what, unit, less, values in (
            ("requests", "/s", False, "rates"),
            ("CPU per request", "µs", True, "cpu"),
        ):
            figure = statistics.median(getattr(theirs, values)) if theirs else None
            mine = statistics.median(getattr(ours, values))
            yield Row(what, mine, unit, peer, figure, less_is_better=less, note=note)


def _measure(name: str, proxy: Proxy) -> None:
    before = _cpu_seconds(proxy.group)
    flood = requests.flood(proxy.url + PATH, connections=CONNECTIONS, seconds=SECONDS)
    if flood.wrong or not flood.answers:
        raise StranglerError(f"{name} gave {flood.wrong} wrong answers beside {flood.answers} answers.")
    proxy.rates.append(flood.rate)
    proxy.cpu.append((_cpu_seconds(proxy.group) - before) / flood.answers * 1e6)


def _cpu_seconds(group: int) -> float:
    """CPU time that the living processes of a group have used so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ── What runs ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _running(*commands: list[str], url: str, log: Path) -> Iterator[Proxy]:
    """Processes in one group of their own, once `url` answers; killed at the end of the block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    children: list[subprocess.Popen[bytes]] = []
    try:
        with log.open("wb") as file:
            for command in commands:
                group = children[0].pid if children else 0
                children.append(
                    subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, process_group=group)
                )
        _wait(url + PATH, children, log)
        yield Proxy(url, children[0].pid)
    finally:
        if children:
            os.killpg(children[0].pid, signal.SIGKILL)
        for child in children:
            child.wait()


def _wait(url: str, children: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # nosec B310 - our own http URL
                if answer.status == 200 and answer.read() == BODY.encode():
                    return
        except OSError:
            time.sleep(0.05)
    raise StranglerError(f"{children[0].args!r} doesn't answer:\n{log.read_text(errors='replace')[-800:]}")


def _in_memory() -> tempfile.TemporaryDirectory[str]:
    """A directory for captures where the running system has it: in memory, if the machine lets us."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108 - a fresh directory in it
    return tempfile.TemporaryDirectory(prefix="strangler-bench-", dir=memory)


def _upstream(directory: Path):
    """The fastest thing that is there: nginx, else Envoy with an answer of its own."""
    if shutil.which("nginx"):
        return _nginx(directory, f"default_type application/json; return 200 '{BODY}';")
    answer = {"status": 200, "body": {"inline_string": BODY}}
    return _envoy(directory, {"match": {"prefix": "/"}, "direct_response": answer}, [])


def _ours(directory: Path, upstream: Proxy, captures: Path | None):
    config = project.load(ROOT)
    if captures is None:
        config = replace(config, compare=replace(config.compare, sample=0.0))
    url, admin = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    system = System(
        root=str(directory),
        supervisor=0,
        gateway=url,
        gateway_admin=admin,
        homes=dict.fromkeys(config.homes, upstream.url),
        databases={},
        modes={},
    )
    if captures:
        system.state.mkdir(parents=True)
        system.capture_directory.symlink_to(captures)
    phases = dict.fromkeys(config.capabilities, Phase.parse("switched"))
    gateway.prepare(config, system, phases)
    return _running(gateway.command(config, system), url=url, log=directory / "log")


def _bare_envoy(directory: Path, upstream: Proxy):
    host, _, port = upstream.url.removeprefix("http://").partition(":")
    address = {"socket_address": {"address": host, "port_value": int(port)}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    return _envoy(directory, {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}, [cluster])


def _envoy(directory: Path, route: dict, clusters: list[dict]):
    """An Envoy with one route and nothing else."""
    port = free_port()
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
        "HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    listener = {
        "name": "bare",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    directory.mkdir()
    file = directory / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}))
    command = [str(binary()), "--config-path", str(file), "--concurrency", str(WORKERS)]
    command += ["--disable-hot-restart", "--log-level", "error"]
    return _running(command, url=f"http://127.0.0.1:{port}", log=directory / "log")


def _nginx(directory: Path, location: str, http: str = ""):
    port = free_port()
    directory.mkdir()
    temporary = " ".join(f"{one}_temp_path {directory}/{one};" for one in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    file = directory / "nginx.conf"
    file.write_text(
        f"daemon off; pid {directory}/pid; worker_processes {WORKERS}; error_log stderr error;\n"
        f"events {{ worker_connections 1024; }}\n"
        f"http {{ access_log off; keepalive_requests 10000000; {temporary} {http}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}\n"
    )
    program = shutil.which("nginx") or "nginx"
    command = [program, "-p", str(directory), "-e", "stderr", "-c", str(file)]
    return _running(command, url=f"http://127.0.0.1:{port}", log=directory / "log")


def _aiohttp(directory: Path, upstream: Proxy):
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.aiohttp_proxy", str(port), upstream.url]
    return _running(*[command] * WORKERS, url=f"http://127.0.0.1:{port}", log=directory / "log")
