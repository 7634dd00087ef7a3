"""Each way in which a write was once lost at a switch, and the sentence of the protocol that closes it.

Beside each stands the same without that sentence, which loses the write: a mutant that must fail.
"""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from strangler.movement import fence, handover, ownership, switch
from strangler.movement.errors import CopyRefused, FollowHeld, SwitchHeld, SwitchLost, SwitchRefused
from strangler.movement.follow import following
from strangler.movement.state import unfit
from strangler.movement.verify import verify
from tests.strangler.movement.conftest import assert_equal, copy
from tests.strangler.movement.switching import NAME, TABLES, Homes

STEPS_UP_TO_COMMIT = switch.STEPS[: switch.STEPS.index(switch.commit) + 1]

FLAG = """
CREATE TABLE flag (up boolean NOT NULL);
INSERT INTO flag VALUES (false);
CREATE FUNCTION look_at_flag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT up FROM flag) THEN RAISE EXCEPTION 'moved' USING ERRCODE = 'STR01'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER flag BEFORE INSERT OR UPDATE OR DELETE ON rug
    FOR EACH STATEMENT EXECUTE FUNCTION look_at_flag();
"""
RAISE_FLAG = "UPDATE flag SET up = true"


def drained_rows(homes: Homes) -> list[tuple]:
    return homes.sql("service", "SELECT id FROM rug WHERE id >= 1000 ORDER BY 1")


# ── A writer in flight ───────────────────────────────────────────────────────────────────────────


def test_a_writer_in_flight_is_waited_for(homes):
    """Its row is committed before the end of the stream is read."""
    with homes.followed(), psycopg.connect(homes.shop.url) as writer:
        writer.execute("INSERT INTO rug (id, sku) VALUES (1000, 'IN-FLIGHT')")
        begun = homes.begin("shop")
        switch.offer(begun)
        threading.Timer(0.5, writer.commit).start()
        switch.raise_fence(begun)
        switch.drain(begun)
        assert drained_rows(homes) == [(1000,)]


def test_a_flag_instead_of_the_fence_loses_the_writer_in_flight(homes):
    homes.sql("shop", FLAG)
    with homes.followed(), psycopg.connect(homes.shop.url) as writer:
        writer.execute("INSERT INTO rug (id, sku) VALUES (1000, 'IN-FLIGHT')")
        homes.sql("shop", RAISE_FLAG)
        at_the_end = homes.rows("shop")["rug"]
        writer.commit()
        assert homes.rows("shop")["rug"] != at_the_end  # accepted after the end was read


# ── A transaction whose snapshot is older than the fence ─────────────────────────────────────────


def test_a_snapshot_older_than_the_fence_meets_it(homes):
    with homes.followed(), psycopg.connect(homes.shop.url) as writer:
        writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        writer.execute("SELECT 1")
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun)
        with pytest.raises(psycopg.Error) as refused:
            writer.execute("INSERT INTO rug (id, sku) VALUES (1000, 'OLD')")
        assert refused.value.sqlstate in fence.SQLSTATES
        switch.undo(begun)


def test_a_snapshot_older_than_a_flag_does_not_see_it(homes):
    homes.sql("shop", FLAG)
    with psycopg.connect(homes.shop.url) as writer:
        writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        writer.execute("SELECT 1")
        homes.sql("shop", RAISE_FLAG)
        writer.execute("INSERT INTO rug (id, sku) VALUES (1000, 'OLD')")
        writer.commit()
    assert homes.sql("shop", "SELECT id FROM rug WHERE id = 1000") == [(1000,)]


# ── An applier that was stopped over the switch ──────────────────────────────────────────────────


