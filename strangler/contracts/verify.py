"""Every consumer's pact against both homes: what came of each interaction, home by home.

An interaction that didn't run hasn't passed: outcomes are counted against what the pact has in it, since
Pact's own verifier takes an empty folder, a wrong name and a filter without a hit for success.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strangler.config import Config
from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.homes import Served, serving
from strangler.contracts.pacts import Pact, read_all

NOT_RUN = "It didn't run."
_WITHIN = 120.0  # seconds for all pacts of one home


@dataclass(frozen=True)
class Outcome:
    """What came of one pact at one home, in one version of it.

    `findings` maps each interaction's description to what was wrong with it: nothing, if it passed.
    """

    pact: Pact
    home: str
    version: str
    findings: Mapping[str, tuple[str, ...]]

    @property
    def ran(self) -> int:
        """How many interactions ran."""
        return sum(wrong != (NOT_RUN,) for wrong in self.findings.values())

    @property
    def failed(self) -> tuple[str, ...]:
        """The descriptions of the interactions that failed or didn't run."""
        return tuple(description for description, wrong in self.findings.items() if wrong)

    @property
    def passed(self) -> bool:
        """At least one interaction ran, and every one passed."""
        return bool(self.findings) and not self.failed


@dataclass(frozen=True)
class Verification:
    """All outcomes of one run, the version of each home that was served for it, and every committed pact."""

    outcomes: tuple[Outcome, ...]
    versions: Mapping[str, str]
    pacts: tuple[Pact, ...]

    @property
    def interactions(self) -> int:
        """How many ran, over all homes."""
        return sum(outcome.ran for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        return self.interactions > 0 and all(outcome.passed for outcome in self.outcomes)


def pacts_of(config: Config, name: str | None = None) -> tuple[Pact, ...]:
    """The committed pacts, of one provider (or context) if it is named.

    CouldNotVerify where there is none, and for a provider or a consumer that strangler.toml doesn't know.
    """
    if config.contracts.pacts is None:
        raise CouldNotVerify("strangler.toml has no [contracts] that name where the pacts are.")
    found = read_all(config.root / config.contracts.pacts)
    for pact in found:
        check_known(config, pact)
    chosen = tuple(
        one for one in found if name is None or one.provider == name or one.provider.startswith(f"{name}.")
    )
    if not chosen:
        known = ", ".join(sorted({one.provider for one in found}))
        raise CouldNotVerify(
            f"No consumer has a pact with {name!r}, so nothing would run, and that is no success. "
            f"There are pacts with: {known}."
        )
    return chosen


def check_known(config: Config, pact: Pact) -> None:
    """CouldNotVerify for a pact whose provider or consumer strangler.toml doesn't know."""
    homes_of(config, pact.provider)
    if pact.consumer not in config.contracts.consumers:
        known = ", ".join(config.contracts.consumers) or "none"
        raise CouldNotVerify(
            f"{pact.name} is a pact of {pact.consumer!r}, and `consumers` in [contracts] of "
            f"strangler.toml doesn't say where that is deployed; it names: {known}. Nothing was verified."
        )


def homes_of(config: Config, provider: str) -> tuple[str, ...]:
    """The homes that answer for a provider: a capability's owner and home, or those that are declared."""
    if capability := config.capabilities.get(provider):
        return capability.owner, capability.home
    if homes := config.contracts.providers.get(provider):
        return homes
    known = ", ".join([*config.capabilities, *config.contracts.providers]) or "none"
    raise CouldNotVerify(
        f"A pact names the provider {provider!r}, which is no capability and stands not in "
        f"[contracts.providers]; known are: {known}. It would be asked of nobody. Nothing was verified."
    )


def verify(config: Config, name: str | None = None, only: str | None = None) -> Verification:
    """Serve the homes that are concerned (or `only` one), and run the pacts against each of them.

    `name` chooses the pacts of one provider or context. Raises CouldNotVerify.
    """
    pacts = pacts_of(config, name)
    homes = [home for home in config.homes if only in (None, home)]
    asked = {home: [one for one in pacts if home in homes_of(config, one.provider)] for home in homes}
    asked = {home: theirs for home, theirs in asked.items() if theirs}
    if not asked:
        raise CouldNotVerify(
            f"{only or 'No home'} answers for none of these pacts, so nothing would run. "
            f"Homes are: {', '.join(config.homes)}."
        )
    with serving(config, asked) as served, ThreadPoolExecutor(len(asked)) as pool:
        runs = pool.map(lambda home: run(served[home], asked[home]), asked)
        outcomes = tuple(outcome for run_of_home in runs for outcome in run_of_home)
        versions = {home: one.version for home, one in served.items()}
    return Verification(outcomes, versions, pacts_of(config))


def run(home: Served, pacts: Sequence[Pact]) -> list[Outcome]:
    """Run pacts against a home that is served."""
    with tempfile.TemporaryDirectory(prefix="pacts-") as directory:
        files = [Path(directory, f"{number}.json") for number in range(len(pacts))]
        for file, pact in zip(files, pacts, strict=True):
            file.write_text(pact.text)
        job = {
            "pacts": [{"provider": p.provider, "file": str(f)} for p, f in zip(pacts, files, strict=True)],
            "home": {"url": home.url, "states": home.states, "messages": home.messages},
        }
        command = [sys.executable, "-m", "strangler.contracts.verifier"]
        try:
            done = subprocess.run(
                command, input=json.dumps(job), capture_output=True, text=True, timeout=_WITHIN
            )
        except subprocess.TimeoutExpired:
            raise CouldNotVerify(
                f"Verifying {home.home} took over {_WITHIN:.0f} s, and was given up. Nothing was recorded."
            ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise CouldNotVerify(
            f"Pact's verifier can't run: {last}. Nothing was verified. It comes with the extra "
            "`strangler[contracts]`."
        )
    results = json.loads(done.stdout)
    return [
        Outcome(pact, home.home, home.version, findings(pact, result))
        for pact, result in zip(pacts, results, strict=True)
    ]


def findings(pact: Pact, result: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What was wrong with each of the pact's interactions, from Pact's own results."""
    ran = {one["description"]: one for one in result.get("interactionResults", ())}
    found: dict[str, tuple[str, ...]] = {}
    for interaction in pact.interactions:
        one = ran.get(interaction.description)
        if one is None:
            found[interaction.description] = (NOT_RUN,)
        elif one["result"] == "OK":
            found[interaction.description] = ()
        else:
            found[interaction.description] = _sentences(one.get("mismatch") or {})
    return found


def _sentences(mismatch: Mapping[str, Any]) -> tuple[str, ...]:
    """Pact's mismatches, one line each; never none, since something was wrong."""
    lines = []
    for one in mismatch.get("mismatches", ()):
        path = str(one.get("path") or one.get("key") or "")
        said = _plain(str(one.get("mismatch") or one))
        lines.append(f"{path}: {said}" if path and path not in said else said)
    return tuple(lines) or (_plain(str(mismatch.get("message") or mismatch or "It failed.")),)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
