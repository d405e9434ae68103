from django.db import models


class Notice(models.Model):
    """A line for everybody to read."""

    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text
