"""The catalog service's settings: one module, read from the environment.

DATABASE_URL         postgres://user:password@host:port/name; required
IDENTITY_JWKS_URL    where the public keys are that tokens are checked with; required
FRESHNESS_KEY        what positions of writes are signed with, the same in every home; or FRESHNESS_KEY_FILE,
                     where it is kept. Without both, each process has one of its own
NEIGHBOURS_URL       where the other contexts' API is asked, usually the gateway; needed by reviews alone
EVENTS_BROKER_URL    the RabbitMQ that events go by; BROKER_URL where that is one. Without it, subscribers
                     read the outboxes
EVENTS_PUBLISHERS    whose outboxes those are: {"home": "postgresql://..."}; none by default
EVENTS_NAMESPACE     prefix of all that is declared at the RabbitMQ, the same in every home
ALLOWED_HOSTS        comma-separated; this machine's own names by default
DEBUG                false by default
RELEASE              what this release is called; a hash of its files by default
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from strangler.chassis.keyfile import read_or_make
from strangler.chassis.version import version_of

env = environ.Env()

VERSION = env.str("RELEASE", default="") or version_of(Path(__file__).resolve().parents[1])
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

for _name in ("DATABASE_URL", "IDENTITY_JWKS_URL"):
    if not env.str(_name, default=""):
        raise ImproperlyConfigured(
            f"{_name} isn't set. `strangler run` starts the service with all that it needs; on its own "
            "it wants DATABASE_URL=postgres://user:password@host:5432/catalog and "
            "IDENTITY_JWKS_URL=http://monolith/api/identity/jwks.json"
        )
DATABASES = {"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
IDENTITY_ISSUER = IDENTITY_AUDIENCE = "marketplace"  # as the monolith signs
IDENTITY_JWKS_URL = env.str("IDENTITY_JWKS_URL")

NEIGHBOURS_URL = env.str("NEIGHBOURS_URL", default="")
FIRST_OWNER = False  # it owns rows once a switch has moved them here, and not before

FRESHNESS_KEY = env.str("FRESHNESS_KEY", default="")
if not FRESHNESS_KEY:
    _file, FRESHNESS_KEY = env.str("FRESHNESS_KEY_FILE", default=""), secrets.token_urlsafe(32)
    if _file:
        FRESHNESS_KEY = read_or_make(Path(_file), lambda: FRESHNESS_KEY)

# No sessions, no users, no pages, and no SECRET_KEY.
INSTALLED_APPS = [
    "rest_framework",
    "drf_spectacular",
    "drf_standardized_errors",
    "strangler.chassis.telemetry",
    "strangler.chassis.callsites",
    "strangler.chassis.fence",
    "strangler.chassis.outbox",
    "strangler.chassis.inbox",
    "extracted.catalog",
]
MIDDLEWARE = [
    "strangler.chassis.health.HealthMiddleware",
    "strangler.chassis.telemetry.middleware.TelemetryMiddleware",
    "strangler.chassis.fence.middleware.FenceMiddleware",
    "strangler.chassis.freshness.BehindMiddleware",
    "strangler.chassis.freshness.WrittenMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "extracted.catalog.service.urls"
WSGI_APPLICATION = "extracted.catalog.service.wsgi.application"

CALLSITES_ROOT = "extracted"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["strangler.chassis.identity.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "strangler.chassis.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_FORMATTER_CLASS": "strangler.chassis.problems.ProblemFormatter"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Catalog",
    "DESCRIPTION": "What is for sale, and what its buyers say about it.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "AUTHENTICATION_WHITELIST": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    },
    "SECURITY": [{"token": []}, {}],
    "ENUM_NAME_OVERRIDES": {"ProductStatus": "extracted.catalog.models.Product.Status"},
}

_broker = env.str("BROKER_URL", default="")
_is_rabbitmq = urlsplit(_broker).scheme in ("amqp", "amqps", "pyamqp")
EVENTS_BROKER_URL = env.str("EVENTS_BROKER_URL", default=_broker if _is_rabbitmq else "")
EVENTS_PUBLISHERS = env.json("EVENTS_PUBLISHERS", default={})
EVENTS_NAMESPACE = env.str("EVENTS_NAMESPACE", default="")
EVENTS_SOURCE = "marketplace"  # as in the monolith: a product's events go on, whichever home announces them

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "strangler.chassis.logs.JSONFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
