"""A Django project in one file, with both of Django's entry points."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    DEBUG=False,
    LOGGING={
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this is a test",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from Django")


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from async Django")


def item(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"name": name, "query": request.GET.getlist("q")})


def raw(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type=request.content_type)


def form(request: HttpRequest) -> JsonResponse:
    files = {name: file.size for name, file in request.FILES.items()}
    return JsonResponse({"fields": request.POST.dict(), "files": files})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    tag = request.GET["tag"]

    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{tag} {number}\n"

    def sync_lines() -> Iterator[str]:
        for number in range(5):
            yield f"{tag} {number}\n"

    is_asgi = hasattr(request, "scope")
    return StreamingHttpResponse(lines() if is_asgi else sync_lines(), content_type="text/plain")


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view failed on purpose")


urlpatterns = [
    path("", index),
    path("async", asynchronous),
    path("api/<str:name>", item),
    path("raw", raw),
    path("form", form),
    path("stream", stream),
    path("error", error),
]
application = get_wsgi_application()
asgi = get_asgi_application()
