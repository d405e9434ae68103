"""The guestbook's pages."""

import asyncio
import os

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from guestbook.forms import EntryForm
from guestbook.models import Entry

ENTRIES_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The latest entries and a form to add one."""
    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("index")
    context = {"form": form, "entries": Entry.objects.all()[:ENTRIES_SHOWN], "pid": os.getpid()}
    status = 400 if form.is_bound else 200
    return render(request, "guestbook/index.html", context, status=status)


@require_GET
def entries(request: HttpRequest) -> JsonResponse:
    """The latest entries for programs."""
    latest = Entry.objects.values("name", "message", "written")[:ENTRIES_SHOWN]
    return JsonResponse({"entries": list(latest)})


@require_GET
async def slow(request: HttpRequest) -> HttpResponse:
    """A long request (``?seconds=60``): waits on the event loop under ASGI, in a thread under WSGI."""
    try:
        seconds = float(request.GET.get("seconds", "60"))
    except ValueError:
        return JsonResponse({"error": "seconds is a number"}, status=400)
    await asyncio.sleep(seconds)
    return JsonResponse({"slept": seconds})
