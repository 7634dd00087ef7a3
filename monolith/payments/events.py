"""What payments announce, in the transaction of the change; others read of it what they need."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from strangler.chassis import outbox

from .models import Payment

CENT = Decimal("0.01")


@dataclass(frozen=True)
class _PaymentState:
    payment: int
    order: int
    number: str
    payer: int
    amount: Decimal
    currency: str
    state: str
    on_account: bool

    @property
    def key(self) -> str:
        return f"payment-{self.payment}"

    @classmethod
    def of(cls, payment: Payment) -> Self:
        return cls(
            payment=payment.pk,
            order=payment.order_id,
            number=payment.order.number,
            payer=payment.payer_id,
            amount=payment.amount.quantize(CENT),
            currency=payment.currency,
            state=str(payment.state),
            on_account=not payment.reference,
        )


class PaymentCaptured(_PaymentState):
    type: ClassVar[str] = "payments.payment_captured.v1"


class PaymentRefunded(_PaymentState):
    """On account, no money moves: there was none."""

    type: ClassVar[str] = "payments.payment_refunded.v1"


class PaymentRestated(_PaymentState):
    """How a payment stands, for those who weren't listening when it came so far."""

    type: ClassVar[str] = "payments.payment_restated.v1"


outbox.restates(
    "payments.payment",
    rows=lambda: Payment.objects.select_related("order"),
    say=PaymentRestated.of,
    said_by=(PaymentCaptured, PaymentRefunded, PaymentRestated),
)
