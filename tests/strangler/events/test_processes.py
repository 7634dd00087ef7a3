"""Relay and consumer as processes: what they answer, and what they do where there is no broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from strangler.chassis import pulse
from strangler.run.ports import free_ports
from tests.strangler.events.conftest import ROOT


def health(port: int, patience: float = 20.0) -> tuple[int, str]:
    """What a process answers, once it listens."""
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=2) as answer:
                return answer.status, json.load(answer)["status"]
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)["status"]
        except OSError:
            assert time.monotonic() < until, "nobody listens"
            time.sleep(0.05)


def test_a_process_is_live_while_its_loop_comes_round(monkeypatch):
    (port,) = free_ports(1)
    pulse.serve(port)
    pulse.beat()
    assert health(port) == (200, "live")
    monkeypatch.setattr(pulse, "_last", time.monotonic() - pulse.STUCK_AFTER - 1)
    assert health(port) == (503, "stuck")
    pulse.beat()
    assert health(port) == (200, "live")


@pytest.mark.parametrize("command", ["relay_events --or-wait", "consume_events"])
def test_without_a_broker_both_processes_stay_and_stop_when_they_are_told(embedded, command):
    (port,) = free_ports(1)
    process = embedded[1].start(*command.split(), "--port", str(port))
    try:
        assert health(port) == (200, "live")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def said(shop, *command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT, env=shop.environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_without_a_broker_a_relay_that_may_not_wait_says_why_it_ends(embedded):
    code, text = said(embedded[0], "relay_events")
    assert code == 1
    assert "EVENTS_BROKER_URL names no broker" in text


def test_without_a_broker_there_are_no_queues_to_make(embedded):
    assert said(embedded[1], "consume_events", "--declare") == (0, "")


def test_where_nobody_says_how_rows_are_restated_nothing_is(embedded):
    code, text = said(embedded[0], "restate_events")
    assert code == 1
    assert "No events.py says how rows are restated. Nothing was done." in text
