"""Git at the edge: its plumbing, by lists of words, with an index of our own and nobody's configuration.

What is written depends on what is given alone: who commits, and when, is fixed, so that the same input gives
the same object ids on every machine.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from strangler.steps.errors import NoSteps, StepsError
from strangler.steps.tree import Entry, Tree

NAME, MAIL = "strangler steps", "steps@strangler.invalid"
ZERO = "0" * 40


class GitFailed(StepsError):
    """Git refused; its own words follow."""


class Repository:
    """The repository around a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            top = self.run("rev-parse", "--show-toplevel")
        except (GitFailed, FileNotFoundError):
            raise NoSteps(
                f"{directory} isn't in a git repository, and steps are made of its commits."
            ) from None
        self.directory = Path(top)

    # ── Asking ───────────────────────────────────────────────────────────────────────────────────

    def run(
        self, *words: str, given: bytes = b"", env: Mapping[str, str] | None = None, at: Path | None = None
    ) -> str:
        """One git command's output; GitFailed with its words when it doesn't end with 0."""
        return self.raw(*words, given=given, env=env, at=at).decode().strip("\n")

    def raw(
        self, *words: str, given: bytes = b"", env: Mapping[str, str] | None = None, at: Path | None = None
    ) -> bytes:
        done = self.attempt(*words, given=given, env=env, at=at)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"it ended with {done.returncode}"
            raise GitFailed(f"git {words[0]} refused: {said}")
        return done.stdout

    def attempt(
        self, *words: str, given: bytes = b"", env: Mapping[str, str] | None = None, at: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        # GIT_DIR and its like point elsewhere when a hook calls this.
        kept = {key: one for key, one in os.environ.items() if not key.startswith("GIT_")}
        return subprocess.run(  # nosec B607 # the git that the user has
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "i18n.commitEncoding=UTF-8", *words],
            cwd=at or self.directory,
            env={**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "LC_ALL": "C", **(env or {})},
            input=given,
            capture_output=True,
            check=False,
        )

    def head(self, at: Path | None = None) -> str:
        return self.run("rev-parse", "HEAD", at=at)

    def common(self) -> Path:
        """Git's own directory, which all worktrees share."""
        return (self.directory / self.run("rev-parse", "--git-common-dir")).resolve()

    def unclean(self, at: Path | None = None) -> list[str]:
        """Paths that no commit holds as they are."""
        listed = self.raw(
            "status", "--porcelain", "-z", "--no-renames", "--", ".", ":(exclude).strangler", at=at
        )
        return [line[3:].decode() for line in listed.split(b"\0") if line]

    def tree(self, commit: str) -> dict[str, Entry]:
        """Every file of a commit."""
        found = {}
        for line in self.raw("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            if line:
                described, _, path = line.partition(b"\t")
                mode, _, blob = described.decode().split()
                found[path.decode()] = Entry(mode, blob)
        return found

    def blob(self, blob: str) -> bytes:
        return self.raw("cat-file", "blob", blob)

    def refs(self, prefix: str) -> dict[str, str]:
        """References by full name, with the object that each points at."""
        lines = self.run("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def is_ours(self, objectname: str) -> bool:
        """Whether an object is a commit that a build has made."""
        if self.run("cat-file", "-t", objectname) != "commit":
            return False
        return self.run("show", "--no-patch", "--format=%cn <%ce>", objectname) == f"{NAME} <{MAIL}>"

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────

    def write_tree(self, tree: Tree) -> str:
        """The id of a tree object with just these files."""
        with tempfile.TemporaryDirectory(prefix="strangler-steps-") as scratch:
            own = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            lines = b"".join(
                f"{one.mode} {one.blob}\t{path}\0".encode() for path, one in sorted(tree.items())
            )
            self.run("update-index", "-z", "--index-info", given=lines, env=own)
            return self.run("write-tree", env=own)

    def write_commit(self, tree: str, parents: Iterable[str], message: str, seconds: int) -> str:
        """The id of a commit by us at that many seconds since 1970, in UTC."""
        when = f"{seconds} +0000"
        us = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", NAME), ("EMAIL", MAIL), ("DATE", when))
        }
        named = [word for parent in parents for word in ("-p", parent)]
        return self.run("commit-tree", tree, *named, "-F", "-", given=message.encode(), env=us)

    def update_refs(self, wanted: Mapping[str, str], seen: Mapping[str, str], reason: str) -> None:
        """Point references at objects, all or none; refused if one has moved since it was `seen`.

        Killed meanwhile, either all have moved or none.
        """
        lines = ["start"]
        lines += [f"update {name} {one} {seen.get(name, ZERO)}" for name, one in sorted(wanted.items())]
        lines += ["prepare", "commit", ""]
        self.run("update-ref", "-m", reason, "--stdin", given="\n".join(lines).encode())
