"""GET /api/ordering/orders/, and what becomes of an order"""

import pytest

from tests.contexts.factories import ADDRESS, a_product, a_user, stock_of


@pytest.fixture
def order(ask):
    product = a_product()
    product.item = stock_of(product, 5)
    buyer = ask("buyer")
    buyer.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 2})
    return buyer.post("/api/ordering/orders/", {"address": ADDRESS}).json()["id"]


def stock():
    from monolith.inventory.models import StockItem

    item = StockItem.objects.get()
    return item.quantity, item.reserved


@pytest.mark.parametrize(
    ("role", "answer"), [("buyer", 200), ("staff", 404), ("support", 200), ("admin", 200)]
)
def test_an_order_is_shown_to_its_buyer_support_and_admins(ask, order, role, answer):
    client = ask(role)
    assert client.get(f"/api/ordering/orders/{order}/").status_code == answer
    assert client.get("/api/ordering/orders/").json()["count"] == (answer == 200)


def test_another_buyer_sees_and_cancels_nothing(ask, order):
    stranger = ask("anonymous")
    stranger.force_login(a_user("stranger"))
    assert stranger.get(f"/api/ordering/orders/{order}/").status_code == 404
    assert stranger.post(f"/api/ordering/orders/{order}/cancel/").status_code == 404
    assert stock() == (5, 2)


def test_a_cancelled_order_gives_its_stock_back(ask, order):
    response = ask("buyer").post(f"/api/ordering/orders/{order}/cancel/")
    assert response.json()["status"] == "cancelled"
    assert stock() == (5, 0)


def test_a_shipped_order_takes_its_pieces_from_the_shelf_and_can_not_be_cancelled(ask, order):
    assert ask("buyer").post(f"/api/ordering/orders/{order}/ship/").status_code == 403
    assert ask("support").post(f"/api/ordering/orders/{order}/ship/").json()["status"] == "shipped"
    assert stock() == (3, 0)
    assert ask("buyer").post(f"/api/ordering/orders/{order}/cancel/").status_code == 409


def test_notes_on_an_order_are_for_support(ask, order):
    url = f"/api/ordering/orders/{order}/notes/"
    assert ask("support").post(url, {"text": "Called back."}).status_code == 201
    assert [note["text"] for note in ask("admin").get(url).json()["results"]] == ["Called back."]
    assert ask("buyer").get(url).status_code == 403


def test_more_orders_need_no_more_queries(ask, order, django_assert_max_num_queries):
    client = ask("support")
    with django_assert_max_num_queries(6):  # session, user, count, orders, lines, products
        client.get("/api/ordering/orders/")
