"""kill -9 under load: of the service, where reads must not fail, and of Envoy, where they must soon go on."""

from __future__ import annotations

import os
import signal
import statistics
import time

from strangler.control.phases import SWITCHED
from strangler.errors import StranglerError
from strangler.run import board
from tests.benchmarks.probe import Probe, Stage, stage, traffic
from tests.benchmarks.table import Row

TITLE = "kill -9 under load"
SENTENCE = (
    "The whole running system, reads switched to the service, under the load of `strangler.toml`; a probe "
    "asks all the time besides. The service's processes, then Envoy, are killed with SIGKILL, three times "
    "each; the supervisor starts them again. Medians."
)
KILLS = 3
PATIENCE = 60.0  # seconds until what was killed must answer again


def run() -> list[Row]:
    with stage() as on:
        on.route(SWITCHED)
        with traffic(on) as load, on.probe() as probe:
            time.sleep(2)
            load.window()
            away = [_kill_service(on, probe) for _ in range(KILLS)]
            by_service, probed = load.window(), list(probe.answers)
            down = [_kill_gateway(on, probe) for _ in range(KILLS)]
            by_gateway = load.window()
            load.check()
    owner, home = on.capability.owner, on.capability.home
    failed = by_service.failed + sum(not answer.good for answer in probed)
    asked = by_service.requests + len(probed)
    said = "; ".join(f"{one.kind} {one.path} {one.said[:60]}" for one in by_service.failures)
    lost = f"{by_gateway.failed} of {by_gateway.requests:,} requests failed meanwhile: no one else listens"
    return [
        Row(
            f"{home} killed {KILLS} times: failed safe requests of {asked:,}",
            failed,
            "requests",
            note=said[:200] or "goal: 0",
        ),
        Row(
            f"{home} killed: it answers again after",
            statistics.median(away),
            "s",
            note=f"until then the {owner} answers",
        ),
        Row("Envoy killed: the gateway serves again after", statistics.median(down), "s", note=lost),
        Row("Envoy killed: slowest of them", max(down), "s"),
    ]


def _kill_service(on: Stage, probe: Probe) -> float:
    """Seconds from the kill until the service answers again through the gateway."""
    home = on.capability.home
    process = on.config.homes[home].process
    if process is None:
        raise StranglerError(f"The home {home!r} isn't started by the kit, so it can't be killed here.")
    start = _kill(on, process)
    return _wait_for(probe, start, home, after=_away(probe, start, home)) - start


def _away(probe: Probe, start: float, home: str) -> float:
    """The moment from which the other home answers: until then, answers of the killed one were under way."""
    deadline = start + PATIENCE
    while time.perf_counter() < deadline:
        if others := [answer.came for answer in probe.since(start) if answer.home != home]:
            return others[0]
        time.sleep(0.01)
    raise StranglerError(f"{home} was killed, and its answers never stopped.")


def _kill_gateway(on: Stage, probe: Probe) -> float:
    """Seconds from the kill until the gateway answers again."""
    start = _kill(on, "gateway")
    return _wait_for(probe, start, None, after=start) - start


def _kill(on: Stage, name: str) -> float:
    """SIGKILL to every process of a running row; the moment."""
    seen = board.load(on.system.state)
    row = seen.row(name) if seen else None
    if row is None or row.pid is None:
        raise StranglerError(f"The board names no running process {name!r}.")
    moment = time.perf_counter()
    if os.getpgid(row.pid) == row.pid:
        os.killpg(row.pid, signal.SIGKILL)
    else:
        os.kill(row.pid, signal.SIGKILL)
    return moment


def _wait_for(probe: Probe, start: float, home: str | None, *, after: float) -> float:
    """The moment of the first good answer (of `home`) that was asked for after a moment."""
    while time.perf_counter() < start + PATIENCE:
        for answer in probe.since(after):
            if answer.good and answer.asked > after and home in (None, answer.home):
                time.sleep(2)  # let the supervisor settle before the next kill
                return answer.came
        time.sleep(0.01)
    raise StranglerError(f"{home or 'The gateway'} didn't answer within {PATIENCE:g} s of being killed.")
