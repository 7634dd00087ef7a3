"""Whether each step's tree is what it says: migrations only added, commands that pass, red before green.

The trees are checked out one by one in worktrees that are gone afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree  # nosec B405 # read: what our own pytest has written
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from strangler.steps.git import Repository
from strangler.steps.record import Check, Record, Verify
from strangler.steps.tree import Chain, Tree, matching, under

PREFIX = "strangler-step-"
MIGRATIONS = "**/migrations/*.py"
PATIENCE = 1800.0  # seconds for one command
LINES = 15  # of what a failed command said


@dataclass(frozen=True)
class Outcome:
    """What one check of one step came to; `said` is why, where it failed."""

    step: str
    check: str
    passed: bool
    seconds: float
    said: str = ""


def migrations(roots: Collection[str], before: Tree, after: Tree) -> str:
    """Why the migrations of a step don't only add to those of the step before, or nothing."""
    wrong = []
    for path in sorted(matching([MIGRATIONS], before)):
        if under(roots, path) and not path.endswith("/__init__.py") and after.get(path) != before[path]:
            wrong.append(f"{path} {'is changed' if path in after else 'is gone'}")
    return "; ".join(wrong) and f"{'; '.join(wrong)}: databases have run it as it was."


def check(
    repository: Repository,
    record: Record,
    chain: Chain,
    commits: list[str],
    chosen: Collection[str],
    *,
    run: bool,
    tell: Callable[[Outcome], None],
) -> list[Outcome]:
    """Check the chosen steps, telling each outcome as it comes; with `run` their own commands too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of every `finally`
    forget_killed(repository)
    outcomes: list[Outcome] = []
    for index, step in enumerate(record.steps):
        if step.name not in chosen:
            continue
        for outcome in _of_step(repository, record, chain.trees, commits, index, run):
            outcomes.append(outcome)
            tell(outcome)
    return outcomes


def _of_step(
    repository: Repository, record: Record, trees: tuple[Tree, ...], commits: list[str], at: int, run: bool
) -> Iterator[Outcome]:
    name = record.steps[at].name
    if at:
        why = migrations(record.roots, trees[at - 1], trees[at])
        yield Outcome(name, "migrations only get added", not why, 0.0, why)
    with checked_out(repository, commits[at]) as tree:
        for one in record.checks:
            if one.where is None or matching([one.where], trees[at]):
                yield _timed(name, one.title, partial(_must_pass, one, tree))
        for verify in record.verifies[name] if run else ():
            yield _timed(name, verify.title, partial(_must_show, verify, tree))
    for verify in record.verifies[name] if run else ():
        if at and verify.red_before:
            with checked_out(repository, commits[at - 1]) as tree:
                title = f"{verify.title}: red before"
                yield _timed(name, title, partial(_must_be_red, verify, tree))


def forget_killed(repository: Repository) -> None:
    """Remove the worktrees of checks that were killed, and so couldn't do it themselves."""
    for line in repository.run("worktree", "list", "--porcelain").splitlines():
        found = re.fullmatch(rf"worktree (.+/{PREFIX}(\d+)-[^/]+)/tree", line)
        if found and not Path(f"/proc/{found[2]}").exists():
            repository.run("worktree", "remove", "--force", "--force", f"{found[1]}/tree")
            shutil.rmtree(found[1], ignore_errors=True)


@contextmanager
def checked_out(repository: Repository, commit: str) -> Iterator[Path]:
    """A commit's files in a directory of their own."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as scratch:
        tree = Path(scratch) / "tree"
        repository.run("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            repository.run("worktree", "remove", "--force", "--force", str(tree))


def _timed(step: str, title: str, why_not: Callable[[], str]) -> Outcome:
    began = time.monotonic()
    said = why_not()
    return Outcome(step, title, not said, time.monotonic() - began, said)


def _must_pass(check: Check, tree: Path) -> str:
    done = _run(check.command, tree)
    return f"it ended with {done.returncode}:\n{_end(done.stdout)}" if done.returncode else ""


def _must_show(verify: Verify, tree: Path) -> str:
    done = _run(verify.command, tree)
    if done.returncode:
        return f"it ended with {done.returncode}:\n{_end(done.stdout)}"
    for expression in verify.shows:
        if not (found := re.search(expression, done.stdout)):
            return f"its output doesn't show {expression!r}:\n{_end(done.stdout)}"
        for figure, value in found.groupdict().items():
            if float(value.replace(",", "")) < verify.least.get(figure, 0.0):
                return f"{figure} is {value}, and must be at least {verify.least[figure]:g}."
    return ""


def _must_be_red(verify: Verify, tree: Path) -> str:
    """Why the command isn't red on the step before as it should be: by an assertion, and by nothing else."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as scratch:
        report = Path(scratch) / "report.xml"
        done = _run(verify.command, tree, report)
        if done.returncode == 0:
            return "it passes on the step before as well, so it proves nothing."
        if not report.exists():
            return f"it wrote no {{report}}, so nobody knows why it failed:\n{_end(done.stdout)}"
        return not_by_assertion(report.read_text())


def not_by_assertion(report: str) -> str:
    """Why a report in JUnit's format doesn't tell of failed assertions alone, or nothing."""
    root = ElementTree.fromstring(report)  # nosec B314 # our own pytest has written it
    if errors := [one.get("message", "") for one in root.iter("error")]:
        return f"it breaks on the step before instead of failing: {errors[0][:300]}"
    failures = [one.get("message", "") for one in root.iter("failure")]
    others = [one for one in failures if not re.match(r"(AssertionError|assert\b|Failed: )", one)]
    if others:
        return f"it fails on the step before, yet not by an assertion: {others[0][:300]}"
    return "" if failures else "it failed on the step before without one failed test."


def _run(
    command: tuple[str, ...], tree: Path, report: Path | None = None
) -> subprocess.CompletedProcess[str]:
    filled = {"{python}": sys.executable, "{report}": str(report or os.devnull)}
    words = [re.sub(r"\{(python|report)\}", lambda found: filled[found[0]], word) for word in command]
    kept = {key: one for key, one in os.environ.items() if not key.startswith(("GIT_", "PYTEST_"))}
    try:
        return subprocess.run(
            words,
            cwd=tree,
            # The tree's own kit, and not the one that is installed; it is the same, and a test may change it.
            env={**kept, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(words, 127, f"{error.filename} isn't here")
    except subprocess.TimeoutExpired as error:
        said = error.stdout if isinstance(error.stdout, str) else ""
        return subprocess.CompletedProcess(words, 124, f"{said}\nstill running after {PATIENCE:g} s")


def _end(said: str) -> str:
    return "\n".join(f"    {line}" for line in said.strip().splitlines()[-LINES:])
