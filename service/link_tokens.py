"""The token of a signed link, in the query of a request: taken out before anything else sees the query.

So it is in no line of the log, in no ETag, no `Link`, and in no problem document.
"""

from urllib.parse import unquote_plus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARAMETER = "link"
TOKENS = "link_tokens"
"""Where the state of a request keeps what its parameter `link` said, as often as it was given."""


class LinkTokens:
    """Take the tokens out of the query; their answers are for nobody else, and are asked for anew each time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or PARAMETER not in unquote_plus(scope["query_string"].decode("latin-1")):
            await self.app(scope, receive, send)
            return
        tokens, others = _apart(scope["query_string"])
        if not tokens:
            await self.app(scope, receive, send)
            return

        async def send_for_one(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Referrer-Policy"] = "no-referrer"
                if "no-store" not in headers.get("Cache-Control", ""):
                    # A link that is revoked opens nothing from that moment on.
                    headers["Cache-Control"] = "private, no-cache"
            await send(message)

        state = {**scope.get("state", {}), TOKENS: tokens}
        await self.app({**scope, "query_string": others, "state": state}, receive, send_for_one)


def _apart(query: bytes) -> tuple[list[str], bytes]:
    tokens, others = [], []
    for part in query.split(b"&"):
        name, _, value = part.decode("latin-1").partition("=")
        if unquote_plus(name) == PARAMETER:
            tokens.append(unquote_plus(value))
        else:
            others.append(part)
    return tokens, b"&".join(others)
