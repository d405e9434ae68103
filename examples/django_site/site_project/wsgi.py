"""The WSGI entry point: ``greenuni --chdir examples/django_site site_project.wsgi:application``."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

from site_project.database import migrate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_project.settings")

# The handler serves the admin's style sheets. A real site leaves those to nginx or WhiteNoise.
application = StaticFilesHandler(get_wsgi_application())
migrate()
