"""Where a WSGI server comes in: `granian --interface wsgi extracted.catalog.service.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

from strangler.chassis.whole import in_one_piece

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "extracted.catalog.service.settings")

application = in_one_piece(get_wsgi_application())
