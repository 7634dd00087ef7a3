"""A project that has both peers installed; PEER_DATABASE is JSON, PEER_STOMP the broker's port for STOMP."""

import json
import os

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        **json.loads(os.environ["PEER_DATABASE"]),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django_outbox_pattern", "jaiminho"]
USE_TZ = True
SECRET_KEY = "of a benchmark"
DJANGO_OUTBOX_PATTERN = {"DEFAULT_STOMP_HOST_AND_PORTS": [("127.0.0.1", int(os.environ["PEER_STOMP"]))]}
# Each is let do its best: all events go through the outbox, and nothing is reported elsewhere.
JAIMINHO_CONFIG = {"PUBLISH_STRATEGY": "keep-order", "DEFAULT_CAPTURE_EXCEPTION": None}
LOGGING = {
    "version": 1,
    "loggers": {name: {"level": "ERROR"} for name in ("jaiminho", "django_outbox_pattern")},
}
