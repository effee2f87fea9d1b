"""What addresses begin with where a proxy serves us under a path of its own, and strips it before we see it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefixed:
    """Puts the prefix back in front of the path, as ASGI has it, unless the proxy has left it there."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under its whole path."""
        if self._root_path and scope["type"] == "http":
            path = scope["path"]
            if path != self._root_path and not path.startswith(f"{self._root_path}/"):
                raw = self._root_path.encode() + scope.get("raw_path", path.encode())
                scope = {**scope, "path": self._root_path + path, "raw_path": raw}
            scope["root_path"] = self._root_path
        await self._app(scope, receive, send)
