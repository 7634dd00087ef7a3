"""The monolith's settings: one module, read from the environment.

DATABASE_URL         postgres://user:password@host:port/name; required
BROKER_URL           Celery's broker; without it, files below STATE_DIRECTORY (which may lose a task)
STATE_DIRECTORY      what this machine keeps to itself; `.strangler` in the project's root by default
SECRET_KEY           without it, one is made and kept in STATE_DIRECTORY
IDENTITY_KEY_FILE    the private key that signs tokens; made on first use
ALLOWED_HOSTS        comma-separated; this machine's own names by default
DEBUG                false by default
STATIC_ROOT          where collectstatic leaves its copies; needed for that command alone
EMAIL_URL            where mail goes; to the console by default
PAYMENT_PROVIDER_URL      who is asked for money; without it, orders are on account
PAYMENT_PROVIDER_SECRET   what the provider signs its webhooks with; without it, none is believed
PAYMENT_PROVIDER_TIMEOUT  seconds that checkout waits for the provider; 5 by default
"""

import secrets
from pathlib import Path

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from strangler.chassis.keyfile import read_or_make

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIRECTORY = Path(env.str("STATE_DIRECTORY", default=str(BASE_DIR / ".strangler")))

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
USE_X_FORWARDED_HOST = False  # the gateway keeps the client's Host header


SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_make(
    STATE_DIRECTORY / "secret-key", lambda: secrets.token_urlsafe(50)
)
IDENTITY_ISSUER = IDENTITY_AUDIENCE = "marketplace"
IDENTITY_KEY_FILE = Path(env.str("IDENTITY_KEY_FILE", default=str(STATE_DIRECTORY / "identity.jwk")))

if not env.str("DATABASE_URL", default=""):
    raise ImproperlyConfigured(
        "DATABASE_URL isn't set, so there is nothing to work on. "
        "`make run` starts everything, PostgreSQL included; with a PostgreSQL of your own: DATABASE_URL=postgres://user:password@host:5432/marketplace"
    )
DATABASES = {"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "monolith.identity",
    "monolith.catalog",
    "monolith.inventory",
    "monolith.ordering",
    "monolith.promotions",
    "monolith.payments",
    "monolith.fulfilment",
    "monolith.notifications",
    "monolith.reporting",
]

MIDDLEWARE = [
    "strangler.chassis.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "monolith.urls"
WSGI_APPLICATION = "monolith.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "monolith" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "identity.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/account/login/"
LOGIN_REDIRECT_URL = "/shop/"
LOGOUT_REDIRECT_URL = "/shop/"
SESSION_COOKIE_SAMESITE = "Lax"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=None)
STATICFILES_DIRS = [directory for directory in [BASE_DIR / "monolith" / "static"] if directory.is_dir()]
WHITENOISE_USE_FINDERS = True  # a clone serves its files without collectstatic

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "monolith.identity.authentication.OwnTokenAuthentication",
        "monolith.identity.authentication.SessionCallerAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 24,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "strangler.chassis.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_FORMATTER_CLASS": "strangler.chassis.problems.ProblemFormatter"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Parts marketplace",
    "DESCRIPTION": "Everything that the monolith answers below /api/.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # from the package, not from somebody else's server
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "AUTHENTICATION_WHITELIST": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "session": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        }
    },
    "SECURITY": [{"token": []}, {"session": []}, {}],
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "monolith.ordering.models.Order.Status",
        "ProductStatus": "monolith.catalog.models.Product.Status",
        "PaymentState": "monolith.payments.models.Payment.State",
        "ShipmentState": "monolith.fulfilment.models.Shipment.State",
    },
}

if env.str("BROKER_URL", default=""):
    CELERY_BROKER_URL = env.str("BROKER_URL")
else:
    _broker = STATE_DIRECTORY / "broker"
    (_broker / "control").mkdir(mode=0o700, parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker),
        "data_folder_out": str(_broker),
        "control_folder": str(_broker / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "marketplace"
CELERY_BEAT_SCHEDULE = {
    "release expired reservations": {"task": "inventory.release_expired_reservations", "schedule": 60.0},
    "sum up yesterday's sales": {"task": "reporting.sum_up_sales", "schedule": crontab(hour=2, minute=0)},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = "Parts marketplace <orders@marketplace.example>"

PAYMENT_PROVIDER_URL = env.str("PAYMENT_PROVIDER_URL", default="")
PAYMENT_PROVIDER_SECRET = env.str("PAYMENT_PROVIDER_SECRET", default="")
PAYMENT_PROVIDER_TIMEOUT = env.float("PAYMENT_PROVIDER_TIMEOUT", default=5.0)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
