"""One home of the looms, told by DATABASE_URL."""

import environ

env = environ.Env()

ALLOWED_HOSTS = ["*"]
SECRET_KEY = "for tests alone"  # nosec B105
DATABASES = {"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": None}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "rest_framework",
    "drf_standardized_errors",
    "strangler.chassis.callsites",
    "strangler.chassis.fence",
    "strangler.chassis.inbox",
    "strangler.chassis.outbox",
    "tests.journeys.looms.fair",
    "tests.journeys.looms.rugs",
]
MIDDLEWARE = [
    "strangler.chassis.health.HealthMiddleware",
    "strangler.chassis.fence.middleware.FenceMiddleware",
]
ROOT_URLCONF = "tests.journeys.looms.urls"
CALLSITES_ROOT = "tests.journeys.looms"
EVENTS_SOURCE = "looms"
EVENTS_BROKER_URL = env.str("BROKER_URL", default="")
EVENTS_PUBLISHERS = env.json("EVENTS_PUBLISHERS", default={})
EVENTS_NAMESPACE = env.str("EVENTS_NAMESPACE", default="")
USE_TZ = True
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
