"""Shipments of an order, and /api/fulfilment/shipments/"""

import pytest

from monolith.fulfilment.models import Parcel, Shipment
from monolith.fulfilment.tasks import print_labels
from tests.contexts.factories import ADDRESS, a_product, a_user, an_order, stock_of


@pytest.fixture
def order(ask):
    """Four rugs, of which three lie in Hamburg and one in Lyon."""
    product = a_product(weight="0.500")
    stock_of(product, 3, "HAM")
    stock_of(product, 2, "LYO")
    return an_order(ask("buyer"), product, 4)


def states():
    return set(Shipment.objects.values_list("state", flat=True))


def test_each_warehouse_that_has_pieces_prepares_a_parcel(order):
    shipments = order.shipments.order_by("id")
    assert [(one.warehouse.code, one.state, one.address) for one in shipments] == [
        ("HAM", "waiting", ADDRESS),
        ("LYO", "waiting", ADDRESS),
    ]
    assert [str(parcel.weight) for parcel in Parcel.objects.order_by("id")] == ["1.500", "0.500"]
    assert {parcel.lines.get().order for parcel in Parcel.objects.all()} == {order}


def test_labels_are_asked_for_once_the_order_is_there(ask, django_capture_on_commit_callbacks):
    product = a_product()
    stock_of(product, 3)
    with django_capture_on_commit_callbacks() as asked:
        an_order(ask("buyer"), product)
    assert len(asked) == 1


def test_a_label_is_printed_once(order):
    shipment = order.shipments.first()
    assert print_labels(shipment.pk) == 1
    label = shipment.parcels.get().label
    assert label.startswith("GP")
    assert label.endswith("DE")
    assert print_labels(shipment.pk) == 0
    assert shipment.parcels.get().label == label


def test_what_is_shipped_is_sent_and_arrives(ask, order):
    support = ask("support")
    support.post(f"/api/ordering/orders/{order.pk}/ship/")
    assert states() == {"sent"}
    first, last = order.shipments.order_by("id")
    for shipment, status in [(first, "shipped"), (last, "delivered")]:
        answer = support.post(f"/api/fulfilment/shipments/{shipment.pk}/delivered/")
        assert answer.json()["state"] == "delivered"
        order.refresh_from_db()
        assert order.status == status


def test_only_support_says_what_has_arrived_and_only_of_what_was_sent(ask, order):
    url = f"/api/fulfilment/shipments/{order.shipments.first().pk}/delivered/"
    assert ask("buyer").post(url).status_code == 403
    answer = ask("support").post(url)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_on_its_way")
    assert states() == {"waiting"}


def test_shipments_of_a_cancelled_order_are_called_off(ask, order):
    ask("buyer").post(f"/api/ordering/orders/{order.pk}/cancel/")
    assert states() == {"called_off"}


def test_shipments_are_shown_to_the_buyer_support_and_admins(ask, order):
    stranger = ask("anonymous")
    stranger.force_login(a_user("stranger"))
    for client, count in [(ask("buyer"), 2), (ask("support"), 2), (stranger, 0)]:
        assert client.get("/api/fulfilment/shipments/").json()["count"] == count


def test_the_orders_page_shows_shipments_and_labels(visit, order):
    shipment = order.shipments.first()
    print_labels(shipment.pk)
    page = visit("buyer").get(f"/orders/{order.number}/").text
    assert "From HAM: waiting" in page
    assert shipment.parcels.get().label in page
