"""The modes of a run are those that the homes will find in the same environment."""

from __future__ import annotations

import pytest

from strangler.run.layout import events_broker

RABBITMQ = "amqp://guest@rabbit//"


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ({}, ""),
        ({"BROKER_URL": RABBITMQ}, RABBITMQ),
        ({"BROKER_URL": "redis://localhost"}, ""),
        ({"BROKER_URL": "memory://", "EVENTS_BROKER_URL": RABBITMQ}, RABBITMQ),
        ({"BROKER_URL": RABBITMQ, "EVENTS_BROKER_URL": ""}, ""),
    ],
)
def test_events_go_by_the_rabbitmq_that_homes_are_told(named: dict[str, str], taken: str) -> None:
    assert events_broker(named) == taken