@pytest.mark.parametrize("held", [True, False], ids=["held", "without the epoch"])
def test_an_applier_stopped_over_the_switch_applies_nothing_afterwards(homes, monkeypatch, held):
    """Something is left in the old owner's stream (here: a write past the fence), and it goes on with it."""
    with following(homes.shop.url, homes.service.applier, TABLES, echo=homes.shop.applier_role) as stream:
        stream.catch_up()
        begun = homes.begin("shop")
        applying = threading.Thread(target=lambda: (time.sleep(0.2), stream.catch_up()))
        switch.offer(begun)
        switch.raise_fence(begun)
        applying.start()
        switch.drain(begun)
        applying.join()
        for step in switch.STEPS[3:]:
            step(begun)
        homes.sql("service", "UPDATE rug SET price = 2 WHERE id = 1")  # the new owner writes
        homes.sql(
            "shop",
            "BEGIN; ALTER TABLE rug DISABLE TRIGGER USER; "
            'ALTER TABLE rug ENABLE ALWAYS TRIGGER "00_strangler_row"; '
            "UPDATE rug SET price = 9 WHERE id = 1; ALTER TABLE rug ENABLE TRIGGER USER; COMMIT",
        )
        if held:
            with pytest.raises(SwitchLost, match="owns the rows"):
                stream.step()
        else:
            monkeypatch.setattr(ownership, "hold", lambda *_: None)
            stream.step()
    price = homes.sql("service", "SELECT price FROM rug WHERE id = 1")
    assert price == ([(2,)] if held else [(9,)])


# ── An operator from before the move was given up ────────────────────────────────────────────────


def test_an_epoch_is_never_given_twice_even_after_the_move_was_given_up(homes):
    """He sleeps with his epoch in hand; cancelled and begun anew, the move must not take it for its own."""
    with homes.followed():
        asleep = homes.begin("shop")
        switch.offer(asleep)
        switch.undo(asleep)
    switch.forget(NAME, homes.shop, homes.service)
    switch.replicate(NAME, TABLES, homes.shop, homes.service)
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun)
        with pytest.raises(SwitchLost):
            switch.commit(asleep)  # nothing was drained yet
        switch.undo(begun)
    assert homes.owners == ["shop"]


def test_a_home_that_was_made_anew_takes_over_the_others_count(homes):
    """The epochs of a move that was given up are known at one home only: the other begins with them."""
    with homes.followed():
        homes.carry_out("shop")
        homes.carry_out("service")
    switch.forget(NAME, homes.shop, homes.service)
    homes.sql("service", "DROP SCHEMA strangler_ownership CASCADE")
    switch.replicate(NAME, TABLES, homes.shop, homes.service)
    with homes.followed():
        homes.carry_out("shop")
    assert homes.owners == ["service"]


# ── What reaches in from outside ─────────────────────────────────────────────────────────────────


def test_truncate_cascade_from_outside_is_refused(homes):
    homes.sql(
        "shop", "CREATE TABLE loom (id int PRIMARY KEY)", "ALTER TABLE rug ADD loom int REFERENCES loom"
    )
    homes.sql("service", "ALTER TABLE rug ADD loom int")
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun)
        with pytest.raises(psycopg.Error, match="rug was refused") as refused:
            homes.sql("shop", "TRUNCATE loom CASCADE")
        assert refused.value.sqlstate in fence.SQLSTATES
        switch.undo(begun)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_a_cascade_from_outside_is_refused(homes, action):
    homes.sql(
        "shop", "CREATE TABLE loom (id int PRIMARY KEY)", "INSERT INTO loom VALUES (1)",
        f"ALTER TABLE rug ADD loom int REFERENCES loom ON DELETE {action}", "UPDATE rug SET loom = 1",
    )  # fmt: skip
    homes.sql("service", "ALTER TABLE rug ADD loom int")
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun)
        with pytest.raises(psycopg.Error) as refused:
            homes.sql("shop", "DELETE FROM loom")
        assert refused.value.sqlstate in fence.SQLSTATES
        switch.undo(begun)
    assert len(homes.sql("shop", "SELECT id FROM rug WHERE loom = 1")) == 20


