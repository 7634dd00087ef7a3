"""The parts marketplace: one Django project, one database, several bounded contexts."""

from .celery import app as celery_app

__all__ = ["celery_app"]
