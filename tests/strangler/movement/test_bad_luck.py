"""What goes wrong around a switch leaves nothing half done, and says the reason and the way on."""

from __future__ import annotations

import psycopg
import pytest

from strangler.movement import archive, recorder, switch
from strangler.movement.errors import FollowFailed, MovementError, SwitchHeld, SwitchLost, SwitchRefused
from strangler.movement.ownership import State, Verdict
from tests.strangler.movement.switching import NAME, TABLES, Writers

STEPS_UP_TO_COMMIT = switch.STEPS[: switch.STEPS.index(switch.commit) + 1]
FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device';
END $$"""
MINE = "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


def undo_as_the_operator_does(homes, origin: str = "shop", seconds: float = 1.0) -> MovementError:
    """Carry a switch out until something fails, undo it, and return what failed."""
    begun = homes.begin(origin)
    for step in switch.STEPS:
        try:
            switch.raise_fence(begun, seconds) if step is switch.raise_fence else step(begun)
        except MovementError as error:
            assert switch.undo(begun)
            return error
    raise AssertionError("the switch went through")


def assert_as_before(homes) -> None:
    assert homes.owners == ["shop"]
    here, there = homes.beliefs()
    assert (here.state, here.fence, there.state, there.fence) == (State.OWNER, False, State.FOLLOWER, True)


# ── A follower that falls behind for ever ────────────────────────────────────────────────────────


def test_a_follower_that_never_comes_to_the_end_holds_the_switch_and_writes_go_on(homes):
    with homes.followed():
        pass  # copied whole, and then nobody follows any more
    writers = Writers(homes)
    with writers.busy(2):
        error = undo_as_the_operator_does(homes)
        accepted = len(writers.accepted)
        assert_as_before(homes)
        while len(writers.accepted) == accepted:
            pass
    assert isinstance(error, SwitchHeld)
    assert "didn't come to the end of its stream in time: the follower is behind. Nothing has moved" in str(
        error
    )
    with homes.followed():
        homes.carry_out("shop")  # the way on
        homes.assert_equal()
    writers.assert_none_lost()


# ── A full disk ──────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_at_the_follower_holds_the_switch(homes):
    with homes.followed():
        homes.sql("service", FULL, "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON rug "
                  "FOR EACH ROW EXECUTE FUNCTION full_disk()",
                  "ALTER TABLE rug ENABLE ALWAYS TRIGGER full_disk")  # fmt: skip
        homes.sql("shop", "UPDATE rug SET price = 77 WHERE id = 1")
        assert isinstance(undo_as_the_operator_does(homes), SwitchHeld)
        assert_as_before(homes)
        homes.sql("service", "DROP TRIGGER full_disk ON rug")  # there is space again
        homes.carry_out("shop")
        assert homes.sql("service", "SELECT price FROM rug WHERE id = 1") == [(77,)]


@pytest.mark.parametrize("table", ["strangler_ownership.unit", "strangler_capture.follower"])
def test_a_full_disk_at_the_home_that_takes_over_undoes_the_switch(homes, table):
    """Whichever step meets it first: it says so, and the rows stay where they are."""
    when = "WHEN (NEW.state = 'owner')" if table.endswith("unit") else ""
    trigger = f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW {when}"
    with homes.followed():
        homes.carry_out("shop")
        homes.carry_out("service")
        homes.sql("service", FULL, f"{trigger} EXECUTE FUNCTION full_disk()")
        error = undo_as_the_operator_does(homes, seconds=10)
        assert isinstance(error, FollowFailed)
        assert "The database of service stopped the switch: could not extend file: No space left" in str(
            error
        )
        assert_as_before(homes)
        homes.sql("service", f"DROP TRIGGER full_disk ON {table}")
        homes.carry_out("shop")
        assert homes.owners == ["service"]


def test_a_full_disk_under_the_archive_drops_nothing(homes, tmp_path):
    with homes.followed():
        homes.carry_out("shop")
        homes.assert_equal()
    (tmp_path / "rug.copy.partial").symlink_to("/dev/full")
    with pytest.raises(
        FollowFailed, match=r"The archive can't be written: .*No space left.* Nothing was dropped"
    ):
        archive.archive(homes.shop.url, TABLES, tmp_path)
    assert homes.sql("shop", "SELECT count(*) FROM rug") == [(20,)]
    assert not (tmp_path / archive.MANIFEST).exists()
    (tmp_path / "rug.copy.partial").unlink()
    assert [one.rows for one in archive.archive(homes.shop.url, TABLES, tmp_path)] == [20, 20]


# ── A lock that isn't granted ────────────────────────────────────────────────────────────────────


def test_a_lock_at_the_home_that_takes_over_holds_the_commit(homes):
    """Somebody who looks at the follower's rows with a lock: nothing has moved, and writes go on."""
    with homes.followed():
        begun = homes.begin("shop")
        for step in STEPS_UP_TO_COMMIT[:-1]:
            step(begun)
        with psycopg.connect(homes.service.url, application_name="a dump") as holder:
            holder.execute("LOCK TABLE rug IN ROW EXCLUSIVE MODE")
            with pytest.raises(SwitchHeld, match=r"on rug, knot isn't granted: .*a dump.* has held rug"):
                switch.commit(begun)
        assert switch.undo(begun)
        assert_as_before(homes)
        homes.carry_out("shop")


