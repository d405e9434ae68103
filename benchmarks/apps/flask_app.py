"""The Flask workload: what a framework adds, the same under every server."""

from __future__ import annotations

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def hello() -> Response:
    return Response("Hello, world!", mimetype="text/plain")
