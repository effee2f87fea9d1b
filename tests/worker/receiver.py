"""A receiver of callbacks: a small HTTP server that keeps what it is sent and answers as it is told to."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Message:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict[str, Any]:
        """Give the content, judged by the implementation that the specification's authors publish."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


@dataclass
class Receiver:
    """What came in so far, and how the next ones are answered: by a status each, the last one for ever."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    statuses: list[int] = field(default_factory=lambda: [204])
    respond: Respond | None = None
    location: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.messages.append(Message(handler.path, headers, handler.rfile.read(length)))
        if self.respond is not None:
            self.respond(handler)
            return
        handler.send_response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        if self.location:
            handler.send_header("Location", self.location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port of 127.0.0.1, with TLS if there is a certificate (with its key)."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.answer(self)

        def do_GET(self) -> None:
            receiver.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'' if certificate is None else 's'}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(path: Path, names: str) -> None:
    """Write a certificate that signs itself, and its key, for some alternative names."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=receiver", "-addext", f"subjectAltName={names}"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.pem"], check=True, capture_output=True)
    with path.open("a") as both:
        both.write(Path(f"{path}.pem").read_text())
