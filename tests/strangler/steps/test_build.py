"""`strangler steps build` and `list`: trees by going backwards, and tags that are the same everywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

from .conftest import BEFORE, ENVIRONMENT, MAIN, ROOT, Shop

ROOTS = ("shop/", "service/", "wanted.toml")
TAGS = ["step-00-shop", "step-01-column", "step-02-service"]


def test_every_step_has_the_tree_that_it_had(shop: Shop) -> None:
    shop.does("build")
    for tag in TAGS:
        before = BEFORE.get(tag.removeprefix("step-"), {})
        wanted = {path: text for path, text in (MAIN | before).items() if text is not None}
        wanted = {path: text for path, text in wanted.items() if path.startswith(ROOTS)}
        assert {name for name in shop.names(tag) if name.startswith(ROOTS)} == set(wanted)
        assert {path: shop.file(tag, path).strip() for path in wanted} == {
            p: t.strip() for p, t in wanted.items()
        }


def test_the_steps_are_a_line_of_commits_whose_diffs_are_the_lessons(shop: Shop) -> None:
    shop.does("build")
    told = shop.git("log", "--reverse", "--format=%s", TAGS[-1]).splitlines()
    assert told == ["00: The shop", "01: A column", "02: A service"]
    names = shop.git("diff", "--name-status", TAGS[0], TAGS[1]).splitlines()
    assert names == ["A\tshop/migrations/0002_pre_add.py", "M\tshop/price.py"]


def test_overlays_and_what_only_the_building_needs_are_in_no_step(shop: Shop) -> None:
    shop.does("build")
    for tag in TAGS:
        there = {name for name in shop.names(tag) if name.startswith("docs/")}
        assert there == {f"docs/steps/{name}/README.md" for name in ("00-shop", "01-column", "02-service")}


def test_building_twice_gives_the_same_object_ids(shop: Shop, tmp_path: Path) -> None:
    shop.does("build")
    once = shop.tags()
    assert sorted(once) == TAGS
    again = shop.does("build")
    assert shop.tags() == once
    assert again.out.count("up to date") == 3

    clone = Shop(tmp_path / "clone")
    shop.git("clone", "--quiet", "--no-tags", str(shop.root), str(clone.root))
    clone.git("config", "i18n.commitEncoding", "ISO-8859-1")
    clone.git("config", "user.name", "Somebody Else")
    clone.does("build")
    assert clone.tags() == once


def test_what_is_the_same_in_every_tree_reaches_every_step(shop: Shop) -> None:
    shop.does("build")
    assert shop.steps("build", "--check").code == 0
    shop.write("kit/tool.py", "TOOL = 2\n")
    shop.write("shop/cart.py", "CART = [1]\n")
    shop.commit()
    late = shop.steps("build", "--check")
    assert late.code == 3
    assert "step-00-shop, step-01-column, step-02-service: not up to date." in late.said
    assert shop.file("step-00-shop", "kit/tool.py") == "TOOL = 1\n"
    assert "moved" in shop.does("build").out
    assert shop.file("step-00-shop", "kit/tool.py") == "TOOL = 2\n"
    assert shop.file("step-00-shop", "shop/cart.py") == "CART = [1]\n"


def test_the_list_says_how_the_tags_stand(shop: Shop) -> None:
    assert {one["state"] for one in shop.list()} == {"missing"}
    shop.does("build")
    assert [(one["title"], one["state"]) for one in shop.list()] == [
        ("The shop", "up to date"),
        ("A column", "up to date"),
        ("A service", "up to date"),
    ]
    shop.write("service/price.py", "PRICE = 4\n")
    shop.commit()
    assert [one["state"] for one in shop.list()] == ["up to date", "up to date", "behind"]


# ── What is refused ──────────────────────────────────────────────────────────────────────────────


def refused(shop: Shop, *sentences: str) -> None:
    before = shop.tags()
    done = shop.steps("build")
    assert done.code == 1
    for sentence in sentences:
        assert sentence in done.said
    assert shop.tags() == before


def test_uncommitted_changes_are_refused(shop: Shop) -> None:
    shop.write("shop/cart.py", "CART = [1]\n")
    refused(shop, "shop/cart.py would be missing from the steps: commit or stash first. Nothing was changed.")


def test_an_addition_that_no_step_lists_is_refused(shop: Shop) -> None:
    shop.write("shop/offers.py", "OFFERS = []\n")
    shop.commit()
    refused(shop, "shop/offers.py is added, and no step lists it.", "`strangler steps absorb 02`")


def test_an_addition_that_a_glob_of_a_step_covers_belongs_to_that_step(shop: Shop) -> None:
    shop.write("service/deep/api.py", "API = 1\n")
    shop.commit()
    shop.does("build")
    assert "service/deep/api.py" in shop.names("step-02-service")
    assert "service/deep/api.py" not in shop.names("step-01-column")


def test_a_file_that_is_gone_though_no_step_deletes_it_is_refused(shop: Shop) -> None:
    shop.write("shop/cart.py", None)
    shop.commit()
    refused(shop, "shop/cart.py is listed in 00-shop, and it is gone though no step deletes it.")


@pytest.mark.parametrize(
    ("path", "text", "how"),
    [
        ("shop/price.py", "PRICE = 1\n", "was changed by hand"),
        ("shop/hat.py", "HAT = 1\n", "was put there by hand"),
        ("shop/old.py", None, "is gone by hand"),
    ],
)
def test_a_before_that_was_edited_by_hand_is_refused(
    shop: Shop, path: str, text: str | None, how: str
) -> None:
    shop.write(f"docs/steps/02-service/before/{path}", text)
    shop.commit()
    refused(shop, f"02-service/before/{path} {how}. Put it back; `strangler steps edit` writes before/.")


def test_an_overlay_outside_of_the_roots_is_refused(shop: Shop) -> None:
    shop.write("docs/steps/01-column/before/kit/tool.py", "TOOL = 0\n")
    shop.commit()
    refused(shop, "01-column/before/kit/tool.py lies outside of what overlays may cover.")


def test_a_strangers_tag_is_never_overwritten_unless_it_is_said(shop: Shop) -> None:
    shop.git("tag", "step-01-column")
    mine = shop.tags()["step-01-column"]
    refused(
        shop,
        "step-01-column: a tag of this name is there, and it points at something that no build has made.",
    )
    assert [one["state"] for one in shop.list()] == ["missing", "somebody else's", "missing"]
    shop.does("build", "--force")
    assert shop.tags()["step-01-column"] != mine
    assert sorted(shop.tags()) == TAGS


def test_an_annotated_tag_on_a_built_commit_is_a_strangers_too(shop: Shop) -> None:
    shop.does("build")
    shop.git("tag", "--annotate", "--force", "--message", "Mine", "step-01-column", "step-01-column")
    refused(shop, "step-01-column: a tag of this name is there")


def test_a_tree_of_a_step_says_where_the_steps_are_built(shop: Shop) -> None:
    shop.does("build")
    shop.git("checkout", "--quiet", "step-01-column")
    done = shop.steps("list")
    assert done.code == 2
    assert "the steps are built on main: `git switch main`." in done.said


def test_a_directory_without_a_repository_is_refused(tmp_path: Path) -> None:
    done = Shop(tmp_path).steps("list")
    assert done.code == 2
    assert "isn't in a git repository" in done.said


# ── Killed ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slow_git(tmp_path: Path) -> Path:
    """A git that waits once it was told which references to move, so that a build can be killed there."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
case "$*" in
    *update-ref*)
        cat > {tmp_path}/told; touch {tmp_path}/there; sleep 1
        {shutil.which("git")} "$@" < {tmp_path}/told
        touch {tmp_path}/gone ;;
    *) exec {shutil.which("git")} "$@" ;;
esac
""")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("everybody", [True, False], ids=["with-its-git", "alone"])
def test_a_build_that_is_killed_moves_no_tag(shop: Shop, slow_git: Path, everybody: bool) -> None:
    """Git goes on where it wasn't killed too, and ends once it has nobody to report to: before it commits."""
    before = shop.tags()
    child = subprocess.Popen(
        [sys.executable, "-m", "strangler.cli", "--root", str(shop.root), "steps", "build"],
        cwd=ROOT,
        env={**ENVIRONMENT, "PATH": f"{slow_git / 'bin'}:{ENVIRONMENT['PATH']}"},
        start_new_session=True,
    )
    until((slow_git / "there").exists)
    assert shop.tags() == before
    (os.killpg if everybody else os.kill)(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    if not everybody:
        until((slow_git / "gone").exists)
    assert shop.tags() == before
    shop.does("build")
    assert {one["state"] for one in shop.list()} == {"up to date"}
