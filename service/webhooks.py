"""What callbacks send, as a webhook of the OpenAPI document: its headers, its body, and what is done with answers.

`worker/callbacks.py` sends it.
"""

from typing import Any

from service.answers.callbacks import CallbackMessage
from service.media_types import JSON

_HEADERS = {
    "webhook-id": ("Names the message; the same in every attempt.", "msg_9c1b42e0d8f74a6b9a6b1f0c2d3e4f5a"),
    "webhook-timestamp": ("When this attempt was made, in unix seconds.", "1795420800"),
    "webhook-signature": (
        "`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined by points; more than one, with "
        "spaces between, while a secret is being changed.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}


def webhooks() -> dict[str, Any]:
    """Describe the messages (Standard Webhooks) as OpenAPI 3.1 has them."""
    operation = {
        "tags": ["callbacks"],
        "operationId": "receiveCallback",
        "summary": "Receive a callback",
        "description": "Sent to the address of a `callback` when the fit or batch has ended, at least once.",
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
                "example": example,
            }
            for name, (description, example) in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{CallbackMessage.__name__}"}}},
        },
        # What a receiver answers is its own affair; here is what we make of it.
        "responses": {
            "default": {
                "description": "2xx within 10 seconds: received. 410: nobody wants it, and it is not sent again. "
                "Anything else: it is sent again, at most 9 times in about 32 hours."
            }
        },
    }
    return {"ended": {"post": operation}}
