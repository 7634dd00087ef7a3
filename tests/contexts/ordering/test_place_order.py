"""POST /api/ordering/orders/"""

import pytest

from monolith.inventory.models import Reservation
from monolith.ordering.models import AuditEntry, Order
from tests.contexts.factories import ADDRESS, a_product, stock_of


@pytest.fixture
def buy(ask):
    def buying(quantity, *products, client=None):
        client = client or ask("buyer")
        for product in products:
            client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": quantity})
        return client.post("/api/ordering/orders/", {"address": ADDRESS})

    return buying


def test_an_order_reserves_stock_and_empties_the_cart(ask, buy):
    product = a_product(price="12.50")
    item = stock_of(product, 5)
    client = ask("buyer")
    response = buy(2, product, client=client)
    assert response.status_code == 201
    assert response.json()["total"] == "25.00"
    assert response.json()["status"] == "placed"
    item.refresh_from_db()
    assert (item.quantity, item.reserved) == (5, 2)
    assert client.get("/api/ordering/cart/").json()["lines"] == []
    assert AuditEntry.objects.get().subject == Order.objects.get()


def test_a_sale_is_counted_as_soon_as_it_is_heard_of(buy, deliver):
    product = a_product()
    stock_of(product, 5)
    buy(2, product)
    product.refresh_from_db()
    assert product.units_sold == 0
    deliver()
    product.refresh_from_db()
    assert product.units_sold == 2


def test_an_order_is_numbered_after_its_first_reservation(buy):
    product = a_product()
    stock_of(product, 5)
    number = buy(1, product).json()["number"]
    assert number == f"P-{Reservation.objects.get().pk:08d}"


def test_pieces_come_from_several_warehouses_when_one_has_too_few(buy):
    product = a_product()
    items = [stock_of(product, 3, "HAM"), stock_of(product, 2, "LYO")]
    assert buy(4, product).status_code == 201
    for item in items:
        item.refresh_from_db()
    assert [item.reserved for item in items] == [3, 1]


def test_nothing_is_ordered_when_one_product_is_short(ask, buy):
    plenty, short = a_product("PLENTY"), a_product("SHORT")
    item = stock_of(plenty, 5)
    stock_of(short, 1)
    client = ask("buyer")
    response = buy(2, plenty, short, client=client)
    assert response.status_code == 409
    assert "only 1 can be ordered" in response.content.decode()
    item.refresh_from_db()
    assert item.reserved == 0
    assert not Order.objects.exists()
    assert len(client.get("/api/ordering/cart/").json()["lines"]) == 2


def test_a_product_that_was_retired_meanwhile_is_refused(ask, buy):
    product = a_product()
    stock_of(product, 5)
    client = ask("buyer")
    client.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 1})
    product.status = "retired"
    product.save()
    assert client.post("/api/ordering/orders/", {"address": ADDRESS}).status_code == 409


def test_an_empty_cart_is_refused(buy):
    assert buy(1).status_code == 409


def test_an_address_without_a_city_is_refused(ask):
    address = {key: value for key, value in ADDRESS.items() if key != "city"}
    assert ask("buyer").post("/api/ordering/orders/", {"address": address}).status_code == 400


def test_nobody_orders_without_signing_in(buy, ask):
    assert buy(1, a_product(), client=ask("anonymous")).status_code == 401
