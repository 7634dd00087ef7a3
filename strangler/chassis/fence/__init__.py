"""What a home does while its rows are fenced: refuses early, commits nothing half, and says what it has done.

INSTALLED_APPS gets `strangler.chassis.fence`, MIDDLEWARE `strangler.chassis.fence.middleware.FenceMiddleware`
(before everything that opens a transaction). Celery applications set `task_cls` to
`strangler.chassis.fence.tasks:FencedTask`.
"""

from strangler.chassis.fence.watching import Fenced, is_fenced

__all__ = ["Fenced", "is_fenced"]
