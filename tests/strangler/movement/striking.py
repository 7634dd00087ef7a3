"""Operators that are killed, or stop, after any statement that they send: what the tests of crashes drive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from strangler.movement import switch
from strangler.movement.errors import MovementError
from strangler.movement.switch import Bench, Side, Switch


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@dataclass(frozen=True)
class Point:
    """A moment in a switch: after the statement of that number in a step, counted over both homes from 1."""

    step: Callable[[Switch], None]
    number: int

    def __str__(self) -> str:
        return f"{self.step.__name__}-{self.number}"


# Every statement of every step. `drain` asks again and again; its later rounds are like its first.
SENT = dict(zip(switch.STEPS, (4, 14, 5, 11, 15, 18, 10), strict=True))
POINTS = [Point(step, number) for step, sent in SENT.items() for number in range(1, sent + 1)]


class StrikingBench(Bench):
    """Connections that call `strike` at a point of the step that is told to have `begun`."""

    def __init__(self, point: Point, strike: Callable[[], None]) -> None:
        super().__init__()
        self._point, self._strike = point, strike
        self._now = Point(point.step, point.number + 1)

    @property
    def sent(self) -> int:
        """Statements of the step that was begun last."""
        return self._now.number

    def begun(self, step: Callable[[Switch], None]) -> None:
        self._now = Point(step, 0)

    def at(self, side: Side):
        found = super().at(side)
        if "execute" not in vars(found):
            send = found.execute

            def execute(*arguments, **options):
                done = send(*arguments, **options)
                self._now = replace(self._now, number=self._now.number + 1)
                if self._now == self._point:
                    self._strike()
                return done

            found.execute = execute
        return found


def kill() -> None:
    raise Killed


def carry_out(
    begun: Switch,
    bench: StrikingBench,
    seconds: float = switch.FENCE_SECONDS,
    counted: dict[Callable[[Switch], None], int] | None = None,
) -> None:
    """Every step, in its order; `counted` is told how many statements each has sent."""
    struck = replace(begun, bench=bench)
    for step in switch.STEPS:
        bench.begun(step)
        if step is switch.raise_fence:
            switch.raise_fence(struck, seconds)
        else:
            step(struck)
        if counted is not None:
            counted[step] = bench.sent


def carry_out_until_killed(begun: Switch, point: Point) -> None:
    """Every step, until killed; fails where the switch never comes to that point."""
    bench = StrikingBench(point, kill)
    try:
        carry_out(begun, bench)
    except Killed:
        return
    finally:
        bench.close()
    raise AssertionError(f"this switch sends no statement {point}")


class Paused:
    """An operator in a thread of its own, who stops after a statement until told to go on."""

    def __init__(self, begun: Switch, point: Point, seconds: float) -> None:
        self.failed: MovementError | None = None
        self._there, self._go_on = threading.Event(), threading.Event()
        self._begun, self._seconds = begun, seconds
        self._bench = StrikingBench(point, self._stop)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Paused:
        self._thread.start()
        assert self._there.wait(20), f"never stopped; {self.failed or 'it went through'}"
        return self

    def __exit__(self, *_: object) -> None:
        self._go_on.set()
        self._thread.join()

    def _stop(self) -> None:
        self._there.set()
        self._go_on.wait()

    def _run(self) -> None:
        try:
            carry_out(self._begun, self._bench, self._seconds)
        except MovementError as error:
            self.failed = error
            switch.undo(self._begun)
        finally:
            self._bench.close()
            self._begun.bench.close()
