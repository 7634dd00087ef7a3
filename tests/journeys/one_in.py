"""A bug that shows in one of N requests is held by the gate until it is corrected, on a whole running system.

$ python -m tests.journeys.one_in                           # 1 in 500, against a limit of 0.1 %: minutes
$ python -m tests.journeys.one_in --every 50 --limit 0.01   # the same numbers times ten, as the suite has it
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from strangler.control.e_process import samples_needed
from tests.journeys.project import CAPABILITY, Project, copied, counted, until

CONFIDENCE = 0.95
# Of the load's requests that the capability claims, 8 in 19 ask for one product.
SHARE = 8 / 19
CODE = "    return visible_to(caller).get(pk=pk)\n"
BUG = """    product = visible_to(caller).get(pk=pk)
    if pk % {every} == 7:
        product.name = product.name.upper()
    return product
"""


def held_until_corrected(
    project: Project, *, every: int, limit: float, rate: float, seconds: float, say: Callable[[str], None]
) -> None:
    """Begin a shadow with the bug in the service, ask again and again for the canary, and correct the bug.

    It must be refused at every look, until enough answers are there that a service without a bug would have
    passed; and be let through once the bug is gone. `seconds` is the patience for each of the two.
    """
    enough = samples_needed(0, limit, CONFIDENCE)
    with ExitStack() as until_done:
        for key, value in (("mismatch_limit", limit), ("latency_slack", 9.0), ("sample", 1.0)):
            until_done.enter_context(project.configured(key, f"{key} = {value}"))
        project.does("reverse", CAPABILITY)  # stays at the monolith, and gives the gateway the edited file
        load = until_done.enter_context(project.load(seconds=2 * seconds + 120, rate=rate))
        with project.edited("extracted/catalog/selectors.py", CODE, BUG.format(every=round(every * SHARE))):
            project.restart("catalog")
            project.does("apply", CAPABILITY, "shadow")

            def enough_were_refused() -> bool:
                assert load.poll() is None, f"the load has ended: {load.communicate()[1]}"
                return _refused(project, say) >= enough

            until(enough_were_refused, f"{enough} samples", within=seconds, pause=1)
        project.restart("catalog")
        say("The bug is corrected, and the service deployed anew.")
        until(lambda: "catalog was deployed anew" in _counts(project), "evidence to begin anew")
        say(f"Evidence {_counts(project)}.")
        moved = project.does("apply", CAPABILITY, "canary=10", "--wait", f"{seconds:g}", timeout=seconds + 60)
        say(moved.out.rstrip())
        seen = counted(load)
    assert seen["failed"] == 0, seen["failures"]


def _refused(project: Project, say: Callable[[str], None]) -> int:
    """Ask for the canary, which must be refused; how many samples the gate has seen, if it has a mismatch."""
    held = project.strangler("apply", CAPABILITY, "canary=10")
    assert held.code == 4, f"a service with a bug was let through:\n{held.out}{held.err}"
    verdict = next((line for line in held.err.splitlines() if line.startswith("  answers: ")), "")
    found = re.match(r"  answers: ([\d,]+) samples, ([\d,]+) differ", verdict)
    if not found:
        return 0
    say(verdict.strip())
    samples, differ = (int(number.replace(",", "")) for number in found.groups())
    return samples if differ else 0


def _counts(project: Project) -> str:
    (status,) = project.does("status", CAPABILITY, "--json").json
    return str((status["evidence"] or {}).get("counts", ""))


def main() -> None:
    """Run it on a copy of the project, on the server that DATABASE_URL names or on an embedded one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--every", type=int, default=500, help="one of how many requests shows the bug")
    parser.add_argument("--limit", type=float, default=0.001, help="the gate's mismatch_limit")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=600.0, help="patience for each of the two waits")
    options = parser.parse_args()
    began, last = time.monotonic(), 0.0

    def say(sentence: str) -> None:
        nonlocal last
        now = time.monotonic() - began
        if now - last > 5 or not sentence.startswith("answers: "):
            last = now
            print(f"{now:6.0f} s  {sentence}", flush=True)

    with (
        tempfile.TemporaryDirectory() as directory,
        copied(Path(directory), database="DATABASE_URL" in os.environ) as project,
    ):
        try:
            project.does("run", "--detach", timeout=300)
            project.does(
                "contracts", "verify", timeout=180
            )  # its gate holds a version that nobody has verified
            held_until_corrected(project, **vars(options), say=say)
        except AssertionError as failure:
            sys.exit(f"FAILED: {failure}")
        finally:
            project.strangler("stop")
    print("Held at every look while the bug was there, and let through without it.")


if __name__ == "__main__":
    main()
