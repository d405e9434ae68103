"""The site, in Flask."""

from __future__ import annotations

import os

import notices
from flask import Flask, render_template

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """The notices, and a script that waits for new ones."""
    return render_template("index.html", notices=notices.after(0), pid=os.getpid())


@app.get("/hello/<name>")
def hello(name: str) -> str:
    """A line of text."""
    return f"Hello, {name}, from Flask in process {os.getpid()}.\n"
