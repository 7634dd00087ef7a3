"""`strangler steps edit` and `save`: what is committed in one step reaches the later ones, no others."""

from __future__ import annotations

import pytest

from .conftest import Shop

NAME_FIRST = "NAME = 'Garish Rug'\n"


def rename(shop: Shop) -> None:
    """Commit another name in the step that is edited."""
    price = (shop.worktree / "shop/price.py").read_text()
    shop.write("shop/price.py", price.replace("NAME = 'rug'\n", NAME_FIRST), at=shop.worktree)
    shop.commit("Name the rug", at=shop.worktree)


def test_an_edit_of_the_first_step_reaches_all_later_ones(shop: Shop) -> None:
    before = shop.traces()
    begun = shop.does("edit", "00")
    assert f"00-shop is checked out in {shop.worktree}, on the branch steps-edit." in begun.out
    assert (shop.worktree / "shop/price.py").read_text() == "PRICE = 2\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n"
    shop.write("shop/offers.py", "OFFERS = []\n", at=shop.worktree)
    shop.commit("Offer rugs", at=shop.worktree)
    rename(shop)

    saved = shop.does("save")
    assert "wrote shop/offers.py" in saved.out
    assert "wrote the overlay of 01-column" in saved.out
    shop.commit("Edit step 00")
    after = shop.traces()
    assert (after[0].split("[")[1], after[2:]) == (before[0].split("[")[1], before[2:])

    shop.does("build")
    for tag, price in (("00-shop", 2), ("01-column", 3)):
        assert (
            shop.file(f"step-{tag}", "shop/price.py")
            == f"PRICE = {price}\n\n\n\n{NAME_FIRST}\n\n\nUNIT = 1\n"
        )
        assert shop.file(f"step-{tag}", "shop/offers.py") == "OFFERS = []\n"
    assert (
        shop.file("main", "shop/price.py")
        == f"PRICE = 3\n\n\n\n{NAME_FIRST}\n\n\nUNIT = 1\n# asks the service\n"
    )
    assert shop.file("main", "shop/offers.py") == "OFFERS = []\n"


def test_an_edit_in_the_middle_leaves_the_steps_before_as_they_were(shop: Shop) -> None:
    shop.does("build")
    first = shop.tags()["step-00-shop"]
    shop.does("edit", "01-column")
    shop.write("shop/cart.py", "CART = [1]\n", at=shop.worktree)
    shop.write("shop/migrations/0003_pre_more.py", "COLUMN = 'name'\n", at=shop.worktree)
    shop.commit("Fill the cart", at=shop.worktree)
    shop.does("save")
    shop.commit("Edit step 01")
    shop.does("build")
    assert shop.tags()["step-00-shop"] == first
    assert shop.file("step-00-shop", "shop/cart.py") == "CART = []\n"
    assert shop.file("step-01-column", "shop/cart.py") == shop.file("main", "shop/cart.py") == "CART = [1]\n"
    assert "shop/migrations/0003_pre_more.py" in shop.names("step-02-service") - shop.names("step-00-shop")


def test_an_edit_that_commits_nothing_writes_nothing(shop: Shop) -> None:
    shop.does("edit", "01")
    assert "Nothing had to be written" in shop.does("save").out
    assert shop.git("status", "--porcelain") == ""


def test_an_edit_of_the_last_step_is_an_edit_of_main(shop: Shop) -> None:
    shop.does("edit", "02")
    shop.write("service/price.py", "PRICE = 4\n", at=shop.worktree)
    shop.commit("Raise the price", at=shop.worktree)
    assert "wrote service/price.py" in shop.does("save").out
    assert (shop.root / "service/price.py").read_text() == "PRICE = 4\n"


def test_a_step_may_be_amended(shop: Shop) -> None:
    shop.does("edit", "00")
    shop.write("shop/cart.py", "CART = [1]\n", at=shop.worktree)
    shop.git("commit", "--quiet", "--all", "--amend", "--message", "Another message", at=shop.worktree)
    shop.does("save")
    assert (shop.root / "shop/cart.py").read_text() == "CART = [1]\n"


