"""Publishes pacts, results and deployments to a Pact Broker, in its own words (HAL).

Named by the variables that the broker's own clients read: PACT_BROKER_BASE_URL, and PACT_BROKER_TOKEN or
PACT_BROKER_USERNAME with PACT_BROKER_PASSWORD. What the broker has already is said once more and changes
nothing there. The ledger stays what the gates go by.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin

from strangler.config import Config
from strangler.contracts.errors import BrokerRefuses
from strangler.contracts.ledger import Ledger, Published, Result
from strangler.errors import UsageError

URL = "PACT_BROKER_BASE_URL"
WITHIN = 15.0  # seconds
HAL = "application/hal+json"


@dataclass(frozen=True)
class Broker:
    """A Pact Broker at `url`; `authorization` goes with every request, if there is one."""

    url: str
    authorization: str = field(default="", repr=False)

    @staticmethod
    def named(environment: Mapping[str, str]) -> Broker:
        """The broker that the environment names; UsageError if it names none."""
        if not (url := environment.get(URL)):
            raise UsageError(
                f"{URL} isn't set, so there is nowhere to publish to; nothing was. The ledger has it all, "
                "and gates go by that."
            )
        if token := environment.get("PACT_BROKER_TOKEN"):
            return Broker(url.rstrip("/"), f"Bearer {token}")
        if user := environment.get("PACT_BROKER_USERNAME"):
            pair = f"{user}:{environment.get('PACT_BROKER_PASSWORD', '')}"
            return Broker(url.rstrip("/"), f"Basic {base64.b64encode(pair.encode()).decode()}")
        return Broker(url.rstrip("/"))

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What the broker answers. BrokerRefuses with its reason."""
        url = urljoin(f"{self.url}/", path.lstrip("/") if not path.startswith("http") else path)
        headers = {"accept": f"{HAL}, application/json"}
        headers |= {"content-type": "application/json"} if body is not None else {}
        headers |= {"authorization": self.authorization} if self.authorization else {}
        payload = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, payload, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:  # nosec B310 # the named broker
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                said = " ".join(error.read(500).decode(errors="replace").split())
            raise BrokerRefuses(
                f"The Pact Broker answers {error.code} to {method} {url}: {said or error.reason}. What was "
                "published before stays there; publishing again goes on from there."
            ) from None
        except (OSError, ValueError) as error:
            raise BrokerRefuses(
                f"The Pact Broker at {self.url} gives no answer: {error}. Nothing more was published."
            ) from None
        found = json.loads(text or b"{}")
        return found if isinstance(found, dict) else {}


def publish(broker: Broker, book: Ledger, config: Config) -> Iterator[str]:
    """Publish what the ledger knows; yields a line for each thing that the broker took."""
    published, results = book.published(), book.results()
    for one in published:
        if one.consumer in config.contracts.consumers:
            yield from _pact(broker, one, book.content(one), results)
    environment = _environments(broker).get(config.name)
    if environment is None:
        yield f"deployments aren't published: the broker has no environment {config.name!r}; create it there"
        return
    for deployment in book.deployed():
        for name in _applications(config, deployment.home):
            broker.ask(
                "POST",
                f"/pacticipants/{quote(name)}/versions/{quote(deployment.version)}"
                f"/deployed-versions/environment/{environment}",
                {"applicationInstance": deployment.home},
            )
            yield f"deployed in {config.name}: {name} {deployment.version} ({deployment.home})"


def _pact(broker: Broker, one: Published, text: str, results: list[Result]) -> Iterator[str]:
    contract = {
        "consumerName": one.consumer,
        "providerName": one.provider,
        "specification": "pact",
        "contentType": "application/json",
        "content": base64.b64encode(text.encode()).decode(),
        "onConflict": "merge",
    }
    broker.ask(
        "POST",
        "/contracts/publish",
        {
            "pacticipantName": one.consumer,
            "pacticipantVersionNumber": one.version,
            "contracts": [contract],
        },
    )
    yield f"pact: {one.consumer} {one.version} with {one.provider}"
    path = (
        f"/pacts/provider/{quote(one.provider)}/consumer/{quote(one.consumer)}/version/{quote(one.version)}"
    )
    links = broker.ask("GET", path).get("_links", {})
    target = links.get("pb:publish-verification-results", {}).get("href")
    if not target:
        raise BrokerRefuses(f"The broker gives no link for results of {one.consumer}'s pact. See {path}.")
    for result in results:
        if (result.consumer, result.provider, result.hash) == (one.consumer, one.provider, one.hash):
            broker.ask("POST", target, _result(result))
            word = "holds" if result.passed else "doesn't hold"
            yield f"result: {one.provider} at {result.home} {result.version}: {word}"


def _result(one: Result) -> dict[str, Any]:
    """A result as the broker takes it: the version is that of the home, and says which home."""
    return {
        "success": one.passed,
        "providerApplicationVersion": one.version,
        "verifiedBy": {"implementation": "strangler", "version": one.home},
        "testResults": {"interactions": one.interactions, "failed": dict(one.failed), "home": one.home},
    }


def _applications(config: Config, home: str) -> Iterator[str]:
    """What the broker knows of a home: the providers that it answers for, and its consumers."""
    for capability in config.capabilities.values():
        if home in (capability.owner, capability.home):
            yield capability.name
    for provider, homes in config.contracts.providers.items():
        if home in homes:
            yield provider
    yield from (consumer for consumer, where in config.contracts.consumers.items() if where == home)


def _environments(broker: Broker) -> dict[str, str]:
    found = broker.ask("GET", "/environments").get("_embedded", {}).get("environments", [])
    return {str(one["name"]): str(one["uuid"]) for one in found}
