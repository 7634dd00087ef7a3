"""What contracts refuse.

StranglerError
├── CouldNotVerify      2  nothing could be found out: no pacts, no home, nothing that ran
├── BrokerRefuses       1  the Pact Broker doesn't take what is published
└── NotDeployable       4  can-i-deploy's no
"""

from __future__ import annotations

from strangler.errors import Held, StranglerError


class CouldNotVerify(StranglerError):
    """Nothing was found out, and an empty run is never green. Nothing was recorded."""

    exit_code = 2


class BrokerRefuses(StranglerError):
    """The Pact Broker doesn't answer, or doesn't take what it is given."""


class NotDeployable(Held):
    """A version that may not be routed to."""
