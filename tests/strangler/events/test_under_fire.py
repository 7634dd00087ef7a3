"""A small fire: writers, relay, consumer and servers die, and every effect is there once, in order per key.

The full size is `make fire`.
"""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.strangler.events.fire.aftermath import clear_up
from tests.strangler.events.fire.burning import SAMPLE, burn
from tests.strangler.events.fire.verdict import Verdict, verdict
from tests.strangler.events.fire.ways import WAYS
from tests.strangler.events.rabbit import NoRabbit, program
from tests.tree import skip

SEED = 7
WHOLE = Verdict(committed=4, handled=4, lost=0, doubled=0, reordered=0, unwanted=0)
TABLES = """
CREATE TABLE rugs_change (position bigint GENERATED ALWAYS AS IDENTITY, event_id text, rug text, n integer);
CREATE TABLE rugs_seen (position bigint GENERATED ALWAYS AS IDENTITY, event_id text, rug text, n integer);
INSERT INTO rugs_change (event_id, rug, n)
VALUES ('a', 'r1', 1), ('b', 'r1', 2), ('c', 'r2', 3), ('d', 'r1', 4);
INSERT INTO rugs_seen (event_id, rug, n)
VALUES ('c', 'r2', 3), ('a', 'r1', 1), ('b', 'r1', 2), ('d', 'r1', 4);
"""


@pytest.fixture(params=list(WAYS))
def ground(request):
    if request.param == "broker":
        try:
            program()
        except NoRabbit as reason:
            skip(str(reason))
    with WAYS[request.param]() as there:
        yield there


@pytest.mark.long
@pytest.mark.timeout(400)
def test_every_effect_is_there_once_and_in_order_whatever_dies(ground):
    publisher, subscriber, server = ground
    outcome = burn(publisher, subscriber, server, SAMPLE, SEED)
    assert outcome.at_work, "nobody was killed while there was work"
    assert outcome.verdict.good, outcome.verdict
    assert outcome.busy < 0.5, "relay and consumer wait for a server that is away"
    found = clear_up(publisher, subscriber)
    whole = replace(WHOLE, committed=SAMPLE.events, handled=SAMPLE.events)
    assert found == whole, "the poisoned key's are there too, once it has been edited"


@pytest.fixture(scope="module")
def small(database):
    """Changes and effects in one database, which fit."""
    url = database("verdict")
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(TABLES)
    return url


@pytest.mark.parametrize(
    ("amiss", "found"),
    [
        ("SELECT", WHOLE),
        ("DELETE FROM rugs_seen WHERE event_id = 'd'", replace(WHOLE, handled=3, lost=1)),
        (
            "INSERT INTO rugs_seen (event_id, rug, n) VALUES ('d', 'r1', 4)",
            replace(WHOLE, handled=5, doubled=2, reordered=1),
        ),
        (
            "UPDATE rugs_seen SET event_id = CASE event_id WHEN 'a' THEN 'b' ELSE 'a' END WHERE n < 3",
            replace(WHOLE, reordered=2),
        ),
        ("UPDATE rugs_seen SET event_id = 'rolled back' WHERE n = 4", replace(WHOLE, lost=1, unwanted=1)),
    ],
    ids=["nothing", "lost", "doubled", "reordered", "of a transaction that was rolled back"],
)
def test_verdict_finds_what_is_amiss(small, amiss, found):
    with psycopg.connect(small, autocommit=True) as session:
        before = session.execute("SELECT event_id, rug, n FROM rugs_seen ORDER BY position").fetchall()
        session.execute(amiss)
        try:
            assert verdict(small, small) == found
            assert found.good is (amiss == "SELECT")
        finally:
            session.execute("TRUNCATE rugs_seen")
            session.cursor().executemany(
                "INSERT INTO rugs_seen (event_id, rug, n) VALUES (%s, %s, %s)", before
            )


def test_verdict_on_nothing_is_not_good():
    assert not replace(WHOLE, committed=0, handled=0).good