def test_the_globs_of_a_step_are_kept_where_they_still_say_what_is_so(shop: Shop) -> None:
    shop.does("edit", "02")
    shop.write("service/api.py", "API = 1\n", at=shop.worktree)
    shop.commit("Answer", at=shop.worktree)
    shop.does("save")
    shop.commit()
    record = shop.root / "docs/steps/02-service/step.toml"
    assert '"service/**",' in record.read_text()

    shop.does("edit", "01")
    shop.write("service/early.py", "EARLY = 1\n", at=shop.worktree)
    shop.commit("Begin early", at=shop.worktree)
    shop.does("save")
    assert '"service/**",' not in record.read_text()
    assert '"service/api.py",' in record.read_text()
    shop.commit()
    shop.does("build")
    assert "service/early.py" in shop.names("step-01-column")


def test_a_file_that_a_step_deletes_is_kept_for_the_steps_before(shop: Shop) -> None:
    shop.does("edit", "01")
    shop.write("shop/cart.py", None, at=shop.worktree)
    shop.commit("Sell without a cart", at=shop.worktree)
    assert "wrote shop/cart.py" in shop.does("save").out
    shop.commit()
    shop.does("build")
    assert "shop/cart.py" in shop.names("step-00-shop")
    assert "shop/cart.py" not in shop.names("step-01-column") | shop.names("main")


# ── Conflicts ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def conflict(shop: Shop) -> Shop:
    """An edit of 00 that changes the line which 01 changes too, stopped in the rebase."""
    shop.does("edit", "00")
    shop.write("shop/price.py", "PRICE = 1\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n", at=shop.worktree)
    shop.commit("Sell cheaper", at=shop.worktree)
    done = shop.steps("save")
    assert done.code == 1
    assert (
        "stopped at “01: A column”, where shop/price.py changed in both. Nothing was written to main."
        in done.said
    )
    assert f"In {shop.worktree} make each file what it should be in that step, `git add` it" in done.said
    assert shop.git("status", "--porcelain") == ""
    return shop


def test_a_conflict_is_explained_and_goes_on_once_it_is_resolved(conflict: Shop) -> None:
    again = conflict.steps("save")
    assert (again.code, "is under way stopped at “01: A column”" in again.said) == (1, True)
    conflict.write("shop/price.py", "PRICE = 5\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n", at=conflict.worktree)
    conflict.git("add", "--all", at=conflict.worktree)
    conflict.git("-c", "core.editor=true", "rebase", "--continue", at=conflict.worktree)
    conflict.does("save")
    conflict.commit()
    conflict.does("build")
    assert conflict.file("step-00-shop", "shop/price.py") == "PRICE = 1\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n"
    assert (
        conflict.file("step-01-column", "shop/price.py") == "PRICE = 5\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n"
    )


def test_a_rebase_that_was_given_up_loses_no_commit_of_the_authors(conflict: Shop) -> None:
    conflict.git("rebase", "--abort", at=conflict.worktree)
    again = conflict.steps("save")
    assert (again.code, "stopped at “01: A column”" in again.said) == (1, True)
    assert conflict.file("steps-edit", "shop/price.py") == "PRICE = 1\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n"


def test_an_edit_is_given_up_in_the_middle_of_a_conflict_too(conflict: Shop) -> None:
    assert "steps-edit" in conflict.git("for-each-ref")
    conflict.does("edit", "--abort")
    assert "steps-edit" not in conflict.git("for-each-ref")
    assert conflict.traces()[2:] == [""]
    assert not conflict.worktree.exists()


# ── Main moves meanwhile ─────────────────────────────────────────────────────────────────────────


def test_main_may_move_where_the_edit_does_not(shop: Shop) -> None:
    shop.does("edit", "00")
    rename(shop)
    shop.write("shop/cart.py", "CART = [1]\n")
    shop.write("kit/tool.py", "TOOL = 2\n")
    shop.commit("Meanwhile")
    shop.does("save")
    shop.commit()
    shop.does("build")
    assert shop.file("step-00-shop", "shop/cart.py") == "CART = [1]\n"
    assert shop.file("step-00-shop", "kit/tool.py") == "TOOL = 2\n"
    assert shop.file("step-00-shop", "shop/price.py") == f"PRICE = 2\n\n\n\n{NAME_FIRST}\n\n\nUNIT = 1\n"


