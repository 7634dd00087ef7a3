"""A task that met a fence goes back to the queue, whatever retries it has left for failures of its own."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer

from strangler.chassis.fence import Fenced


@pytest.fixture
def shop() -> Celery:
    """An application with a queue of its own: the broker in memory is the whole process's."""
    shop = Celery(
        "shop",
        broker="memory://",
        task_cls="strangler.chassis.fence.tasks:FencedTask",
        set_as_current=False,
        fixups=[],
    )
    shop.conf.task_default_queue = secrets.token_hex(8)
    return shop


def delivered(shop: Celery, task: Any, retries: int) -> tuple[str, int | None]:
    """The state that the task is left in, and how many retries the message says that it sent, if any."""
    request = {"id": "a-task", "retries": retries, "delivery_info": {}, "called_directly": False}
    state = build_tracer(task.name, task, app=shop)("a-task", [], {}, request).info.state
    with shop.connection_for_read() as link, link.SimpleQueue(shop.conf.task_default_queue) as queue:
        try:
            message = queue.get(block=False)
        except queue.Empty:
            return state, None
        message.ack()
        return state, message.headers["retries"]


def test_a_fence_is_met_as_often_as_it_takes_and_no_retry_is_used_up(shop: Celery) -> None:
    @shop.task(max_retries=1)
    def reprice() -> None:
        raise Fenced("the rows are moving")

    assert delivered(shop, reprice, retries=0) == ("RETRY", 0)
    assert delivered(shop, reprice, retries=1) == ("RETRY", 1)


def test_a_failure_of_its_own_fails_it_as_ever(shop: Celery) -> None:
    @shop.task
    def reprice() -> None:
        raise ValueError("a rug can't be that garish")

    assert delivered(shop, reprice, retries=0) == ("FAILURE", None)
