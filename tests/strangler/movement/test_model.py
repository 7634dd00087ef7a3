"""The switch as a state machine that Hypothesis drives: verbs, steps, crashes, and two operators at once.

Against real databases. `STRANGLER_MATRIX=1` tries many more lives, and longer ones.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
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
        self.accepted: dict[int, int] = {}  # changes of each rug that was woven
        self.knots: set[int] = set()
        self.number = 1000
        self._replicate()

    def teardown(self) -> None:
        if not hasattr(self, "homes"):
            return
        try:
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

    @rule(who=OPERATORS, steps=some.integers(0, len(switch.STEPS)), seconds=some.sampled_from([0, 30, 30]))
    def operate(self, who: str, steps: int, seconds: float) -> None:
        """So many steps more, of a switch that is begun where there is none; a failure makes them undo it.

        Another operator may be under way: nothing here is locked against that.
        """
        if who not in self.operators:
            self._follow_to_the_end()
            try:
                self.operators[who] = self.homes.begin((self.homes.owners or ["shop"])[0]), 0
            except MovementError:
                return
        begun, done = self.operators[who]
        for step in switch.STEPS[done : done + steps]:
            try:
                self._step(begun, step, seconds)
            except MovementError:
                return self.leave(who, undoing=True)
        if done + steps >= len(switch.STEPS):
            return self.leave(who, undoing=False)
        self.operators[who] = begun, done + steps

    @precondition(lambda self: self.operators)
    @rule(who=OPERATORS, undoing=some.booleans())
    def leave(self, who: str, undoing: bool) -> None:
        """An operator is killed, or undoes what was begun: perhaps late, when others have decided."""
        if found := self.operators.pop(who, None):
            if undoing:
                switch.undo(found[0])
            found[0].bench.close()

    @rule(only_late=some.booleans())
    def recover(self, only_late: bool) -> None:
        switch.recover(NAME, self.homes.shop, self.homes.service, only_late=only_late)

    @rule()
    def cancel_and_replicate_again(self) -> None:
        """What the verbs do: end what was cut short; refused once the rows have moved."""
        self.recover(only_late=False)
        if self.homes.owners == ["shop"]:
            self.close_stream()
            switch.forget(NAME, self.homes.shop, self.homes.service)
            capture.remove(self.homes.shop.url)
            self.homes.sql("service", "DROP SCHEMA IF EXISTS strangler_movement CASCADE")
            self._replicate()

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
        self.stream_until.close()

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
        assert len(self.homes.owners) <= 1, self.homes.beliefs()

    @invariant()
    def the_homes_never_contradict_each_other(self) -> None:
        here, there = self.homes.beliefs()
        assert verdict(here, there) is not Verdict.CONFLICT, (here, there)

    @invariant()
    def who_owns_has_every_accepted_write(self) -> None:
        states = dict(zip(("shop", "service"), self.homes.beliefs(), strict=True))
        owned = [home for home, one in states.items() if one.state is State.OWNER]
        fenced = [home for home, one in states.items() if one.state is State.FENCED]
        for home in owned or fenced:
            self._assert_nothing_lost(home)

    # ── Pieces ───────────────────────────────────────────────────────────────────────────────────

    def _assert_nothing_lost(self, home: str) -> None:
        there = {n: int(p) for n, p in self.homes.sql(home, "SELECT id, price FROM rug WHERE id >= 1000")}
        assert there == self.accepted, home

    def _replicate(self) -> None:
        switch.replicate(NAME, TABLES, self.homes.shop, self.homes.service)
        self._follow_to_the_end()

    def _write(self, home: str, statements: str, accepted) -> None:
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


@pytest.mark.timeout(3600 if MANY else 180)
def test_in_any_life_there_is_one_owner_and_nothing_is_lost(pair, shop_applier):
    Life.databases = pair, shop_applier
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=100 if MANY else 6,
            stateful_step_count=30 if MANY else 12,
            deadline=None,
            phases=[Phase.generate],  # a life takes seconds; one that fails is short enough to be read
            derandomize=not MANY,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
