"""The catalog service's settings: one module, read from the environment.

DATABASE_URL         postgres://user:password@host:port/name; required
IDENTITY_JWKS_URL    where the public keys are that tokens are checked with; required
ALLOWED_HOSTS        comma-separated; this machine's own names by default
DEBUG                false by default
RELEASE              what this release is called; a hash of its files by default
"""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

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
IDENTITY_JWKS_URL = env.str("IDENTITY_JWKS_URL")

# No sessions, no users, no pages, and no SECRET_KEY: the service signs nothing.
INSTALLED_APPS = ["rest_framework", "drf_spectacular", "drf_standardized_errors", "extracted.catalog"]
MIDDLEWARE = [
    "strangler.chassis.health.HealthMiddleware",
    "strangler.chassis.freshness.BehindMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "extracted.catalog.service.urls"
WSGI_APPLICATION = "extracted.catalog.service.wsgi.application"

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
    "DESCRIPTION": "What is for sale: the reads of the catalog.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "AUTHENTICATION_WHITELIST": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    },
    "SECURITY": [{"token": []}, {}],
    "ENUM_NAME_OVERRIDES": {"ProductStatus": "extracted.catalog.models.Product.Status"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
