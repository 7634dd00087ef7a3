"""Where a WSGI server comes in: `granian --interface wsgi extracted.catalog.service.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "extracted.catalog.service.settings")

application = get_wsgi_application()