def test_a_fence_that_comes_half_way_is_lowered_again(homes):
    with homes.followed(), psycopg.connect(homes.shop.url, application_name="a long report") as holder:
        holder.execute("LOCK TABLE knot IN ROW EXCLUSIVE MODE")
        begun = homes.begin("shop")
        switch.offer(begun)
        with pytest.raises(SwitchHeld, match="a long report"):
            switch.raise_fence(begun)
        assert homes.owners == []  # rug is fenced, knot isn't
        assert homes.beliefs()[0].fence is None
        assert switch.undo(begun)
        assert_as_before(homes)


# ── A clock that jumps ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump", ["1 day", "-1 day"])
def test_a_clock_that_jumps_costs_time_and_nothing_else(homes, jump):
    """Forward, the switch looks late and is undone; back, it is in time, and goes through."""
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, seconds=30)
        # The clock's jump forward is the deadline's jump back.
        homes.sql("shop", f"UPDATE strangler_ownership.unit SET deadline = deadline - interval '{jump}'")
        found = switch.recover(NAME, homes.shop, homes.service, only_late=True)
        assert found is (Verdict.UNDONE if jump == "1 day" else Verdict.UNDER_WAY)
        if jump == "1 day":
            assert_as_before(homes)
            with pytest.raises(SwitchLost):
                switch.commit(begun)
            homes.carry_out("shop")
        else:
            for step in switch.STEPS[2:]:
                step(begun)
        assert homes.owners == ["service"]


def test_a_clock_that_went_back_leaves_the_fence_to_the_next_verb(homes):
    """The watch waits for the deadline; an operator needn't."""
    with homes.followed():
        begun = homes.begin("shop")
        switch.offer(begun)
        switch.raise_fence(begun, seconds=30)
        homes.sql("shop", "UPDATE strangler_ownership.unit SET deadline = deadline + interval '1 day'")
        switch.recover(NAME, homes.shop, homes.service, only_late=True)
        assert homes.owners == []
        switch.recover(NAME, homes.shop, homes.service)
        assert_as_before(homes)


# ── A database that was restored from a backup ───────────────────────────────────────────────────


def test_a_contradiction_stops_everybody_and_is_put_right_by_hand(homes):
    """As the runbook says: two rows, in an epoch above both; fences follow by themselves."""
    with homes.followed():
        homes.carry_out("shop")
    backup = "UPDATE strangler_ownership.unit SET state = 'owner', epoch = 0"
    homes.sql("shop", backup)
    with pytest.raises(SwitchRefused, match=r"contradict each other on who owns rugs\.write"):
        switch.recover(NAME, homes.shop, homes.service)
    with pytest.raises(SwitchRefused):
        homes.begin("service")
    for home, state in (("service", "owner"), ("shop", "follower")):
        homes.sql(
            home,
            f"UPDATE strangler_ownership.unit SET state = '{state}', epoch = 8, deadline = NULL "
            f"WHERE name = '{NAME}'",
        )
    switch.recover(NAME, homes.shop, homes.service, only_late=True)
    assert homes.owners == ["service"]
    with homes.followed():
        homes.carry_out("service")
        homes.assert_equal()
    assert homes.owners == ["shop"]


# ── A trigger that has one of our names ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trigger", "timing"),
    [
        ("00_strangler_fence", "BEFORE INSERT"),
        ("00_strangler_fence_truncate", "BEFORE TRUNCATE"),
        ("01_strangler_recorder", "AFTER INSERT"),
        ("01_strangler_recorder_truncate", "AFTER TRUNCATE"),
        ("00_strangler_key", "AFTER UPDATE"),
        ("00_strangler_row", "AFTER INSERT"),
        ("00_strangler_truncate", "AFTER TRUNCATE"),
    ],
)
@pytest.mark.parametrize("home", ["shop", "service"])
def test_a_trigger_with_one_of_our_names_is_refused_and_nothing_stays(homes, home, trigger, timing):
    for one in ("shop", "service"):
        homes.sql(one, "CREATE TABLE loom (id int PRIMARY KEY)")
    homes.sql(home, MINE, f'CREATE TRIGGER "{trigger}" {timing} ON loom EXECUTE FUNCTION mine()')
    with pytest.raises(SwitchRefused, match=f"At {home} loom has a trigger {trigger} that isn't ours"):
        switch.replicate("looms.write", ("loom",), homes.shop, homes.service)
    for one in ("shop", "service"):
        assert homes.sql(one, "INSERT INTO loom VALUES (1) RETURNING id") == [(1,)], one
    assert switch.beliefs("looms.write", homes.shop, homes.service) == (None, None)


def test_recording_a_table_twice_changes_nothing(homes):
    with psycopg.connect(homes.shop.url, autocommit=True) as shop:
        before = shop.execute("SELECT * FROM strangler_recorder.recorded ORDER BY 1").fetchall()
        recorder.install(shop, "rugs", TABLES, homes.shop.applier_role)
        assert shop.execute("SELECT * FROM strangler_recorder.recorded ORDER BY 1").fetchall() == before
        with pytest.raises(SwitchRefused):
            switch.begin(NAME, TABLES, homes.service, homes.shop)
