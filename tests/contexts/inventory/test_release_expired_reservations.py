"""What is promised for too long goes back to the shelf."""

import datetime

from django.utils import timezone

from monolith.inventory.tasks import release_expired_reservations
from tests.contexts.factories import ADDRESS, a_product, stock_of


def test_an_expired_reservation_gives_its_pieces_back_and_cancels_the_order(ask):
    product = a_product()
    item = stock_of(product, 2)
    buyer = ask("buyer")
    buyer.put(f"/api/ordering/cart/{product.pk}/", {"quantity": 2})
    order = buyer.post("/api/ordering/orders/", {"address": ADDRESS}).json()
    assert release_expired_reservations() == 0
    item.product.reservations.update(expires_at=timezone.now() - datetime.timedelta(minutes=1))
    assert release_expired_reservations() == 1
    item.refresh_from_db()
    assert (item.quantity, item.reserved) == (2, 0)
    assert buyer.get(f"/api/ordering/orders/{order['id']}/").json()["status"] == "cancelled"


def test_reservations_are_shown_to_support(ask):
    assert ask("support").get("/api/inventory/reservations/").status_code == 200
    assert ask("buyer").get("/api/inventory/reservations/").status_code == 403
