"""One shop, told by DATABASE_URL, EVENTS_BROKER_URL, EVENTS_NAMESPACE and EVENTS_PUBLISHERS (JSON)."""

import json
import os

import environ

env = environ.Env()

DATABASES = {"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": None}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["strangler.chassis.outbox", "strangler.chassis.inbox", "tests.strangler.events.project"]
USE_TZ = True
EVENTS_SOURCE = "rugs"
EVENTS_BROKER_URL = os.environ.get("EVENTS_BROKER_URL", "")
EVENTS_NAMESPACE = os.environ.get("EVENTS_NAMESPACE", "")
EVENTS_PUBLISHERS = json.loads(os.environ.get("EVENTS_PUBLISHERS", "{}"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"strangler": {"handlers": ["stderr"], "level": "INFO"}},
}
