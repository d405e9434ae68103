"""What a Flask user would write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, session, stream_with_context, url_for

app = Flask(__name__)
app.secret_key = "not a secret: this is a test"


@app.get("/")
def index() -> str:
    return "Hello from Flask"


@app.get("/api/<name>")
def item(name: str) -> Response:
    return jsonify(name=name, query=request.args.getlist("q"), remote=request.remote_addr)


@app.post("/form")
def form() -> dict[str, Any]:
    return {
        "fields": request.form.to_dict(),
        "files": {k: len(v.read()) for k, v in request.files.items()},
    }


@app.post("/raw")
def raw() -> Response:
    return Response(request.get_data(), content_type=request.content_type)


@app.get("/login")
def login() -> Any:
    session["user"] = "alice"
    return redirect(url_for("whoami"))


@app.get("/whoami")
def whoami() -> str:
    return str(session.get("user"))


@app.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[str]:
        for number in range(5):
            yield f"{request.args['tag']} {number}\n"

    return Response(stream_with_context(lines()), mimetype="text/plain")


@app.get("/error")
def error() -> str:
    raise RuntimeError("the view failed on purpose")
