"""The other way in: the simulated AWS as an HTTP endpoint on loopback, for any AWS client in any language.

moto's codec reads and writes the wire protocols; what is answered, and everything that is counted, limited and
checked, is :meth:`ecsroll.simulator.door.Door.call`, as behind the boto3 clients. moto is imported here only, and late.
"""

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from botocore.validate import ParamValidator

from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ecsroll.simulator import Simulation

__all__ = ["Endpoint", "Server", "serve"]

# The name that a request is signed for -> the name of boto3's client.
SERVICES = {
    "ecs": "ecs",
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "elasticloadbalancing": "elbv2",
    "ssm": "ssm",
    "sts": "sts",
    "iam": "iam",
    "monitoring": "cloudwatch",
}
OURS = {"sts": b"Action=GetCallerIdentity", "iam": b"Action=SimulatePrincipalPolicy"}
"""Of these services one operation is ours, and the others (roles, sessions, users) are moto's."""
SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
TICK = 0.05

Reply = tuple[int, dict[str, str], bytes]


@cache
def _codec() -> SimpleNamespace:
    """The six names of moto that this file lives on: internals, so moto is pinned to its minor."""
    try:
        from moto.core.parse import PROTOCOL_PARSERS  # noqa: PLC0415 - the package works without moto
        from moto.core.request import Request, determine_request_protocol  # noqa: PLC0415
        from moto.core.routing import get_service_router  # noqa: PLC0415
        from moto.core.serialize import get_serializer_class  # noqa: PLC0415
        from moto.core.utils import get_service_model  # noqa: PLC0415
    except ImportError as missing:
        raise ImportError(
            "The simulated AWS speaks HTTP with moto's help: pip install 'ecsroll[simulator]'"
        ) from missing
    return SimpleNamespace(
        parsers=PROTOCOL_PARSERS,
        request=Request,
        protocol=determine_request_protocol,
        router=get_service_router,
        serializer=get_serializer_class,
        model=get_service_model,
    )


@dataclass
class Endpoint:
    """A WSGI application that answers AWS requests from a simulation.

    ``neighbour`` is another one that takes the requests for services that are not simulated here: moto's own.
    """

    simulation: "Simulation"
    neighbour: "WSGIApplication | None" = None

    def __post_init__(self) -> None:
        self.codec = _codec()
        self._quiet = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = SERVICES.get(scope["service"]) if scope else None
        if self.neighbour is not None and (service is None or _next_door(service, environ)):
            return self.neighbour(environ, start_response)
        status, headers, body = self._answer(service, environ) if service else _unknown(scope)
        start_response(f"{status} {'OK' if status < 400 else 'Error'}", list(headers.items()))
        return [body]

    def _answer(self, service: str, environ: "WSGIEnvironment") -> Reply:
        request = self.codec.request(environ)
        try:
            operation, url_params = self.codec.router(service).match(request)
        except Exception:  # noqa: BLE001 - moto says NotFound, NotImplementedError or KeyError
            return _plain(501, f"the simulated AWS knows no such operation of {service}")
        protocol = self.codec.protocol(self.codec.model(service), request.content_type)
        result: Any
        try:
            params = self._parse(operation, protocol, request, url_params)
            result = self.simulation.door.call(service, operation.name, params)
        except Refusal as no:
            result = no
        written = self._write(self.codec.serializer(service, protocol)(operation), result)
        status = result.status if isinstance(result, Refusal) else written["status_code"]
        return status, dict(written["headers"]), _bytes(written["body"])

    def _write(self, serializer: Any, result: Any) -> Any:
        if not isinstance(result, Refusal):
            return serializer.serialize(result)
        # AWS answers with codes that its models do not name (ValidationError), and moto warns of each.
        with self._quiet, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not match an error shape")
            return serializer.serialize(result)

    def _parse(self, operation: Any, protocol: str, request: Any, url_params: dict[str, Any]) -> dict[str, Any]:
        params: dict[str, Any] = self.codec.parsers[protocol](operation).parse(
            {
                "body": request.get_data(cache=True),
                "headers": request.headers,
                "method": request.method,
                "url_params": url_params,
                "url_path": request.path,
                "values": request.values,
            }
        )
        # Behind boto3 the client checks this; here anybody may have written the request.
        if operation.input_shape is not None:
            report = ParamValidator().validate(params, operation.input_shape)
            if report.has_errors():
                code = "ValidationError" if protocol == "query" else "ValidationException"
                raise Refusal(code, report.generate_report())
        return params


def _next_door(service: str, environ: "WSGIEnvironment") -> bool:
    if service not in OURS:
        return False
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    return OURS[service] not in body


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _plain(status: int, sentence: str) -> Reply:
    return status, {"Content-Type": "text/plain", "x-amzn-ErrorType": "NotImplemented"}, f"{sentence}\n".encode()


def _unknown(scope: re.Match[str] | None) -> Reply:
    if scope is None:
        return _plain(403, "the simulated AWS tells the service by the request's signature, and there is none")
    return _plain(501, f"the simulated AWS does not serve {scope['service']}")


class _Handler(BaseHTTPRequestHandler):
    """One connection, kept alive: a client sends its next request over it."""

    protocol_version = "HTTP/1.1"
    # An answer is written in two pieces; without this the second waits for the first one's acknowledgement.
    disable_nagle_algorithm = True
    application: Callable[..., Iterable[bytes]]

    def handle_any(self) -> None:
        """Read the request, ask the application, write the answer."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        told: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            pieces = self.application(self._environ(body), lambda status, headers: told.append((status, headers)))
            answer = b"".join(pieces)
        except Exception as bug:  # noqa: BLE001 - a bug in a handler must reach the client as one, not as an outage
            told = [("500 Error", [("x-amzn-ErrorType", "InternalFailure")])]
            answer = f"the simulated AWS has a bug: {bug!r}\n".encode()
        status, headers = told[0]
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name.lower() not in ("content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - http.server's names

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        host, port = cast("tuple[str, int]", self.server.server_address)
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        return {
            **headers,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": str(host),
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def log_message(self, *_: object) -> None:
        """Say nothing: the door keeps the calls."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True


@dataclass
class Server:
    """A simulation that is served; a context manager."""

    simulation: "Simulation"
    port: int = 0
    speed: float = 0.0
    neighbour: "WSGIApplication | None" = None
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        endpoint = Endpoint(self.simulation, self.neighbour)
        # Loopback only: there is no authentication here.
        handler = type("Handler", (_Handler,), {"application": staticmethod(endpoint)})
        self._listener = _Listener(("127.0.0.1", self.port), handler)
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL is set to."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def start(self) -> Self:
        """Listen, and let the simulated time run if it was given a speed."""
        self._run(self._listener.serve_forever)
        if self.speed > 0:
            self._run(self._let_time_pass)
        return self

    def close(self) -> None:
        """Listen no more; the time stands still."""
        self._closing.set()
        self._listener.shutdown()
        self._listener.server_close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _let_time_pass(self) -> None:
        """Advance the simulated time at ``speed`` times the wall clock's, under the door's lock."""
        last = time.monotonic()
        while not self._closing.wait(TICK):
            now = time.monotonic()
            self.simulation.sleep((now - last) * self.speed)
            last = now

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(
    simulation: "Simulation",
    port: int = 0,
    *,
    speed: float = 0.0,
    neighbour: "WSGIApplication | None" = None,
) -> Server:
    """A simulation on loopback, from ``with`` on; its time runs at ``speed`` times the wall clock's."""
    return Server(simulation, port, speed, neighbour)
