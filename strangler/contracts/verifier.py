"""Runs Pact's verifier over some pacts against one home, in a process of its own: its core prints as it goes.

python -m strangler.contracts.verifier      a job as JSON on stdin, the outcomes as JSON on stdout
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit


def main() -> None:
    """Read the job, run it, print the outcomes."""
    job = json.load(sys.stdin)
    said = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.environ["PACT_DO_NOT_TRACK"] = "true"
    json.dump([_verify(pact, **job["home"]) for pact in job["pacts"]], said)
    said.close()


def _verify(pact: dict[str, str], url: str, states: str, messages: str | None) -> dict[str, Any]:
    from pact import Verifier

    address = urlsplit(url)
    # The home is asked for what it has, as this pact's provider; messages come over HTTP too.
    verifier = Verifier(pact["provider"], host=address.hostname).add_transport(url=url)
    if messages:
        verifier.add_transport(protocol="message", scheme="http", port=address.port, path=messages)
    verifier.state_handler(url + states, body=True, teardown=True).add_source(pact["file"])
    with suppress(RuntimeError):  # it raises for whatever failed; what did is among the results
        verifier.verify()
    results: dict[str, Any] = verifier.results
    return results


if __name__ == "__main__":
    main()
