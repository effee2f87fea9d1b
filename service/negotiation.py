"""The header `Accept`: which of the formats of a resource the client likes best (RFC 9110, section 12.5.1)."""

import re

from starlette.requests import Request

from service.problems import Refusal

_QUALITY = re.compile(r"[01](\.\d{0,3})?")


def accepted_media_type(request: Request, *offered: str) -> str:
    """Choose what the client likes best of what is offered, the first of equals (RFC 9110, 12.5.1)."""
    best, choice = 0.0, None
    preferences = _preferences(request.headers.get("accept") or "*/*")
    for media_type in offered:
        kind = media_type.partition("/")[0]
        patterns = (media_type, f"{kind}/*", "*/*")
        quality = next((preferences[pattern] for pattern in patterns if pattern in preferences), 0.0)
        if quality > best:
            best, choice = quality, media_type
    if choice is None:
        raise Refusal("not-acceptable", f"This resource is {' or '.join(offered)}.")
    return choice


def _preferences(accept: str) -> dict[str, float]:
    preferences: dict[str, float] = {}
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        preferences[media_type] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    return preferences


async def accepts_json(request: Request) -> None:
    """Refuse a request whose `Accept` rules out JSON."""
    accepted_media_type(request, "application/json")
