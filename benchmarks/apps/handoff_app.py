"""The applications of handoff.py: one that answers at once, one that takes as long as it is asked to."""

import time


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def wait(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    return hello(environ, start_response)
