"""What runs and what is known of it: the homes' own words, the ledger, and the verdicts that come of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strangler.config import Config
from strangler.contracts import ledger
from strangler.contracts.deciding import Verdict, decide
from strangler.contracts.homes import ask_ready
from strangler.contracts.ledger import Ledger, Published, Result
from strangler.contracts.verify import Verification, homes_of, verify
from strangler.errors import StranglerError
from strangler.run.system import System

DATABASE = "control"


def open_ledger(system: System) -> Ledger:
    """The ledger of a running system. LedgerAway if it can't be used."""
    return ledger.connect(system.databases[DATABASE])


def running_versions(config: Config, system: System) -> dict[str, str | None]:
    """The version of each home as it runs now, by its own word; None where it doesn't say."""
    versions: dict[str, str | None] = {}
    for home in config.homes:
        path = config.contracts.homes[home].health if home in config.contracts.homes else "/health/ready"
        said = ask_ready(system.homes.get(home, ""), path) if system.homes.get(home) else None
        versions[home] = str((said or {}).get("version") or "") or None
    return versions


def judge(
    config: Config, book: Ledger, versions: Mapping[str, str | None], providers: Sequence[str]
) -> list[Verdict]:
    """The verdict on each provider, with the homes in these versions."""
    published, results = book.published(), book.results()
    return [
        decide(one, homes_of(config, one), versions, config.contracts.consumers, published, results)
        for one in providers
    ]


def verdict_on(config: Config, system: System, capability: str) -> Verdict:
    """Whether what runs now may be routed to for a capability. What can't be found out is a no."""
    try:
        with open_ledger(system) as book:
            return judge(config, book, running_versions(config, system), [capability])[0]
    except StranglerError as error:
        return Verdict(capability, False, (str(error),))


def verify_and_record(config: Config, system: System, by: str) -> tuple[Verification, list[str]]:
    """Run every pact, and record in the running system's ledger what came of it and what is deployed.

    Returns the run, and sentences on what couldn't be recorded or runs in another version.
    """
    done = verify(config)
    return done, settle(config, system, done, by)


def settle(config: Config, system: System, done: Verification, by: str) -> list[str]:
    """Record a run and what is deployed beside it; says what wasn't recorded, and what isn't what runs."""
    versions = running_versions(config, system)
    with open_ledger(system) as book:
        lines = record(config, book, done, by)
        book.deploy({home: one for home, one in versions.items() if one}, by)
    return lines + [
        f"{home} runs in version {versions[home]}, and {version} was verified: restart it to run that."
        for home, version in done.versions.items()
        if versions.get(home) and version and versions[home] != version
    ]


def record(config: Config, book: Ledger, verification: Verification, by: str) -> list[str]:
    """Add a run to the ledger: the consumers' pacts and every outcome. Says what couldn't be recorded.

    A consumer's version is that of the home that it is deployed with, as that home was served.
    """
    left_out = []
    pacts = []
    for pact in verification.pacts:
        home = config.contracts.consumers[pact.consumer]
        if version := verification.versions.get(home):
            pacts.append((Published(pact.consumer, version, pact.provider, pact.hash), pact.text))
        else:
            left_out.append(
                f"The pact of {pact.consumer} isn't recorded: {home}, with which it is deployed, wasn't "
                "served, or doesn't say its version."
            )
    results = []
    for one in verification.outcomes:
        if not one.version:
            left_out.append(f"Results of {one.home} aren't recorded: it doesn't say which version it is.")
            continue
        failed = {name: wrong for name, wrong in one.findings.items() if wrong}
        results.append(
            Result(
                one.pact.consumer, one.pact.provider, one.pact.hash, one.home, one.version, one.ran, failed
            )
        )
    book.publish(pacts)
    book.add_results(results, by)
    return list(dict.fromkeys(left_out))
