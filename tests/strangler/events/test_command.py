"""`strangler events`: what it prints, and what comes of what it marks."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from strangler.errors import StranglerError, UsageError
from strangler.events.commands import events, print_table
from strangler.events.databases import Databases
from tests.strangler.events.delivering import deliver, parked, seen

GOLDEN = Path(__file__).parent / "golden"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}")
LONG_AGO = """UPDATE strangler_outbox_event
    SET headers = jsonb_set(headers, '{ce-time}', '"2020-01-01T00:00:00Z"')"""
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


@dataclass
class Terminal:
    """Types `strangler events ...`; `--json` answers are parsed."""

    databases: Databases

    def __call__(self, *line: str) -> Any:
        result = CliRunner().invoke(events, line, obj=self.databases)
        if isinstance(result.exception, StranglerError):
            raise result.exception
        assert result.exception is None, result.exception
        return json.loads(result.output) if "--json" in line else result.output


@pytest.fixture
def strangler(urls: tuple[str, str]) -> Terminal:
    return Terminal(Databases({"monolith": urls[0], "catalog": urls[1], "twin": urls[1]}))


def golden(name: str, text: str) -> None:
    """Compare with golden/NAME.txt; UPDATE_GOLDEN=1 writes it, to be read before it is committed."""
    known: list[str] = []

    def named(match: re.Match[str]) -> str:
        if match[0] not in known:
            known.append(match[0])
        return f"event-{known.index(match[0]) + 1}"

    text = re.sub(r"from \d.* UTC", "from 2026-01-31 12:00:00 UTC", UUID.sub(named, text))
    text = re.sub(r" {2,}", "  ", re.sub(r"(?m)^ +", "  ", re.sub(r"\d+\.\d ms", "1.0 ms", text)))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.fixture
def poisoned(embedded):
    """A key with a poison event and two behind it, another that goes on, and one event yet unread."""
    publisher, _ = embedded
    publisher("announce", "rug-1", [1], mood="poison", traceparent=TRACE)
    publisher("announce", "rug-1", [2, 3])
    publisher("announce", "rug-2", [1])
    deliver(*embedded)
    publisher("announce", "rug-2", [2])
    return embedded


def poison_of(strangler: Terminal) -> str:
    return strangler("parked", "--json")[0]["event"]


def test_lag_shows_outboxes_and_subscriptions(strangler, poisoned):
    golden("lag", strangler("lag"))
    said = strangler("lag", "--json")
    assert said["outboxes"] == [
        {"home": "monolith", "recorded": 5, "waiting": None, "oldest": None, "held_keys": 0},
        {"home": "catalog", "recorded": 0, "waiting": 0, "oldest": None, "held_keys": 0},
    ]
    (one,) = said["subscriptions"]
    assert (one["handled"], one["unread"], one["parked"], one["parked_keys"]) == (1, 1, 3, 1)


def test_lag_counts_what_the_relay_has_yet_to_publish(strangler, embedded):
    publisher, _ = embedded
    publisher("announce", "rug-1", [1, 2])
    (one, _) = strangler("lag", "--json")["outboxes"]
    assert (one["waiting"], one["oldest"] > 0) == (2, True)


def test_parked_shows_the_reason_and_what_waits(strangler, poisoned):
    golden("parked", strangler("parked"))
    assert strangler("parked", "--subscription", "rugs.others") == "Nothing is parked.\n"


def test_retry_hands_the_key_on_in_order(strangler, poisoned):
    poisoned[1].rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    golden("retry", strangler("retry", poison_of(strangler)))
    deliver(*poisoned)
    assert (seen(poisoned[1], "rug-1"), parked(poisoned[1])) == ([1, 2, 3], [])


def test_edited_event_is_handled_with_its_new_data(strangler, poisoned, tmp_path):
    edited = tmp_path / "edited.json"
    edited.write_text('{"rug": "rug-1", "n": 7, "currency": "EUR"}')
    golden("retry_edited", strangler("retry", poison_of(strangler), "--data", f"@{edited}"))
    deliver(*poisoned)
    assert seen(poisoned[1], "rug-1") == [7, 2, 3]


def test_skip_gives_one_event_up(strangler, poisoned):
    golden("skip", strangler("skip", poison_of(strangler)))
    deliver(*poisoned)
    assert seen(poisoned[1], "rug-1") == [2, 3]


def test_all_parked_events_of_a_subscription_are_retried(strangler, poisoned):
    publisher, subscriber = poisoned
    publisher("announce", "rug-3", [1], mood="poison")
    deliver(*poisoned)
    subscriber.rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    assert len(strangler("retry", "--subscription", "rugs.prices", "--json")) == 2
    deliver(*poisoned)
    assert (seen(subscriber, "rug-3"), parked(subscriber)) == ([1], [])


def test_replay_makes_the_effects_happen_once_more_in_order(strangler, embedded):
    publisher, subscriber = embedded
    publisher("announce", "rug-1", [1, 2, 3])
    publisher("announce", "rug-2", [1])
    deliver(*embedded)
    golden("replay_dry_run", strangler("replay", "rugs.prices", "--key", "rug-1", "--dry-run"))
    deliver(*embedded)
    assert seen(subscriber, "rug-1") == [1, 2, 3]
    golden("replay", strangler("replay", "rugs.prices", "--key", "rug-1"))
    publisher("announce", "rug-1", [4])
    deliver(*embedded)
    deliver(*embedded)
    assert (seen(subscriber, "rug-1"), seen(subscriber, "rug-2")) == ([1, 2, 3, 1, 2, 3, 4], [1])


def test_replay_is_refused_whole_when_an_event_is_gone(strangler, embedded):
    publisher, subscriber = embedded
    ids = publisher("announce", "rug-1", [1, 2])
    deliver(*embedded)
    publisher.rows("DELETE FROM strangler_outbox_event WHERE id::text = %s", ids[1])
    with pytest.raises(StranglerError, match="1 of 2 events are in no home's outbox any more"):
        strangler("replay", "rugs.prices", "--all")
    assert subscriber.rows("SELECT count(*) FROM strangler_inbox_received") == [(2,)]


@pytest.fixture
def late(embedded):
    """One event that was handled at once, and one of long ago, whose key is parked."""
    publisher, subscriber = embedded
    publisher("announce", "rug-1", [1])
    publisher("announce", "rug-2", [1], mood="poison")
    publisher.rows(LONG_AGO + " WHERE key = 'rug-2'")
    deliver(*embedded)
    subscriber.rows("INSERT INTO rugs_repaired DEFAULT VALUES")
    return embedded


def slowest(strangler: Terminal) -> tuple[int, float]:
    """How many a subscription has handled, and its p99 in ms."""
    (one,) = strangler("lag", "--json")["subscriptions"]
    return one["handled"], one["p99"]


def test_a_replay_says_nothing_of_how_soon_events_are_handled(strangler, embedded):
    publisher, subscriber = embedded
    publisher("announce", "rug-1", [1, 2])
    deliver(*embedded)
    publisher.rows(LONG_AGO)
    publisher("announce", "rug-2", [1])
    deliver(*embedded)
    timed, (handled, _) = subscriber("timed"), slowest(strangler)
    strangler("replay", "rugs.prices", "--key", "rug-1")
    deliver(*embedded)
    assert seen(subscriber, "rug-1") == [1, 2, 1, 2]
    after, p99 = slowest(strangler)
    assert after == handled
    assert p99 < 600_000, "it is of those that came by themselves"
    assert subscriber("timed") == timed > 0


def test_neither_does_an_event_that_was_parked(strangler, late):
    before = slowest(strangler)
    timed = late[1]("timed")
    strangler("retry", poison_of(strangler))
    deliver(*late)
    assert seen(late[1], "rug-2") == [1]
    assert slowest(strangler) == (before[0] + 1, before[1])
    assert late[1]("timed") == timed > 0


def test_trace_shows_the_way_of_an_event(strangler, poisoned):
    golden("trace_parked", strangler("trace", poison_of(strangler)))
    golden("trace_parked", strangler("trace", "a" * 32))
    handled = poisoned[1].rows("SELECT event_id FROM strangler_inbox_received")[0][0]
    golden("trace_handled", strangler("trace", handled))


def test_ids_stand_at_the_left_whatever_they_begin_with(capsys):
    print_table(("event", "tries"), [("1f3a-22", 3), ("7", 12)])
    assert capsys.readouterr().out.splitlines() == ["event    tries", "1f3a-22      3", "7           12"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (["retry"], "Name an EVENT"),
        (["retry", "nobody"], "'nobody' isn't parked. Nothing was changed"),
        (["retry", "nobody", "--subscription", "rugs.prices"], "'nobody' isn't parked in 'rugs.prices'"),
        (["retry", "--subscription", "rugs.others"], "No subscription 'rugs.others' has heard anything"),
        (["retry", "--subscription", "rugs.others"], "Nothing was changed; there are: rugs.prices."),
        (["retry", "nobody", "--data", "{"], "--data isn't JSON"),
        (["retry", "nobody", "--data", "[]"], "has to be a JSON object"),
        (["retry", "nobody", "--data", "@/nowhere"], "/nowhere can't be read"),
        (["skip", "nobody"], "'nobody' isn't parked"),
        (["skip", "nobody", "--subscription", "rugs.others"], "No subscription 'rugs.others'"),
        (["replay", "rugs.prices"], "Name what is replayed"),
        (["replay", "rugs.others", "--all"], "No subscription 'rugs.others' has heard anything"),
        (["replay", "rugs.others", "--all"], "there are: rugs.prices."),
        (["replay", "rugs.prices", "--key", "rug-9"], "'rugs.prices' has handled no such event at any home"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(strangler, poisoned, line, reason):
    with pytest.raises(UsageError, match=re.escape(reason)):
        strangler(*line)


def test_subscription_without_anything_parked_is_known_all_the_same(strangler, embedded):
    embedded[0]("announce", "rug-1", [1])
    deliver(*embedded)
    with pytest.raises(UsageError, match=r"Nothing is parked in 'rugs\.prices'\. Nothing was changed"):
        strangler("retry", "--subscription", "rugs.prices")


def test_unknown_id_has_failed_and_says_where_ids_are_found(strangler, poisoned):
    with pytest.raises(StranglerError, match="No home knows an event or a trace 'nothing'") as refused:
        strangler("trace", "nothing")
    assert refused.value.exit_code == 1
    assert "`strangler trace` lists the latest" in str(refused.value)


def test_event_behind_another_names_the_one_to_retry(strangler, poisoned):
    first, second, _ = [one for (one,) in poisoned[1].rows(
        "SELECT event_id FROM strangler_inbox_parked ORDER BY position"
    )]  # fmt: skip
    with pytest.raises(UsageError, match=f"{second} waits behind {first}"):
        strangler("skip", second)
    strangler("retry", first)
    with pytest.raises(UsageError, match="marked already"):
        strangler("retry", first)


def test_database_that_is_away_is_named():
    away = Terminal(Databases({"monolith": "postgresql://nobody@127.0.0.1:1/nowhere"}))
    with pytest.raises(StranglerError, match="The database of monolith can't be used"):
        away("lag")
