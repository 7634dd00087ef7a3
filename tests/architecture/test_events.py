"""What the monolith's contexts announce and hear fits together, and goes by nothing that loses some."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest

from strangler.chassis.inbox import subscriptions
from strangler.chassis.outbox import restating
from tests.tree import ROOT, skip_without

skip_without("monolith/*/events.py")
MODULES = sorted(path.parent.name for path in (ROOT / "monolith").glob("*/events.py"))


def announced() -> Iterator[tuple[str, type]]:
    """Every event class with a wire type, and the context that it belongs to."""
    for context in MODULES:
        module = import_module(f"monolith.{context}.events")
        for name, one in vars(module).items():
            own = isinstance(one, type) and one.__module__ == module.__name__
            if own and hasattr(one, "type") and not name.startswith("_"):
                yield context, one


EVENTS = list(announced())


def test_there_are_events_in_several_contexts():
    assert len(MODULES) >= 5
    assert len(EVENTS) >= 15


@pytest.mark.parametrize(("context", "event"), EVENTS, ids=lambda one: getattr(one, "__name__", one))
def test_an_event_is_frozen_and_named_on_the_wire_as_in_code(context, event):
    assert dataclasses.is_dataclass(event)
    assert event.__dataclass_params__.frozen
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()
    assert re.fullmatch(rf"{context}\.{words}\.v[1-9]\d*", event.type)


def test_no_two_events_have_one_type():
    types = [event.type for _, event in EVENTS]
    assert len(types) == len(set(types))


def test_what_is_heard_is_announced_in_the_version_that_is_read():
    known = {event.type for _, event in EVENTS}
    heard = {
        f"{type}.v{version}"
        for one in subscriptions.declared()
        if not one.name.startswith("tests.")
        for type, (version, _) in one._handlers.items()
    }
    assert heard
    assert heard - known == set()


def test_rows_are_restated_by_events_that_carry_their_state():
    declared = list(restating.declared())
    assert {one.name for one in declared} >= {"catalog.product", "catalog.seller", "ordering.order"}
    for one in declared:
        states = {tuple(field.name for field in dataclasses.fields(event)) for event in one.said_by}
        assert len(states) == 1, f"{one.name} is said by events with other fields"


@pytest.mark.parametrize(
    ("broker", "taken"),
    [
        ("", ""),
        ("memory://", ""),
        ("filesystem://", ""),
        ("redis://localhost", ""),
        ("sqla+postgresql://localhost/celery", ""),
        ("amqp://localhost//", "amqp://localhost//"),
        ("pyamqp://localhost//", "pyamqp://localhost//"),
    ],
)
def test_events_go_by_a_rabbitmq_or_by_no_broker(tmp_path, broker, taken):
    program = "from monolith import settings; print(settings.EVENTS_BROKER_URL, end='')"
    named = {
        "BROKER_URL": broker,
        "STATE_DIRECTORY": str(tmp_path),
        "DATABASE_URL": "postgresql://localhost/x",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=os.environ | named, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == taken