def test_the_replica_role_does_not_pass(homes):
    """It silences ordinary triggers; the fence and the capture stand all the same."""
    with homes.followed():
        homes.carry_out("shop")
        with pytest.raises(psycopg.Error, match="belong to service"):
            homes.sql("shop", "SET session_replication_role = replica", "DELETE FROM rug")


# ── Ids and numbers ──────────────────────────────────────────────────────────────────────────────


def test_ids_taken_and_rolled_back_before_the_switch_are_not_given_out_again(homes):
    with homes.followed():
        with psycopg.connect(homes.shop.url) as writer:
            (taken,) = writer.execute("INSERT INTO knot (rug_id) VALUES (1) RETURNING id").fetchone()
            writer.rollback()
        homes.carry_out("shop")
        ((given,),) = homes.sql("service", "INSERT INTO knot (rug_id) VALUES (1) RETURNING id")
    assert given > taken


def test_an_undone_switch_never_shrinks_ids(homes):
    with homes.followed():
        begun = homes.begin("shop")
        for step in STEPS_UP_TO_COMMIT[:-1]:
            step(begun)
        ahead = homes.sql("service", "SELECT last_value FROM knot_id_seq")
        switch.undo(begun)
        homes.carry_out("shop")
        assert homes.sql("service", "SELECT last_value FROM knot_id_seq") >= ahead


def test_the_events_of_a_key_are_counted_on_across_homes(homes):
    table = "CREATE TABLE strangler_outbox_key (key text PRIMARY KEY, last bigint NOT NULL)"
    homes.sql("shop", table, "INSERT INTO strangler_outbox_key VALUES ('rug-1', 7), ('rug-2', 1)")
    homes.sql("service", table, "INSERT INTO strangler_outbox_key VALUES ('rug-2', 5)")
    with (
        psycopg.connect(homes.shop.url, autocommit=True) as shop,
        psycopg.connect(homes.service.url, autocommit=True) as service,
    ):
        assert handover.outbox_counters(shop, service) == 2
    counted = homes.sql("service", "SELECT key, last FROM strangler_outbox_key ORDER BY 1")
    assert counted == [("rug-1", 7), ("rug-2", 5)]


def test_ownership_waits_until_the_old_owner_has_told_everything(homes):
    untold = iter([2, 1, 0])
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun)
        switch.drain(begun, outbox=lambda: next(untold))
        assert next(untold, "asked to the end") == "asked to the end"
        switch.undo(begun)


def test_an_outbox_that_is_never_told_holds_the_switch(homes):
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, seconds=0.3)
        with pytest.raises(SwitchHeld, match="3 events are still to be told"):
            switch.drain(begun, outbox=lambda: 3)
        switch.undo(begun)
        assert homes.owners == ["shop"]


# ── No way back, no way forward ──────────────────────────────────────────────────────────────────


def test_without_capture_at_the_new_owner_there_is_no_commit(homes):
    with homes.followed():
        begun = homes.begin("shop")
        for step in STEPS_UP_TO_COMMIT[:-1]:
            step(begun)
        homes.sql("service", 'ALTER TABLE rug DISABLE TRIGGER "00_strangler_row"')
        with pytest.raises(SwitchRefused, match="no way back"):
            switch.commit(begun)
        assert homes.owners == []  # the service's fence is still up, and so is the shop's
        switch.undo(begun)
        assert homes.owners == ["shop"]


# ── In the way ───────────────────────────────────────────────────────────────────────────────────


def test_a_table_that_stays_locked_holds_the_fence_and_names_who(homes):
    with homes.followed(), psycopg.connect(homes.shop.url, application_name="a long report") as writer:
        writer.execute("UPDATE rug SET price = 1")
        begun = homes.begin("shop")
        switch.offer(begun)
        with pytest.raises(SwitchHeld, match=r"a long report.* has held rug"):
            switch.raise_fence(begun)
        switch.undo(begun)
        writer.rollback()
    assert homes.owners == ["shop"]


