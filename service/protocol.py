"""What the server says by itself to bytes that are no HTTP request: a problem document, as everything else says.

The application never hears of such bytes, so its handlers cannot answer them.
"""

import secrets

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problem_types import PROBLEM_TYPES
from service.problems import MEDIA_TYPE

_CODE = "bad-request"


def http_protocol(problem_base: str) -> type[HttpToolsProtocol]:
    """Give HTTP as uvicorn speaks it, but for its one answer in plain text."""

    class Protocol(HttpToolsProtocol):
        def send_400_response(self, msg: str) -> None:
            self.transport.write(_refusal(problem_base))
            self.transport.close()

    return Protocol


def _refusal(problem_base: str) -> bytes:
    kind, request_id = PROBLEM_TYPES[_CODE], secrets.token_hex(8)
    body = orjson.dumps(
        {
            "type": f"{problem_base}/{_CODE}",
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "errors": [],
            "errors_total": 0,
            "request_id": request_id,
        }
    )
    head = [
        f"HTTP/1.1 {kind.status} {kind.title}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        "cache-control: no-store",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
