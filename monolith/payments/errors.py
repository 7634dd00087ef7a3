"""What payments refuse; nothing was changed here when one of these is raised.

PaymentsError
├── PaymentDeclined     the provider won't have it
├── ProviderFailed      the provider gave no answer that can be used
├── NotRefundable       there is no money to give back
├── BadWebhook          a webhook isn't the provider's, or can't be read
└── UnknownPayment      a webhook is about a payment that isn't here (yet)
"""

from rest_framework.exceptions import APIException


class PaymentsError(APIException):
    """Root of what payments refuse."""

    status_code = 409
    default_code = "refused"


class PaymentDeclined(PaymentsError):
    status_code = 402
    default_detail = "The payment was declined, and nothing was ordered. Your cart is as it was."
    default_code = "payment_declined"


class ProviderFailed(PaymentsError):
    status_code = 503
    default_detail = "The payment provider doesn't answer; nothing was changed here. Try again in a moment."
    default_code = "provider_failed"


class NotRefundable(PaymentsError):
    default_code = "not_refundable"

    def __init__(self, state: str) -> None:
        super().__init__(f"The payment is {state}: there is no money to give back.")


class BadWebhook(PaymentsError):
    status_code = 400
    default_detail = "The webhook isn't signed by the provider, or can't be read; it was thrown away."
    default_code = "bad_webhook"


class UnknownPayment(PaymentsError):
    status_code = 404
    default_detail = "There is no such payment here; send the webhook again later."
    default_code = "unknown_payment"
