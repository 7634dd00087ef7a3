"""What fulfilment refuses; nothing was changed when one of these is raised.

FulfilmentError
└── NotOnItsWay     only what was sent can be delivered
"""

from rest_framework.exceptions import APIException


class FulfilmentError(APIException):
    """Root of what fulfilment refuses; the API answers 409."""

    status_code = 409
    default_code = "refused"


class NotOnItsWay(FulfilmentError):
    default_code = "not_on_its_way"

    def __init__(self, state: str) -> None:
        super().__init__(f"The shipment is {state}; only one that was sent can be delivered.")
