"""What is known of contracts, as people and scripts read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from strangler.contracts.compare import Compared
from strangler.contracts.deciding import Verdict
from strangler.contracts.errors import CouldNotVerify
from strangler.contracts.ledger import Deployment
from strangler.contracts.pacts import parse
from strangler.contracts.verify import Outcome, Verification

PASSED, FAILED, NOBODYS = Text("✓", "green"), Text("✗", "bold red"), Text("·", "dim")


def verification_text(one: Verification) -> Group:
    """The table: consumer, interaction, and each home; below it what was wrong, and the sum."""
    homes = list(dict.fromkeys(outcome.home for outcome in one.outcomes))
    table = _table("consumer", "provider", "interaction")
    for home in homes:
        table.add_column(f"{home}\n{one.versions.get(home) or 'unknown version'}", justify="center")
    found = {
        (outcome.pact.name, name, outcome.home): wrong
        for outcome in one.outcomes
        for name, wrong in outcome.findings.items()
    }
    pacts = {outcome.pact.name: outcome.pact for outcome in one.outcomes}
    last = ""
    for name, pact in pacts.items():
        for interaction in pact.interactions:
            cells = (found.get((name, interaction.description, home)) for home in homes)
            first = (pact.consumer, pact.provider) if name != last else ("", "")
            table.add_row(*first, interaction.description, *map(_cell, cells))
            last = name
    return Group(table, *_wrong(one), Text(), summary(one))


def _cell(wrong: Sequence[str] | None) -> Text:
    if wrong is None:
        return NOBODYS
    return FAILED if wrong else PASSED


def _wrong(one: Verification) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for outcome in one.outcomes:
        for name in outcome.failed:
            whose = f"{outcome.pact.consumer} needs of {outcome.pact.provider}: {name}"
            lines += [Text(), Text(f"✗ {outcome.home} breaks what {whose}", "bold red")]
            lines += [Text(f"    {sentence}") for sentence in outcome.findings[name]]
    return lines


def summary(one: Verification) -> Text:
    """One sentence on how it went."""
    count = f"{one.interactions} interactions ran"
    if one.passed:
        return Text(f"{count} and hold.", "bold green")
    failed = sum(len(outcome.failed) for outcome in one.outcomes)
    return Text(f"{count}; {failed} don't hold.", "bold red")


def verification_json(one: Verification) -> dict[str, Any]:
    """The run as JSON's own types; `strangler contracts record` reads it."""
    return {
        "passed": one.passed,
        "interactions": one.interactions,
        "versions": dict(one.versions),
        "outcomes": [
            {
                "consumer": outcome.pact.consumer,
                "provider": outcome.pact.provider,
                "pact": outcome.pact.hash,
                "home": outcome.home,
                "version": outcome.version,
                "passed": outcome.passed,
                "findings": {name: list(wrong) for name, wrong in outcome.findings.items()},
            }
            for outcome in one.outcomes
        ],
        "pacts": [json.loads(pact.text) for pact in one.pacts],
    }


def verification_from_json(text: str) -> Verification:
    """A run that was printed as JSON. CouldNotVerify for what is none, or counts otherwise than it says."""
    try:
        values = json.loads(text)
        pacts = tuple(parse(json.dumps(pact), "a pact of the run") for pact in values["pacts"])
        by_hash = {(pact.consumer, pact.provider, pact.hash): pact for pact in pacts}
        outcomes = tuple(
            Outcome(
                by_hash[one["consumer"], one["provider"], one["pact"]],
                one["home"],
                one["version"],
                {name: tuple(wrong) for name, wrong in one["findings"].items()},
            )
            for one in values["outcomes"]
        )
        versions = {str(home): str(version) for home, version in values["versions"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CouldNotVerify(
            "That isn't what `strangler contracts verify --json` prints "
            f"({type(error).__name__}: {error}). Nothing was recorded."
        ) from None
    for one in outcomes:
        if set(one.findings) != {each.description for each in one.pact.interactions}:
            raise CouldNotVerify(
                f"The run has other interactions than {one.pact.name}. Nothing was recorded."
            )
    return Verification(outcomes, versions, pacts)


def verdicts_text(verdicts: Sequence[Verdict], versions: Mapping[str, str | None]) -> Group:
    """One paragraph for each provider: yes or no, and every reason."""
    told = ", ".join(f"{home} {version or '(unknown version)'}" for home, version in versions.items())
    lines = [Text(f"With {told}:")]
    for one in verdicts:
        lines.append(
            Text.assemble("  ", PASSED if one.deployable else FAILED, f" {one.provider}", style="bold")
        )
        lines += [Text(f"      {reason}") for reason in one.reasons]
    return Group(*lines)


def compared_text(found: Sequence[Compared]) -> Group:
    """The fields in which both homes' real answers differ, and whether any consumer names them."""
    differing = [one for one in found if one.found]
    count = f"{len(found)} interactions were asked of both homes"
    if not differing:
        return Group(Text(f"{count}; their whole answers are the same.", "bold green"))
    table = _table("interaction", "field", "kind", differing[0].control, differing[0].candidate, "named by")
    for one in differing:
        for difference in one.found:
            sample = difference.samples[0] if difference.samples else None
            named = one.pact.consumer if one.is_named(difference) else "no consumer"
            shown = ("-" if side is None else side for side in _sides(sample))
            table.add_row(one.interaction.description, difference.path, difference.kind, *shown, named)
    return Group(table, Text(), Text(f"{count}; {len(differing)} are answered differently.", "bold red"))


def compared_json(found: Sequence[Compared]) -> dict[str, Any]:
    """The same as JSON's own types."""
    return {
        "interactions": len(found),
        "differing": [
            {
                "consumer": one.pact.consumer,
                "provider": one.pact.provider,
                "interaction": one.interaction.description,
                "fields": [
                    {
                        "path": difference.path,
                        "kind": difference.kind,
                        **dict(zip((one.control, one.candidate), _sides(_first(difference)), strict=True)),
                        "named": one.is_named(difference),
                    }
                    for difference in one.found
                ],
            }
            for one in found
            if one.found
        ],
    }


def deployed_text(found: Sequence[Deployment]) -> RenderableType:
    """What is recorded as deployed."""
    if not found:
        return Text("No deployment is recorded.")
    table = _table("home", "version", "since", "recorded by")
    for one in found:
        table.add_row(one.home, one.version, f"{one.at:%Y-%m-%d %H:%M:%S} UTC", one.by)
    return table


def _first(difference: Any) -> Any:
    return difference.samples[0] if difference.samples else None


def _sides(sample: Any) -> tuple[str | None, str | None]:
    return (sample.control, sample.candidate) if sample else (None, None)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
