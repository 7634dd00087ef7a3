"""`strangler steps absorb`: work on main belongs to one step, and the steps before it stay as they were."""

from __future__ import annotations

import pytest

from .conftest import Shop


@pytest.fixture
def merged(shop: Shop) -> Shop:
    """Somebody's work was merged: a new file, changed ones with and without an overlay, a deleted one."""
    shop.does("build")
    shop.write("shop/events.py", "EVENTS = []\n")
    shop.write("shop/cart.py", "from .events import EVENTS\n")
    shop.write(
        "shop/price.py", "PRICE = 3\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n# asks the service, and tells\n"
    )
    shop.write("shop/__init__.py", None)
    shop.commit("Tell what happened")
    return shop


def trees(shop: Shop) -> list[str]:
    return [shop.git("rev-parse", f"{tag}^{{tree}}") for tag in ("step-00-shop", "step-01-column")]


def test_the_steps_before_stay_byte_for_byte(merged: Shop) -> None:
    before = trees(merged)
    assert merged.steps("build").code == 1
    done = merged.does("absorb", "02")
    for path in ("shop/events.py", "shop/cart.py", "shop/price.py", "shop/__init__.py"):
        assert f"02-service brings  {path}" in done.out
    merged.commit("Let step 02 bring it")
    merged.does("build")
    assert trees(merged) == before
    assert merged.file("step-02-service", "shop/cart.py") == "from .events import EVENTS\n"
    assert "shop/__init__.py" not in merged.names("step-02-service")


def test_what_is_not_named_reaches_every_step(merged: Shop) -> None:
    done = merged.does("absorb", "02", "shop/event*.py", "shop/__init__.py")
    assert "02-service brings  shop/events.py" in done.out
    assert "every step has  shop/cart.py" in done.out
    merged.commit()
    merged.does("build")
    assert merged.file("step-00-shop", "shop/cart.py") == "from .events import EVENTS\n"
    assert "shop/events.py" not in merged.names("step-01-column")
    assert (
        merged.file("step-01-column", "shop/price.py") == "PRICE = 3\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n"
    )  # it has an overlay


def test_a_step_in_the_middle_brings_it_to_itself_and_those_after(merged: Shop) -> None:
    merged.does("absorb", "01")
    merged.commit()
    merged.does("build")
    assert "shop/events.py" not in merged.names("step-00-shop")
    assert merged.file("step-00-shop", "shop/cart.py") == "CART = []\n"
    assert merged.file("step-01-column", "shop/cart.py") == "from .events import EVENTS\n"


def test_the_first_step_takes_what_was_always_there(merged: Shop) -> None:
    merged.does("absorb", "00")
    merged.commit()
    merged.does("build")
    assert {"shop/events.py"} <= merged.names("step-00-shop")
    assert "shop/__init__.py" not in merged.names("step-00-shop")


def test_absorbing_twice_changes_nothing(merged: Shop) -> None:
    merged.does("absorb", "02")
    merged.commit()
    done = merged.does("absorb", "02")
    assert "Nothing had to be written" in done.out
    assert merged.git("status", "--porcelain") == ""


def test_a_commit_to_reckon_from_can_be_named(merged: Shop) -> None:
    before = trees(merged)
    merged.does("absorb", "00")
    merged.commit()
    merged.does("absorb", "02", "--since", "HEAD~2")
    merged.commit()
    merged.does("build")
    assert trees(merged) == before


def test_what_was_edited_by_hand_is_not_absorbed(shop: Shop) -> None:
    shop.write("docs/steps/02-service/before/shop/price.py", "PRICE = 1\n")
    shop.commit()
    assert "was changed by hand" in shop.steps("absorb", "02").said


def test_a_path_that_has_not_changed_is_refused(merged: Shop) -> None:
    done = merged.steps("absorb", "02", "shop/hats.py")
    assert done.code == 1
    assert "Nothing that shop/hats.py names has changed since" in done.said
    assert merged.git("status", "--porcelain") == ""


def test_a_change_of_an_overlaid_file_is_noticed_until_somebody_has_looked(shop: Shop) -> None:
    shop.write("shop/price.py", "PRICE = 3\n\n\n\nNAME = 'rug'\n\n\n\nUNIT = 1\n# asks the service, kindly\n")
    shop.commit()
    notice = "Note: shop/price.py has changed since 02-service/before/ was made from it; earlier steps keep"
    assert notice in shop.does("build").out
    shop.does("absorb", "02")
    shop.commit()
    assert "Note:" not in shop.does("build").out


def test_a_new_step_on_top_brings_the_work_that_follows_its_folder(shop: Shop) -> None:
    shop.write("docs/steps/03-events/README.md", "Events.\n")
    shop.write("docs/steps/03-events/step.toml", 'title = "Events"\n')
    shop.commit()
    shop.does("build")
    before = shop.git("rev-parse", "step-02-service^{tree}")
    shop.write("shop/events.py", "EVENTS = []\n")
    shop.write("shop/price.py", "PRICE = 4\n")
    shop.commit()
    shop.does("absorb", "03")
    shop.commit()
    shop.does("build")
    assert shop.names("step-03-events") - shop.names("step-02-service") == {"shop/events.py"}
    assert shop.file("step-03-events", "shop/price.py") == "PRICE = 4\n"
    assert shop.git("rev-parse", "step-02-service^{tree}") == before


def test_the_first_inventory_is_written_by_absorbing_into_the_first_step(shop: Shop) -> None:
    for path in ("01-column", "02-service"):
        shop.git("rm", "-rq", f"docs/steps/{path}")
    shop.write("docs/steps/00-shop/step.toml", 'title = "The shop"\n')
    shop.git("add", "--all")
    shop.git("checkout", "--quiet", "--orphan", "begun")
    shop.commit("Begin")
    shop.does("absorb", "00")
    shop.commit()
    shop.does("build")
    assert shop.tags().keys() == {"step-00-shop"}
