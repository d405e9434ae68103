from django.contrib import admin

from guestbook.models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    """Entries in the admin: the newest first, searchable."""

    list_display = ["name", "message", "written"]
    search_fields = ["name", "message"]
