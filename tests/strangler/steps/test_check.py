"""`strangler steps check`: migrations only get added, quick commands pass, and red comes before green."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strangler.steps.check import not_by_assertion

from .conftest import Shop

# Without the plugins that take longer to import than the test takes.
VERIFY = """title = "A service"

[[verify]]
title = "the service knows the price"
command = ["{python}", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:django",
           "-p", "no:hypothesispytest", "-p", "no:xdist", "--junitxml={report}", "docs/steps/02-service"]
shows = ["(?P<passed>[0-9]+) passed"]
least = { passed = 1 }
red_before = true
"""
TEST = """
from pathlib import Path

def test_the_service_knows_the_price():
    assert Path("service/price.py").exists()
"""


def verified(shop: Shop, text: str = VERIFY, test: str = TEST) -> Shop:
    """The shop with commands of its own for the last step."""
    record = shop.root / "docs/steps/02-service/step.toml"
    record.write_text(record.read_text().replace('title = "A service"\n', text))
    shop.write("docs/steps/02-service/test_service.py", test)
    shop.commit()
    return shop


def test_every_tree_is_checked_and_leaves_nothing(shop: Shop) -> None:
    before = shop.traces()
    done = shop.does("check")
    assert [line.split("  ")[2:4] for line in done.out.splitlines() if line.startswith("ok")] == [
        ["00-shop", "the shop compiles"],
        ["01-column", "migrations only get added"],
        ["01-column", "the shop compiles"],
        ["02-service", "migrations only get added"],
        ["02-service", "the shop compiles"],
        ["02-service", "the service compiles"],
    ]
    assert shop.traces() == before


def test_one_step_can_be_checked_alone(shop: Shop) -> None:
    found = json.loads(shop.does("check", "01", "--json").out)
    assert {one["step"] for one in found["outcomes"]} == {"01-column"}
    assert all(one["passed"] and one["seconds"] >= 0 for one in found["outcomes"])


def test_a_migration_that_a_later_step_changes_is_found(shop: Shop) -> None:
    shop.write("shop/migrations/0001_pre_create.py", "TABLE = 'basket'\n")
    shop.commit()
    shop.does("absorb", "02")
    shop.commit()
    done = shop.steps("check")
    assert done.code == 1
    assert "FAIL  02-service  migrations only get added" in done.out
    assert "shop/migrations/0001_pre_create.py is changed: databases have run it as it was." in done.out
    assert "1 of 6 checks failed" in done.said


def test_a_migration_that_a_later_step_takes_away_is_found(shop: Shop) -> None:
    shop.write("shop/migrations/0002_pre_add.py", None)
    shop.commit()
    shop.does("absorb", "02")
    shop.commit()
    assert "shop/migrations/0002_pre_add.py is gone" in shop.steps("check", "02").out


def test_a_tree_that_does_not_pass_is_found_in_its_step_alone(shop: Shop) -> None:
    shop.write("shop/cart.py", "CART = [\n")
    shop.commit()
    shop.does("absorb", "02")
    shop.commit()
    done = shop.steps("check")
    assert done.code == 1
    failed = [line.split("  ")[1:3] for line in done.out.splitlines() if line.startswith("FAIL")]
    assert failed == [["02-service", "the shop compiles"]]
    assert "SyntaxError" in done.out


def test_a_steps_own_commands_run_when_it_is_said(shop: Shop) -> None:
    verified(shop)
    assert "the service knows" not in shop.does("check").out
    done = shop.does("check", "--run", "02")
    assert "ok    02-service  the service knows the price  " in done.out
    assert "ok    02-service  the service knows the price: red before  " in done.out


@pytest.mark.parametrize(
    ("test", "why"),
    [
        pytest.param("def test_it():\n    pass\n", "it passes on the step before as well", id="green"),
        pytest.param(
            "import service.price\ndef test_it():\n    pass\n", "it breaks on the step before", id="import"
        ),
        pytest.param(
            "def test_it():\n    import service.price\n",
            "yet not by an assertion: ModuleNotFoundError",
            id="late-import",
        ),
    ],
)
def test_red_before_green_means_a_failed_assertion(shop: Shop, test: str, why: str) -> None:
    verified(shop, test=test)
    shop.write("conftest.py", "import sys\nsys.path.insert(0, '.')\n")
    shop.commit()
    done = shop.steps("check", "--run", "02")
    assert done.code == 1
    assert "FAIL  02-service  the service knows the price: red before" in done.out
    assert why in done.out


def test_a_figure_that_is_too_small_is_found(shop: Shop) -> None:
    verified(shop, VERIFY.replace("passed = 1", "passed = 2"))
    assert "passed is 1, and must be at least 2." in shop.steps("check", "--run", "02").out


def test_an_output_that_does_not_show_what_it_must_is_found(shop: Shop) -> None:
    verified(shop, VERIFY.replace("[0-9]+) passed", "[0-9]+) flew"))
    assert "its output doesn't show '(?P<passed>[0-9]+) flew'" in shop.steps("check", "--run", "02").out


def test_a_report_without_a_failed_test_is_no_red() -> None:
    assert "without one failed test" in not_by_assertion("<testsuites><testsuite/></testsuites>")


def test_what_a_killed_check_left_is_gone_with_the_next_one(shop: Shop, tmp_path: Path) -> None:
    before = shop.traces()
    left = tmp_path / "strangler-step-4194305-x"  # more than any process's number
    shop.git("worktree", "add", "--quiet", "--detach", str(left / "tree"))
    assert shop.traces() != before
    shop.does("check", "00")
    assert shop.traces() == before
    assert not left.exists()
