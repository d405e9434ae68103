"""Django with its admin and nothing else. It is mounted at /admin (greenuni.toml).

``SECRET_KEY`` and ``DATABASE_PATH`` come from the environment; without them it is for your own machine.
"""

import os

import notices

DEBUG = "SECRET_KEY" not in os.environ
SECRET_KEY = os.environ.get("SECRET_KEY", "django-insecure-example")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "backoffice",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "backoffice.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": notices.DATABASE,
        "OPTIONS": {"timeout": 20},  # seconds a writer waits for another process's write
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# Django finds the mount in SCRIPT_NAME when it makes links. This one is read before any request.
STATIC_URL = "/admin/static/"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin"
