"""The ASGI entry point: ``greenuni --chdir examples/django_site site_project.asgi:application``."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from site_project.database import migrate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_project.settings")

# The handler serves the admin's style sheets. A real site leaves those to nginx or WhiteNoise.
application = ASGIStaticFilesHandler(get_asgi_application())
migrate()