def test_a_reader_in_the_way_of_taking_a_fence_off_is_named(homes):
    with (
        psycopg.connect(homes.shop.url, application_name="a long report") as reader,
        psycopg.connect(homes.shop.url, autocommit=True) as shop,
    ):
        reader.execute("SELECT FROM rug")
        with pytest.raises(SwitchHeld, match=r"a long report.* has held rug"):
            fence.at_once(shop, ["rug"], lambda: shop.execute("LOCK TABLE rug IN ACCESS EXCLUSIVE MODE"))


def test_old_and_prepared_transactions_are_named_beforehand(homes):
    with (
        psycopg.connect(homes.shop.url, autocommit=True) as owner,
        psycopg.connect(homes.shop.url, application_name="a long report") as writer,
    ):
        writer.execute("UPDATE rug SET price = 1")
        assert fence.holders(owner, TABLES, older_than=60) == ()
        (holder,) = fence.holders(owner, TABLES, older_than=0)
        assert "a long report" in holder.who
        assert holder.table == "rug"


def test_a_trigger_that_has_our_name_is_refused(pair, homes):
    homes.sql(
        "shop", "CREATE TABLE loom (id int PRIMARY KEY)",
        "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        'CREATE TRIGGER "00_strangler_fence" BEFORE INSERT ON loom EXECUTE FUNCTION mine()',
    )  # fmt: skip
    with pytest.raises(SwitchRefused, match="isn't ours"):
        switch.replicate("looms.write", ("loom",), homes.shop, homes.service)
    assert switch.beliefs(NAME, homes.shop, homes.service)[0].fence is False


# ── Numbers that each home gives itself ──────────────────────────────────────────────────────────

TYPES = (
    "CREATE TABLE django_content_type (id int PRIMARY KEY, app_label text, model text)",
    "CREATE TABLE note (id bigint PRIMARY KEY, content_type_id int, object_id bigint)",
)
SAME, OTHER = (
    "VALUES (1, 'rugs', 'rug'), (2, 'rugs', 'knot')",
    "VALUES (1, 'rugs', 'knot'), (3, 'rugs', 'rug')",
)


def test_content_types_with_other_numbers_are_refused(pair):
    pair.on_both(*TYPES)
    pair.on_owner(
        f"INSERT INTO django_content_type {SAME}", "INSERT INTO note VALUES (1, 1, 7), (2, NULL, 7)"
    )
    pair.on_follower(f"INSERT INTO django_content_type {OTHER}")
    said = r"content_type_id 1 is rugs\.rug at the owner and rugs\.knot at the follower\. Nothing was copied"
    with pytest.raises(FollowHeld, match=said):
        copy(pair, "note")
    (refused,) = unfit(pair.owner, pair.follower, ["note"])
    assert "give the follower's django_content_type the owner's numbers first" in refused
    assert pair.on_follower("SELECT count(*) FROM note") == [(0,)]

    pair.on_follower("DELETE FROM django_content_type", f"INSERT INTO django_content_type {SAME}")
    copy(pair, "note")
    assert_equal(pair, "note")
    pair.on_owner(
        "INSERT INTO django_content_type VALUES (4, 'rugs', 'loom')", "INSERT INTO note VALUES (3, 4, 1)"
    )
    with pytest.raises(CopyRefused, match=r"4 is rugs\.loom at the owner and no model at the follower"):
        verify(pair.owner, pair.follower, ["note"])


def test_a_column_is_known_by_its_foreign_key_too(pair):
    types, note = TYPES
    pair.on_both(types, note.replace("content_type_id int", "about_id int REFERENCES django_content_type"))
    pair.on_owner(f"INSERT INTO django_content_type {SAME}", "INSERT INTO note VALUES (1, 2, 7)")
    pair.on_follower(f"INSERT INTO django_content_type {OTHER}")
    assert "about_id 2 is rugs.knot at the owner" in unfit(pair.owner, pair.follower, ["note"])[0]