def test_save_refuses_where_main_has_changed_the_same_and_says_what_to_do(shop: Shop) -> None:
    shop.does("edit", "00")
    rename(shop)
    price = (shop.root / "shop/price.py").read_text()
    shop.write("shop/price.py", price.replace("# asks the service", "# asks the service, and waits"))
    moved = shop.commit("Meanwhile")
    done = shop.steps("save")
    assert done.code == 1
    assert (
        "Main has moved since this edit began, and shop/price.py changed there too. Nothing was" in done.said
    )
    assert shop.git("status", "--porcelain") == ""

    assert "stand on main as it is now" in shop.does("edit", "--onto-main").out
    shop.does("save")
    assert shop.git("rev-parse", "HEAD") == moved
    shop.commit()
    shop.does("build")
    assert shop.file("step-00-shop", "shop/price.py") == f"PRICE = 2\n\n\n\n{NAME_FIRST}\n\n\nUNIT = 1\n"
    assert (
        shop.file("main", "shop/price.py")
        == f"PRICE = 3\n\n\n\n{NAME_FIRST}\n\n\nUNIT = 1\n# asks the service, and waits\n"
    )


def test_main_with_uncommitted_changes_is_not_written_to(shop: Shop) -> None:
    shop.does("edit", "00")
    rename(shop)
    shop.write("shop/cart.py", "CART = [1]\n")
    assert "shop/cart.py would be missing from the steps" in shop.steps("save").said
    shop.git("checkout", "--", ".")
    shop.does("save")


# ── What is refused ──────────────────────────────────────────────────────────────────────────────


def test_what_is_the_same_in_every_tree_is_not_edited_in_a_step(shop: Shop) -> None:
    shop.does("edit", "00")
    shop.write("kit/tool.py", "TOOL = 2\n", at=shop.worktree)
    shop.commit("Change the tool", at=shop.worktree)
    done = shop.steps("save")
    assert done.code == 1
    assert (
        "00-shop changes kit/tool.py, which is the same in every tree: change it on main instead."
        in done.said
    )


def test_what_is_not_committed_in_the_worktree_is_not_lost(shop: Shop) -> None:
    shop.does("edit", "00")
    shop.write("shop/cart.py", "CART = [1]\n", at=shop.worktree)
    assert "isn't committed. Commit it there, then save again." in shop.steps("save").said
    assert (shop.worktree / "shop/cart.py").read_text() == "CART = [1]\n"


def test_the_steps_before_the_edited_one_are_not_edited(shop: Shop) -> None:
    shop.does("build")
    shop.does("edit", "01")
    shop.git("reset", "--quiet", "--hard", "step-00-shop", at=shop.worktree)
    shop.git("commit", "--quiet", "--amend", "--message", "Another shop", at=shop.worktree)
    done = shop.steps("save")
    assert "The branch doesn't hold 00-shop as it was" in done.said


def test_one_edit_at_a_time(shop: Shop) -> None:
    shop.does("edit", "00")
    assert "00-shop is being edited in" in shop.steps("edit", "01").said


def test_an_aborted_edit_leaves_nothing(shop: Shop) -> None:
    before = shop.traces()
    shop.does("edit", "01")
    rename(shop)
    assert shop.traces() != before
    assert shop.does("edit", "--abort").out == "The edit of 01-column is given up.\n"
    assert shop.traces() == before
    assert not shop.worktree.exists()
    assert shop.does("edit", "--abort").out == "No step is being edited.\n"


def test_a_branch_of_that_name_is_somebody_elses(shop: Shop) -> None:
    shop.git("branch", "steps-edit")
    done = shop.steps("edit", "01")
    assert "There is a branch steps-edit that this didn't make." in done.said
    assert shop.git("rev-parse", "steps-edit") == shop.git("rev-parse", "main")


def test_nothing_is_saved_without_an_edit(shop: Shop) -> None:
    assert "No step is being edited; `strangler steps edit NN` begins." in shop.steps("save").said


def test_a_step_that_does_not_exist_is_named(shop: Shop) -> None:
    done = shop.steps("edit", "07")
    assert done.code == 2
    assert "There is no step '07'; there are: 00-shop, 01-column, 02-service." in done.said
