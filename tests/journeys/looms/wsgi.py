"""What granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from strangler.chassis.whole import in_one_piece

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.journeys.looms.settings")
application = in_one_piece(get_wsgi_application())
