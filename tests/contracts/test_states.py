"""Every sentence that a pact begins with can be brought about, and none is left over"""

from __future__ import annotations

from strangler.contracts.pacts import read_all
from tests.contracts.messages import MESSAGES
from tests.contracts.states import STATES
from tests.contracts.writing import PACTS

INTERACTIONS = [one for pact in read_all(PACTS) for one in pact.interactions]


def test_every_state_of_a_pact_can_be_brought_about() -> None:
    sentences = {sentence for one in INTERACTIONS for sentence, _ in one.states}
    assert sentences <= STATES.keys()
    assert STATES.keys() - sentences == set(), "nobody needs these states any more"


def test_every_message_of_a_pact_is_said_by_somebody() -> None:
    assert {one.description for one in INTERACTIONS if one.is_message} == MESSAGES.keys()
