"""What the catalog announces, whichever way a product or a seller is changed."""

import pytest
from django.core.management import call_command
from django.db import transaction

from monolith.catalog.models import Product, Seller
from monolith.catalog.services import save_product
from tests.contexts.admin_forms import send
from tests.contexts.factories import a_product, a_seller, a_user, an_order, stock_of

URL = "/api/catalog/products/"


@pytest.fixture
def rug(db):
    return a_product(price="12.50")


@pytest.fixture
def announced(deliver):
    """What was announced of the rows since the last look, whoever changed them: [(type, data)]."""
    return lambda: [
        (event.type, event.data)
        for event in deliver()
        if event.type.startswith("catalog.") and event.type != "catalog.product_edited"
    ]


def by_api(ask, visit, product):
    ask("staff").patch(f"{URL}{product.pk}/", {"price": "9.90"})


def by_desk(ask, visit, product):
    visit("staff").post(
        f"/account/desk/{product.pk}/", {f"p{product.pk}-price": "9.9", f"p{product.pk}-status": "active"}
    )


def by_admin(ask, visit, product):
    boss = visit("anonymous")
    boss.force_login(a_user("boss", "admin", is_superuser=True, is_staff=True))
    send(boss, f"/admin/catalog/product/{product.pk}/change/", price="9.9")


@pytest.mark.parametrize("way", [by_api, by_desk, by_admin])
def test_a_price_change_is_announced_whichever_way_it_is_made(ask, visit, rug, announced, way):
    way(ask, visit, rug)
    change = {"product": rug.pk, "price": "9.90", "currency": "EUR", "was": "12.50"}
    assert announced() == [("catalog.product_price_changed", change)]


def test_a_price_change_is_announced_in_the_same_transaction(rug, announced):
    rug.price = "9.90"
    with transaction.atomic():
        save_product(product=rug)
        transaction.set_rollback(True)
    assert announced() == []
    save_product(product=rug)
    assert len(announced()) == 1


def test_what_is_entered_is_announced_whole(ask, rug, announced):
    wanted = {"sku": "HAT", "name": "Hat", "seller": rug.seller_id, "category": rug.category_id}
    ask("staff").post(URL, wanted | {"price": "8", "weight": "0.1"})
    ((type, hat),) = announced()
    assert type == "catalog.product_entered"
    assert hat == {
        "product": Product.objects.get(sku="HAT").pk, "sku": "HAT", "name": "Hat", "seller": rug.seller_id,
        "category": rug.category_id, "status": "draft", "price": "8.00", "currency": "EUR",
    }  # fmt: skip


def test_a_change_of_name_and_price_is_two_events(ask, rug, announced):
    ask("staff").patch(f"{URL}{rug.pk}/", {"name": "Loud rug", "price": "9.90"})
    changed, now = announced()
    assert (changed[0], now[0]) == ("catalog.product_price_changed", "catalog.product_changed")
    assert (now[1]["name"], now[1]["price"]) == ("Loud rug", "9.90")


def test_a_product_that_is_saved_as_it_was_says_nothing(ask, rug, announced):
    ask("staff").patch(f"{URL}{rug.pk}/", {"price": "12.50"})
    assert announced() == []


def test_counters_are_announced_by_nobody(ask, rug, announced):
    stock_of(rug, 5)
    an_order(ask("buyer"), rug, 2)
    assert announced() == []
    rug.refresh_from_db()
    assert (rug.in_stock, rug.units_sold) == (True, 2)


def test_a_product_that_is_deleted_is_announced(ask, rug, announced):
    ask("staff").delete(f"{URL}{rug.pk}/")
    assert announced() == [("catalog.product_deleted", {"product": rug.pk})]


def test_a_seller_is_announced_by_the_admin(boss, announced):
    send(boss, "/admin/catalog/seller/add/", name="Rivals", slug="rivals", country="DE")
    seller = Seller.objects.get().pk
    send(boss, f"/admin/catalog/seller/{seller}/change/", name="Friends")
    assert [(type, data["name"]) for type, data in announced()] == [
        ("catalog.seller_entered", "Rivals"),
        ("catalog.seller_changed", "Friends"),
    ]


@pytest.mark.parametrize("chosen", [True, False])
def test_a_seller_that_is_deleted_takes_its_products_along(boss, rug, announced, chosen):
    """By the page's button, or chosen in the list."""
    if chosen:
        action = {"action": "delete_selected", "_selected_action": [rug.seller_id], "post": "yes"}
        boss.post("/admin/catalog/seller/", action)
    else:
        boss.post(f"/admin/catalog/seller/{rug.seller_id}/delete/", {"post": "yes"})
    assert not Product.objects.exists()
    assert announced() == [
        ("catalog.product_deleted", {"product": rug.pk}),
        ("catalog.seller_deleted", {"seller": rug.seller_id}),
    ]


def test_products_chosen_in_the_admins_list_are_announced_as_they_are_deleted(boss, rug, announced):
    action = {"action": "delete_selected", "_selected_action": [rug.pk], "post": "yes"}
    boss.post("/admin/catalog/product/", action)
    assert announced() == [("catalog.product_deleted", {"product": rug.pk})]


def test_rows_of_which_nobody_was_told_are_restated_once(ask, rug, announced, capsys):
    ask("staff").post(
        URL,
        {"sku": "HAT", "name": "Hat", "seller": rug.seller_id, "category": rug.category_id}
        | {"price": "8", "weight": "0.1"},
    )
    announced()
    call_command("restate_events", "catalog.product", "catalog.seller")
    assert "catalog.product: 1 announced\ncatalog.seller: 1 announced" in capsys.readouterr().out
    restated = dict(announced())
    assert restated["catalog.product_restated"]["sku"] == "GARISH-RUG"
    assert restated["catalog.seller_restated"]["name"] == a_seller().name
    call_command("restate_events", "catalog.product", "catalog.seller")
    assert announced() == []
    call_command("restate_events", "catalog.product", everything=True)
    assert len(announced()) == 2


def test_a_change_alone_describes_no_product(rug, announced):
    """An event that carries a part of the state leaves the rest to be restated."""
    rug.price = "9.90"
    save_product(product=rug)
    announced()
    call_command("restate_events", "catalog.product")
    assert [type for type, _ in announced()] == ["catalog.product_restated"]
