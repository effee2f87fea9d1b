"""Answering with a picture: of which fit, how large, in which format.

One picture is drawn at a time, and who waits for it holds no thread, so that nothing else is kept waiting.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, Path, Query, Request
from starlette.responses import Response

from model.errors import Issue
from service.caching import lasting
from service.deps import Here, Services, Tenant
from service.lookup import find_ended, posterior_of
from service.media_types import PNG, SVG
from service.negotiation import accepted_media_type
from service.plots import limits
from service.plots.catalog import kinds_of
from service.problems import Refusal

USUAL_SCALE = 2

# An SVG is a document: opened by itself it loads nothing and runs nothing, whatever a name in it says.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that is asked for, whatever it shows."""

    request: Request
    here: Services
    tenant: str
    fit_id: str
    media_type: str
    width: int
    height: int | None
    scale: int

    def check_dots(self, height: float) -> None:
        """Raise Refusal where a PNG so high would be too large."""
        if self.media_type == PNG and self.width * height * self.scale**2 > limits.DOTS:
            raise _wrong("scale", f"a PNG has at most {limits.DOTS:,} dots")


def frame(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    extension: Annotated[
        str, Path(description="The format.", json_schema_extra={"enum": ["svg", "png"]}, examples=["svg"])
    ],
    width: Annotated[int, Query(ge=320, le=limits.WIDTH, description="Pixels of CSS.")] = 720,
    height: Annotated[
        int | None,
        Query(ge=120, le=limits.HEIGHT, description="Pixels of CSS; left out, what the plot needs."),
    ] = None,
    scale: Annotated[
        int | None,
        Query(ge=1, le=limits.SCALE, description="Dots of a PNG for each pixel of CSS; 2 if left out."),
    ] = None,
) -> Frame:
    """Read what can be asked of every picture; raises Refusal for a format that there is not."""
    media_type = {"svg": SVG, "png": PNG}.get(extension)
    if media_type is None:
        raise Refusal("plot-not-found", "A plot is a .svg or a .png.")
    if media_type == SVG and scale is not None:
        raise _wrong("scale", "an SVG has no dots; leave it out")
    asked = Frame(request, here, tenant, fit_id, media_type, width, height, scale or USUAL_SCALE)
    asked.check_dots(height or 0)
    return asked


FrameOf = Annotated[Frame, Depends(frame)]


async def answer_picture(asked: Frame, name: str, **question: Any) -> Response:
    """Draw this picture of a fit that has ended, or give the exact reason why there is none."""
    accepted_media_type(asked.request, asked.media_type)
    here = asked.here
    record = await run_sync(find_ended, here, asked.tenant, asked.fit_id)

    def written() -> bytes:
        # Imported late: matplotlib takes time and memory that a process which draws nothing need not spend.
        from service.plots.drawing import draw

        names = [kind.name for kind in kinds_of(posterior_of(here, record).encoding, record)]
        if name not in names:
            raise Refusal("plot-not-found", f"This fit has no such plot; it has: {', '.join(names)}.")
        return draw(asked, record, name, question)

    age = here.settings.cache_max_age
    return await run_sync(
        lambda: lasting(asked.request, record, age, written, _INERT, asked.media_type), limiter=here.drawing
    )


def _wrong(name: str, message: str) -> Refusal:
    issue = Issue("invalid-parameter", f"query parameter {name}: {message}")
    return Refusal("invalid-parameter", issues=(issue,))
