"""The shop with telemetry, a door and a log; `TELEMETRY=off` is the same without the extra."""

import os

from tests.strangler.events.project.settings import *  # noqa: F403
from tests.strangler.events.project.settings import INSTALLED_APPS

ROOT_URLCONF = "tests.strangler.telemetry.project.urls"
WSGI_APPLICATION = "tests.strangler.telemetry.project.urls.application"
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = "for this test only"  # nosec B105
MIDDLEWARE = ["strangler.chassis.health.HealthMiddleware"]
if os.environ.get("TELEMETRY") != "off":
    INSTALLED_APPS = [*INSTALLED_APPS, "strangler.chassis.telemetry"]
    MIDDLEWARE.append("strangler.chassis.telemetry.middleware.TelemetryMiddleware")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "strangler.chassis.logs.JSONFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
