"""What every context needs now and then: everybody imports it, and it imports everybody back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q, QuerySet
from django.utils.text import slugify

if TYPE_CHECKING:
    from .catalog.models import Product, Seller
    from .identity.models import User
    from .inventory.models import Reservation


def slug_of(name: str) -> str:
    return slugify(name)[:160]


def money(amount: Decimal, currency: str = "EUR") -> str:
    """An amount as mails and pages print it: `12.50 EUR`."""
    return f"{amount:.2f} {currency}"


def sees_everything(user: Any) -> bool:
    """Support and admins see drafts, and everybody's orders."""
    return user.is_authenticated and user.role in ("support", "admin")


def works_for(user: Any, seller: Seller) -> bool:
    return user.is_authenticated and user.employments.filter(seller=seller).exists()


def visible_products(user: Any) -> QuerySet[Product]:
    """Active products; drafts and retired ones for the seller's staff, support and admins."""
    from .catalog.models import Product  # not above: the catalog's models import this module

    if sees_everything(user):
        return Product.objects.all()
    visible = Q(status=Product.Status.ACTIVE)
    if user.is_authenticated:
        visible |= Q(seller__staff__user=user)
    return Product.objects.filter(visible).distinct()


def order_number(reservation: Reservation) -> str:
    """An order is numbered after its first reservation: `P-00004711`."""
    return f"P-{reservation.pk:08d}"


def write_down(actor: User | None, subject: Model, action: str) -> None:
    """Leave a trace of who did what to a row of any context."""
    from .ordering.models import AuditEntry

    AuditEntry.objects.create(actor=actor, subject=subject, action=action)
