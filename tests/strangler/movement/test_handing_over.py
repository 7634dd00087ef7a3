"""What a context has heard and has to tell goes along with its rows, and nothing of anybody else's."""

from __future__ import annotations

from importlib import import_module

import psycopg
import pytest

from strangler.movement import announced, switch
from tests.strangler.movement.switching import NAME

INBOX = import_module("strangler.chassis.inbox.migrations.0001_pre_create_inbox").CREATE
OUTBOX = import_module("strangler.chassis.outbox.migrations.0001_pre_create_outbox").CREATE
HEARD = "SELECT subscription, event_id FROM strangler_inbox_received ORDER BY 1, 2"
PARKED = "SELECT event_id, reason FROM strangler_inbox_parked ORDER BY position"
READ = "SELECT subscription, publisher, low::text, reached FROM strangler_inbox_position ORDER BY 1"


@pytest.fixture
def shops(homes):
    """Both homes with an inbox and an outbox of their own, followed."""
    for home in ("shop", "service"):
        homes.sql(home, INBOX, OUTBOX)
    with homes.followed():
        yield homes


def hears(shops, home, subscription, *events):
    for event in events:
        shops.sql(
            home,
            "INSERT INTO strangler_inbox_received (subscription, event_id, key, type) "
            f"VALUES ('{subscription}', '{event}', 'k', 'x.y')",
        )


def parks(shops, home, event, reason):
    shops.sql(
        home,
        "INSERT INTO strangler_inbox_parked "
        "(subscription, event_id, key, type, state, reason, headers, body) "
        f"VALUES ('rugs.stock', '{event}', 'k', 'x.y', 'poison', '{reason}', '{{}}', '\\x00')",
    )


def test_what_a_context_has_heard_is_known_to_whoever_owns_its_rows_next(shops):
    hears(shops, "shop", "rugs.stock", "a", "b")
    hears(shops, "shop", "reporting.sales", "a")
    shops.sql("shop", "INSERT INTO strangler_inbox_position VALUES ('rugs.stock', 'shop', '{x.y}', '5:9:7')")
    shops.carry_out("shop")
    assert shops.sql("service", HEARD) == [("rugs.stock", "a"), ("rugs.stock", "b")]
    assert shops.sql("service", READ) == [("rugs.stock", "shop", "5:9:7", 0)]
    hears(shops, "service", "rugs.stock", "c")
    shops.sql("service", "UPDATE strangler_inbox_position SET low = '8:9:', reached = 4")
    shops.carry_out("service")
    assert ("rugs.stock", "c") in shops.sql("shop", HEARD)
    assert shops.sql("shop", READ) == [("rugs.stock", "shop", "8:9:", 4)]


def test_what_is_parked_is_parked_at_the_new_owner_in_its_order_and_nowhere_twice(shops):
    for event in ("b", "a", "c"):
        parks(shops, "shop", event, "broken")
    begun = shops.begin("shop")
    for step in switch.STEPS[:4]:
        step(begun)
    switch.undo(begun)  # the service has been told in vain
    shops.sql("shop", "DELETE FROM strangler_inbox_parked WHERE event_id = 'a'")
    shops.carry_out("shop")
    assert shops.sql("service", PARKED) == [("b", "broken"), ("c", "broken")]
    assert shops.sql("shop", PARKED) == []
    shops.carry_out("service")
    assert shops.sql("shop", PARKED) == [("b", "broken"), ("c", "broken")]


def test_a_killed_operator_that_goes_on_after_the_commit_takes_nothing_back(shops):
    begun = shops.begin("shop")
    for step in switch.STEPS[:6]:
        step(begun)
    parks(shops, "service", "late", "of the new owner")
    switch.hand_over(begun)
    assert shops.sql("service", PARKED) == [("late", "of the new owner")]


# ── Events that are still to be told ─────────────────────────────────────────────────────────────


def tells(shops, key, type="rugs.rug_woven", published="NULL"):
    ((seq,),) = shops.sql(
        "shop",
        "INSERT INTO strangler_outbox_event "
        "(id, partition, key, key_seq, type, version, data, headers, published_at) "
        f"VALUES (gen_random_uuid(), 0, '{key}', 1, '{type}', 1, '{{}}', '{{}}', {published}) RETURNING seq",
    )
    return seq


def untold(shops, *, brokered):
    with psycopg.connect(shops.shop.url) as outbox, psycopg.connect(shops.service.url) as other:
        return announced.Publisher("shop", NAME.partition(".")[0], brokered).untold(outbox, [outbox, other])


def test_with_a_broker_an_event_is_told_once_it_is_confirmed(shops):
    assert untold(shops, brokered=True) == 0
    tells(shops, "a")
    tells(shops, "b", published="now()")
    tells(shops, "c", "lamps.lamp_lit")
    assert untold(shops, brokered=True) == 1
    shops.sql("shop", "UPDATE strangler_outbox_event SET published_at = now()")
    assert untold(shops, brokered=True) == 0


@pytest.mark.parametrize("where", ["shop", "service"])
def test_without_a_broker_an_event_is_told_once_everybody_has_read_it(shops, where):
    seq = tells(shops, "a")
    tells(shops, "b", "lamps.lamp_lit")
    assert untold(shops, brokered=False) == 0  # nobody listens
    for name, types in (("reporting.sales", "{rugs.rug_woven}"), ("rugs.own", "{rugs.rug_woven}")):
        shops.sql(where, f"INSERT INTO strangler_inbox_position VALUES ('{name}', 'shop', '{types}', '1:1:')")
    assert untold(shops, brokered=False) == 1
    ((now,),) = shops.sql("shop", "SELECT pg_current_snapshot()::text")
    read = (
        "UPDATE strangler_inbox_position SET high = '{}', reached = {} WHERE subscription = 'reporting.sales'"
    )
    shops.sql(where, read.format(now, seq - 1))
    assert untold(shops, brokered=False) == 1
    shops.sql(where, read.format(now, seq))
    assert untold(shops, brokered=False) == 0  # its own subscription waits behind the fence, and moves along
    shops.sql(where, f"UPDATE strangler_inbox_position SET low = '{now}', high = NULL, reached = 0")
    assert untold(shops, brokered=False) == 0
    tells(shops, "c")
    assert untold(shops, brokered=False) == 1
