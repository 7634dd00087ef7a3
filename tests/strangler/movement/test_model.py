"""The switch as a state machine that Hypothesis drives: verbs, steps, crashes, and two operators at once.

Against real databases. `STRANGLER_MATRIX=1` tries many more lives, and longer ones.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from strangler.movement import capture, switch
from strangler.movement.errors import MovementError
from strangler.movement.fence import SQLSTATES
from strangler.movement.follow import Following, following
from strangler.movement.ownership import State, Verdict, verdict
from strangler.movement.switch import Switch
from tests.strangler.movement.conftest import empty, unmoved
from tests.strangler.movement.switching import NAME, TABLES, Homes

MANY = bool(os.environ.get("STRANGLER_MATRIX"))
HOMES = some.sampled_from(["shop", "service"])
OPERATORS = some.sampled_from(["anna", "bert"])


class Life(RuleBasedStateMachine):
    """One life of a capability. An operator does a step, sleeps as long as others like, and does the next."""

    databases: tuple

    @initialize()
    def found(self) -> None:
        self.homes: Homes = unmoved(*self.databases)
        self.operators: dict[str, tuple[Switch, int]] = {}
        self.stream: Following | None = None
        self.stream_until = ExitStack()
        self.replicates = False
        self.accepted: dict[int, int] = {}  # changes of each rug that was woven
        self.knots: set[int] = set()
        self.number = 1000

    def teardown(self) -> None:
        if not hasattr(self, "homes"):
            return
        try:
            if self.replicates:
                self._come_home()
        finally:
            self.close_stream()
            for begun, _ in self.operators.values():
                begun.bench.close()
            empty(self.databases[0])

    def _come_home(self) -> None:
        """Whatever has happened: there is an owner, and until it is complete a way back."""
        self.close_stream()
        self.recover(only_late=False)
        with self.homes.followed():
            if self.homes.owners == ["service"]:
                self.homes.carry_out("service")
            assert self.homes.owners == ["shop"]
            self.homes.assert_equal()
        self._assert_nothing_lost("shop")

    # ── Verbs ────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def replicate(self) -> None:
        if not self.replicates or self._settled_at("shop"):
            switch.replicate(NAME, TABLES, self.homes.shop, self.homes.service)
            self.replicates = True

    @precondition(lambda self: self.replicates)
    @rule()
    def cancel(self) -> None:
        """What the verb does: ends what was cut short, and refuses once the rows have moved."""
        self.recover(only_late=False)
        if self._settled_at("shop"):
            self.close_stream()
            switch.forget(NAME, self.homes.shop, self.homes.service)
            capture.remove(self.homes.shop.url)
            self.homes.sql("service", "DROP SCHEMA IF EXISTS strangler_movement CASCADE")
            self.replicates = False

    @precondition(lambda self: self.replicates)
    @rule(only_late=some.booleans())
    def recover(self, only_late: bool) -> None:
        switch.recover(NAME, self.homes.shop, self.homes.service, only_late=only_late)

    @precondition(lambda self: self.replicates)
    @rule(who=OPERATORS, origin=HOMES)
    def begin(self, who: str, origin: str) -> None:
        """An operator may begin while another one is under way: nothing here is locked against that."""
        self._leave(who)
        self._follow_to_the_end()
        with suppress(MovementError):
            self.operators[who] = self.homes.begin(origin), 0

    @precondition(lambda self: self.operators)
    @rule(who=OPERATORS, steps=some.integers(1, len(switch.STEPS)), seconds=some.sampled_from([0, 30]))
    def go_on(self, who: str, steps: int, seconds: float) -> None:
        """So many steps more; one that fails makes the operator undo what was begun."""
        for _ in range(steps):
            if who not in self.operators:
                return
            begun, done = self.operators[who]
            try:
                self._step(begun, switch.STEPS[done], seconds)
                self.operators[who] = begun, done + 1
                if done + 1 == len(switch.STEPS):
                    self._leave(who)
            except MovementError:
                with suppress(MovementError):
                    switch.undo(begun)
                self._leave(who)

    @precondition(lambda self: self.operators)
    @rule(who=OPERATORS)
    def give_up(self, who: str) -> None:
        """What an operator does after a failure, at whatever step; it may come late, and find it decided."""
        if who in self.operators:
            with suppress(MovementError):
                switch.undo(self.operators[who][0])
            self._leave(who)

    @rule(who=OPERATORS)
    def crash(self, who: str) -> None:
        self._leave(who)

    # ── What goes on besides ─────────────────────────────────────────────────────────────────────

    @rule(home=HOMES)
    def weave(self, home: str) -> None:
        """A write at either home: accepted or refused, and nothing else."""
        self.number += 1
        self._write(
            home,
            f"INSERT INTO rug (id, sku, price) VALUES ({self.number}, 'W{self.number}', 0); "
            f"INSERT INTO knot (rug_id) VALUES ({self.number}) RETURNING id",
            accepted=lambda: self.accepted.setdefault(self.number, 0),
        )

    @precondition(lambda self: self.accepted)
    @rule(home=HOMES)
    def reprice(self, home: str) -> None:
        number = max(self.accepted)

        def count() -> None:
            self.accepted[number] += 1

        self._write(home, f"UPDATE rug SET price = price + 1 WHERE id = {number} RETURNING id", count)

    @precondition(lambda self: self.replicates)
    @rule()
    def stream_steps(self) -> None:
        """One window more of a stream that may have been begun long ago."""
        try:
            self._open_stream()
            self.stream.step()
        except MovementError:
            self.close_stream()

    @rule()
    def close_stream(self) -> None:
        self.stream = None
        with suppress(MovementError):
            self.stream_until.close()

    @precondition(lambda self: self.replicates)
    @rule(hours=some.sampled_from([-1, 1]))
    def clock_jumps(self, hours: int) -> None:
        for home in ("shop", "service"):
            self.homes.sql(
                home,
                f"UPDATE strangler_ownership.unit SET deadline = deadline + interval '{hours} hours' "
                "WHERE state = 'fenced'",
            )

    # ── What always holds ────────────────────────────────────────────────────────────────────────

    @invariant()
    def at_most_one_home_takes_writes(self) -> None:
        if getattr(self, "replicates", False):
            assert len(self.homes.owners) <= 1, self.homes.beliefs()

    @invariant()
    def the_homes_never_contradict_each_other(self) -> None:
        if getattr(self, "replicates", False):
            here, there = self.homes.beliefs()
            assert verdict(here, there) is not Verdict.CONFLICT, (here, there)

    @invariant()
    def who_owns_has_every_accepted_write(self) -> None:
        if getattr(self, "replicates", False):
            here, there = self.homes.beliefs()
            owned = [home for home, one in (("shop", here), ("service", there)) if one.state is State.OWNER]
            fenced = [home for home, one in (("shop", here), ("service", there)) if one.state is State.FENCED]
            for home in owned or fenced:
                self._assert_nothing_lost(home)

    # ── Pieces ───────────────────────────────────────────────────────────────────────────────────

    def _assert_nothing_lost(self, home: str) -> None:
        there = {n: int(p) for n, p in self.homes.sql(home, "SELECT id, price FROM rug WHERE id >= 1000")}
        assert there == self.accepted, home

    def _settled_at(self, home: str) -> bool:
        here, there = self.homes.beliefs()
        owner = here if home == "shop" else there
        return verdict(here, there) is Verdict.SETTLED and owner.state is State.OWNER

    def _write(self, home: str, statements: str, accepted) -> None:
        if home == "service" and not self.replicates:
            return  # nobody keeps strangers off tables that don't follow yet
        with psycopg.connect(getattr(self.homes, home).url, options="-c lock_timeout=2s") as connection:
            try:
                cursor = connection.execute(statements)
                while cursor.nextset():
                    pass
                given = cursor.fetchone()
                connection.commit()
            except psycopg.Error as error:
                if error.sqlstate not in SQLSTATES:
                    raise
                return
        if given is None:
            return  # a rug that isn't here: nobody wrote it
        if given[0] < 1000 or "knot" in statements:
            assert given[0] not in self.knots, "an id was given twice"
            self.knots.add(given[0])
        accepted()

    def _step(self, begun: Switch, step, seconds: float) -> None:
        if step is switch.raise_fence:
            switch.raise_fence(begun, seconds)
        elif step is switch.drain:
            self._drain(begun)
        else:
            step(begun)

    def _drain(self, begun: Switch) -> None:
        over = threading.Event()

        def follow() -> None:
            while not over.wait(0.01):
                self.stream_steps()

        follower = threading.Thread(target=follow)
        follower.start()
        try:
            switch.drain(begun)
        finally:
            over.set()
            follower.join()

    def _open_stream(self) -> None:
        if self.stream is None:
            here, _ = self.homes.beliefs()
            at_shop = here.state in (State.OWNER, State.FENCED)
            pair = (self.homes.shop, self.homes.service)
            owner, follower = pair if at_shop else pair[::-1]
            self.stream = self.stream_until.enter_context(
                following(owner.url, follower.applier, TABLES, echo=owner.applier_role)
            )

    def _follow_to_the_end(self) -> None:
        with suppress(MovementError):
            self._open_stream()
            self.stream.catch_up()
            return
        self.close_stream()

    def _leave(self, who: str) -> None:
        if left := self.operators.pop(who, None):
            left[0].bench.close()


@pytest.mark.timeout(3600 if MANY else 180)
def test_in_any_life_there_is_one_owner_and_nothing_is_lost(pair, shop_applier):
    Life.databases = pair, shop_applier
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=200 if MANY else 6,
            stateful_step_count=40 if MANY else 12,
            deadline=None,
            derandomize=not MANY,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
