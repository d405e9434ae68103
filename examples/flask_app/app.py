"""A Flask application with what real ones have: pages, JSON, uploads, streams, slow requests."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator

from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

CHUNK_BYTES = 64 * 1024

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """A page with links to everything below."""
    return render_template("index.html", pid=os.getpid(), scheme=request.scheme)


@app.get("/hello/<name>")
def hello(name: str) -> Response:
    """Plain text."""
    return Response(f"Hello, {name}!\n", mimetype="text/plain")


@app.post("/api/sum")
def add() -> ResponseReturnValue:
    """JSON in, JSON out: ``{"numbers": [1, 2, 3]}``."""
    numbers = request.get_json().get("numbers")
    if not isinstance(numbers, list) or not all(isinstance(n, int | float) for n in numbers):
        return jsonify(error='send {"numbers": [1, 2, 3]}'), 400
    return jsonify(sum=sum(numbers))


@app.post("/upload")
def upload_form() -> ResponseReturnValue:
    """A file from an HTML form (multipart/form-data)."""
    file = request.files.get("file")
    if file is None:
        return jsonify(error="the form field is called file"), 400
    size = file.seek(0, os.SEEK_END)
    return jsonify(name=file.filename, bytes=size)


@app.put("/upload")
def upload_raw() -> Response:
    """A file as the plain body of a request, of any size: it is read piece by piece."""
    size = 0
    digest = hashlib.sha256()
    while chunk := request.stream.read(CHUNK_BYTES):
        size += len(chunk)
        digest.update(chunk)
    return jsonify(bytes=size, sha256=digest.hexdigest())


@app.get("/download")
def download() -> Response:
    """``?mib=1024`` zeros, made while they are sent."""
    mib = request.args.get("mib", default=1, type=int)

    def zeros() -> Iterator[bytes]:
        chunk = bytes(CHUNK_BYTES)
        for _ in range(mib * 1024 * 1024 // CHUNK_BYTES):
            yield chunk

    return Response(zeros(), mimetype="application/octet-stream")


@app.get("/countdown")
def countdown() -> Response:
    """A line a second (``?start=10``), each sent when it is made."""
    start = request.args.get("start", default=10, type=int)
    pause = request.args.get("pause", default=1.0, type=float)

    def lines() -> Iterator[str]:
        for number in range(start, 0, -1):
            yield f"{number}\n"
            time.sleep(pause)
        yield "lift-off\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/sleep")
def sleep() -> Response:
    """A slow request (``?seconds=60``). It is never mistaken for a dead worker."""
    seconds = request.args.get("seconds", default=60.0, type=float)
    time.sleep(seconds)
    return jsonify(slept=seconds, pid=os.getpid())
