from django.contrib import admin

from backoffice.models import Notice

admin.site.register(Notice)
admin.site.site_url = "/"
