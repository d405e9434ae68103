"""The WSGI test applications, each inside the standard library's PEP 3333 validator."""

from __future__ import annotations

from wsgiref.validate import validator

import django_app
import flask_app
import wsgi_app

plain = validator(wsgi_app.app)
flask = validator(flask_app.app)
django = validator(django_app.application)
