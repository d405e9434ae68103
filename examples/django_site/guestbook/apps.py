from django.apps import AppConfig


class GuestbookConfig(AppConfig):
    """Visitors leave their name and a few words."""

    name = "guestbook"
