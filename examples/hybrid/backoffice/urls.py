"""Below the mount: the admin, and the files that its pages need."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import path

# StaticFilesHandler compares STATIC_URL with the path below the mount; a view does not mind. Without
# ``insecure`` it would serve in debug mode only. A real site leaves these files to nginx.
urlpatterns = [
    path("static/<path:path>", serve, {"insecure": True}),
    path("", admin.site.urls),
]
