from django.apps import AppConfig


class BackofficeConfig(AppConfig):
    """Where notices are posted."""

    name = "backoffice"
