"""The Celery application: `celery --app monolith worker` finds the contexts' tasks.py through it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monolith.settings")

app = Celery("monolith", task_cls="strangler.chassis.fence.tasks:FencedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
