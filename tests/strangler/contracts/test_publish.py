"""Publishing to a Pact Broker, as far as a fake of it can tell"""

from __future__ import annotations

import pytest

from strangler.contracts.broker import Broker, publish
from strangler.contracts.errors import BrokerRefuses
from strangler.contracts.ledger import Ledger
from strangler.contracts.running import record
from strangler.contracts.verify import verify
from strangler.errors import UsageError
from tests.fakes.pact_broker import PactBroker
from tests.strangler.contracts.conftest import Rugs


@pytest.fixture
def known(rugs: Rugs, book: Ledger) -> Rugs:
    """A ledger with a run in which the service breaks what the museum needs."""
    config = rugs.config(loom={"id": 7, "price": "12.50"})
    record(config, book, verify(config), "anna")
    book.deploy({"loom": "s1", "monolith": "m1"}, "anna")
    return rugs


def test_pacts_results_and_deployments_are_published(known: Rugs, book: Ledger) -> None:
    with PactBroker(environments=("rugs",)) as broker:
        lines = list(publish(Broker(broker.url), book, known.config()))
    assert set(broker.contracts) == {("bazaar", "m1", "rugs.read"), ("museum", "m1", "rugs.read")}
    results = {
        (consumer, body["verifiedBy"]["version"], body["providerApplicationVersion"], body["success"])
        for _, consumer, body in broker.results
    }
    assert results == {
        ("bazaar", "monolith", "m1", True),
        ("bazaar", "loom", "s1", True),
        ("museum", "monolith", "m1", True),
        ("museum", "loom", "s1", False),
    }
    assert ("rugs.read", "s1", "uuid-rugs", "loom") in broker.deployments
    assert ("bazaar", "m1", "uuid-rugs", "monolith") in broker.deployments
    assert "result: rugs.read at loom s1: doesn't hold" in lines


def test_publishing_again_is_no_conflict(known: Rugs, book: Ledger) -> None:
    with PactBroker() as broker:
        for _ in range(2):
            lines = list(publish(Broker(broker.url), book, known.config()))
    assert len(broker.contracts) == 2
    assert lines[-1].startswith("deployments aren't published: the broker has no environment 'rugs'")


def test_a_token_goes_with_every_request(known: Rugs, book: Ledger) -> None:
    with PactBroker(token="ties-the-room") as broker:
        environment = {"PACT_BROKER_BASE_URL": f"{broker.url}/", "PACT_BROKER_TOKEN": "ties-the-room"}
        list(publish(Broker.named(environment), book, known.config()))
        with pytest.raises(BrokerRefuses, match="answers 401"):
            list(publish(Broker(broker.url), book, known.config()))
    assert "ties-the-room" not in repr(Broker.named(environment))


def test_a_broker_that_is_away_says_so(known: Rugs, book: Ledger) -> None:
    with pytest.raises(BrokerRefuses, match="gives no answer"):
        list(publish(Broker("http://127.0.0.1:9"), book, known.config()))


def test_without_a_broker_nothing_is_published() -> None:
    with pytest.raises(UsageError, match="PACT_BROKER_BASE_URL isn't set"):
        Broker.named({})
