"""The application of ``python -m benchmarks.web``, for every server."""

from __future__ import annotations

ANSWER = b"x" * 10_000


def application(environ, start_response):
    """Ten kilobytes; or how many bytes of a body there were."""
    body = ANSWER
    if environ["REQUEST_METHOD"] == "POST":
        size = 0
        while data := environ["wsgi.input"].read(65536):
            size += len(data)
        body = str(size).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
