"""Celery's tasks at a fence: what was refused is tried again, by whoever owns the rows by then.

app = Celery("shop", task_cls="strangler.chassis.fence.tasks:FencedTask")
"""

from __future__ import annotations

from typing import Any

from celery import Task

from strangler.chassis.fence.watching import is_fenced

AGAIN_AFTER = 1.0  # seconds


class FencedTask(Task):  # type: ignore[misc]
    """A task that a fence refused is no failure: it goes back to the queue, as often as it takes.

    Of the retries that the task has for failures of its own, that uses up none.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            if is_fenced(error):
                self.request.retries -= 1
                raise self.retry(exc=error, countdown=AGAIN_AFTER) from error
            raise
