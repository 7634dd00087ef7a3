"""A small repository whose shop has moved in three steps; every test has one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strangler.cli import main
from strangler.steps import build, rewrite
from strangler.steps.git import Repository

ROOT = Path(__file__).parents[3]

SETTINGS = """
roots = ["shop/", "service/", "wanted.toml"]

[[checks]]
title = "the shop compiles"
command = ["{python}", "-m", "compileall", "-q", "shop"]

[[checks]]
title = "the service compiles"
where = "service/*.py"
command = ["{python}", "-m", "compileall", "-q", "service"]
"""

# What main holds: the tree after the last step.
MAIN = {
    ".gitignore": ".strangler/\n__pycache__/\n",
    "kit/tool.py": "TOOL = 1\n",
    "wanted.toml": "phase = 'switched'\n",
    "shop/__init__.py": "",
    "shop/price.py": "PRICE = 3\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n# asks the service\n",
    "shop/cart.py": "CART = []\n",
    "shop/migrations/0001_pre_create.py": "TABLE = 'cart'\n",
    "shop/migrations/0002_pre_add.py": "COLUMN = 'price'\n",
    "service/price.py": "PRICE = 3\n",
    "docs/steps/steps.toml": SETTINGS,
    "docs/steps/00-shop/README.md": "A shop.\n",
    "docs/steps/00-shop/step.toml": 'title = "The shop"\n',
    "docs/steps/01-column/README.md": "A column.\n",
    "docs/steps/01-column/step.toml": 'title = "A column"\n',
    "docs/steps/02-service/README.md": "A service.\n",
    "docs/steps/02-service/step.toml": 'title = "A service"\n\n[overlay]\nadds = ["service/**"]\n',
}
# What differs from it in the steps before; None is a file that isn't there.
BEFORE: dict[str, dict[str, str | None]] = {
    "01-column": {
        "wanted.toml": None,
        "shop/price.py": "PRICE = 3\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n",
        "shop/old.py": "OLD = True\n",
        "service/price.py": None,
    },
    "00-shop": {
        "wanted.toml": None,
        "shop/price.py": "PRICE = 2\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n",
        "shop/old.py": "OLD = True\n",
        "shop/migrations/0002_pre_add.py": None,
        "service/price.py": None,
    },
}


@dataclass(frozen=True)
class Done:
    """What a command came to, its sentences in one line each."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.err.split())


@dataclass(frozen=True)
class Shop:
    """A repository, its files and its command line."""

    root: Path

    def git(self, *words: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *words], cwd=at or self.root, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip("\n")

    def steps(self, *words: str, at: Path | None = None) -> Done:
        code, out, err = 0, io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in os.environ.keys() - ENVIRONMENT.keys():
                patch.delenv(name)
            for name, value in ENVIRONMENT.items():
                patch.setenv(name, value)
            try:
                main(["--root", str(at or self.root), "steps", *words])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def does(self, *words: str, at: Path | None = None) -> Done:
        done = self.steps(*words, at=at)
        assert done.code == 0, done.out + done.err
        return done

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.does("list", "--json").out)
        return found

    def write(self, path: str, text: str | None, at: Path | None = None) -> None:
        file = (at or self.root) / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, message: str = "More", at: Path | None = None, **files: str | None) -> str:
        for path, text in files.items():
            self.write(path, text, at)
        self.git("add", "--all", at=at)
        self.git("commit", "--quiet", "--message", message, at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def tags(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/tags").splitlines()
        return dict(line.split() for line in lines)

    def file(self, commit: str, path: str) -> str:
        return self.git("show", f"{commit}:{path}") + "\n"

    def names(self, commit: str) -> set[str]:
        return set(self.git("ls-tree", "-r", "--name-only", commit).splitlines())

    @property
    def worktree(self) -> Path:
        return self.root / ".strangler" / "steps" / "edit"

    def traces(self) -> list[str]:
        """What an edit could leave: worktrees, branches, references, files of git's own, changed files."""
        return [
            self.git("worktree", "list"),
            self.git("for-each-ref"),
            self.git("status", "--porcelain"),
            *sorted(
                path.name for path in (self.root / ".git").iterdir() if path.name.startswith("strangler")
            ),
        ]


ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "COLUMNS": "200",
    "PYTHONWARNINGS": "error",
    "GIT_AUTHOR_NAME": "Anna",
    "GIT_AUTHOR_EMAIL": "anna@example.org",
    "GIT_COMMITTER_NAME": "Anna",
    "GIT_COMMITTER_EMAIL": "anna@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@pytest.fixture(scope="session")
def shop_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with its overlays, written by the code under test from the trees that are wanted."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.git("init", "--quiet", "--initial-branch", "main")
    for path, text in MAIN.items():
        shop.write(path, text)
    shop.commit("The shop")
    repository = Repository(shop.root)
    record, chain = build.read(repository)
    trees = []
    for name in ("00-shop", "01-column"):
        tree = dict(chain.trees[-1])
        for path, text in BEFORE[name].items():
            if text is None:
                tree.pop(path)
            else:
                blob = repository.run("hash-object", "-w", "--stdin", given=text.encode())
                tree[path] = type(tree["kit/tool.py"])("100644", blob)
        trees.append(tree)
    rewrite.rewrite(repository, record, [*trees, chain.trees[-1]])
    shop.commit("The steps")
    return shop.root


@pytest.fixture
def shop(shop_of_the_session: Path, tmp_path: Path) -> Shop:
    subprocess.run(["cp", "-a", str(shop_of_the_session), str(tmp_path / "shop")], check=True)
    return Shop(tmp_path / "shop")
