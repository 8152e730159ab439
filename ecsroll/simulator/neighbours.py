"""moto beside the simulated AWS, behind the same endpoint: SQS, SNS, EventBridge, S3, DynamoDB, Step Functions, STS.

moto's backends are not safe for threads (getmoto/moto#7166: conditional writes were seen to have two winners), so every
request goes through one lock. A long poll must not hold it: it is turned into short ones, waited for outside.
"""

import json
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ecsroll.clock import Clock, SystemClock

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Neighbours"]

POLL = 0.2
"""Seconds between two looks into a queue that is being polled long."""


class Neighbours:
    """A WSGI application: moto's own, one request at a time."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.lock = threading.Lock()
        self.app = _moto()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        wait = _long_poll(environ, body)
        deadline = self.clock.elapsed() + wait
        if wait:
            body = _without_wait(body)
        while True:
            status, headers, answer = self._once(environ, body)
            if not wait or self.clock.elapsed() >= deadline or b'"Messages"' in answer:
                start_response(status, headers)
                return [answer]
            self.clock.sleep(POLL)

    def _once(self, environ: "WSGIEnvironment", body: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
        said: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            said[:] = [status, headers]
            return lambda _: None

        asked = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        with self.lock:
            answer = b"".join(self.app(asked, start))
        return said[0], said[1], answer


def _moto() -> "WSGIApplication":
    # Imported late: the package works without moto, and moto takes a third of a second.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

    app: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    return app


def _long_poll(environ: "WSGIEnvironment", body: bytes) -> float:
    """Seconds that an SQS ReceiveMessage wants to wait; 0 for everything else."""
    if environ.get("HTTP_X_AMZ_TARGET") != "AmazonSQS.ReceiveMessage":
        return 0.0
    return float(json.loads(body or b"{}").get("WaitTimeSeconds", 0))


def _without_wait(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "WaitTimeSeconds": 0}).encode()
