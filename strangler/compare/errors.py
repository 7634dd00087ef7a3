"""Why a comparison couldn't be made. Unlike everywhere else, exit code 2 means that here: 1 is "different".

CouldNotCompare           2  there is no result, neither good nor bad
└── CouldNotAsk           2  a home didn't answer the comparator
"""

from __future__ import annotations

from strangler.errors import StranglerError


class CouldNotCompare(StranglerError):
    """Nothing was compared; the message says what is missing and how to get it."""

    exit_code = 2


class CouldNotAsk(CouldNotCompare):
    """The home `home` gave no answer to a request."""

    def __init__(self, home: str, why: str) -> None:
        super().__init__(f"{home} gave no answer: {why}.")
        self.home = home
